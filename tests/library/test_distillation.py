"""Context distillation: the teacher is the base with everything in view, the student has its memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from infini_attention.memory.parameters import memory_parameters
from infini_attention.train.distillation import divergence
from infini_attention.train.rollout import Rollout, training_cache
from infini_attention.train.segments import IGNORED, Segment
from infini_attention.train.tasks import BatchShape, ContextDistillation, LanguageModelling
from letters import CORPUS
from torch import Tensor

from models import RULES, SEGMENT, base_model, decoder_of, logits_of, memory_model, text


def segments_of(ids: Tensor, count: int) -> list[Segment]:
    """A roll-out over ``count`` segments whose last two are distilled."""
    pieces, following = (torch.split(x, SEGMENT, 1) for x in (ids[:, :-1], ids[:, 1:]))
    return [
        Segment(piece, labels if number >= count - 2 else None, distil=number >= count - 2)
        for number, (piece, labels) in enumerate(zip(pieces, following, strict=True))
    ]


def naive_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Kullback-Leibler, as it is written in books, summed over tokens."""
    p, q = teacher.softmax(-1), student.softmax(-1)
    return (p * (p.log() - q.log())).sum()


@pytest.mark.parametrize("rule", RULES)
def test_the_loss_is_the_divergence_from_the_base_that_sees_all(rule: str) -> None:
    count, ids = 4, text(4 * SEGMENT + 1, batch=2)
    model = memory_model(update_rule=rule)
    outcome = Rollout(model)(segments_of(ids, count))
    teacher = logits_of(base_model(dtype=torch.float64), ids[:, :-1])
    cache, student = training_cache(model), []
    with torch.no_grad():
        for piece in torch.split(ids[:, :-1], SEGMENT, 1):
            hidden = decoder_of(model)(input_ids=piece, past_key_values=cache).last_hidden_state
            student.append(model.get_output_embeddings()(hidden))
            cache.close_segment()
    seen = slice(2 * SEGMENT, None)
    wanted = naive_divergence(teacher[:, seen], torch.cat(student, 1)[:, seen]) / (2 * 2 * SEGMENT)
    assert wanted > 1e-3
    torch.testing.assert_close(outcome.loss.double(), wanted, rtol=1e-4, atol=1e-7)
    assert int(outcome.labelled) == 2 * 2 * SEGMENT
    hits = torch.cat(student, 1)[:, seen].argmax(-1) == ids[:, 1:][:, seen]
    assert int(outcome.correct) == int(hits.sum())


def test_a_student_with_everything_in_view_has_nothing_to_learn() -> None:
    ids = text(SEGMENT + 1)
    outcome = Rollout(memory_model())([Segment(ids[:, :-1], ids[:, 1:], distil=True)])
    assert abs(float(outcome.loss.detach())) < 1e-6


def test_gradients_reach_the_memory_path_and_nothing_else() -> None:
    model = memory_model()
    model.requires_grad_(False)
    for parameter in memory_parameters(model).values():
        parameter.requires_grad_(True)
    Rollout(model)(segments_of(text(3 * SEGMENT + 1), 3)).loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in memory_parameters(model).values())
    paths = {id(p) for p in memory_parameters(model).values()}
    assert all(p.grad is None for p in model.parameters() if id(p) not in paths)


def test_rows_that_branch_from_one_text_have_that_text_in_their_teachers_view() -> None:
    read, asked = text(SEGMENT), text(9, batch=3, seed=5)
    labels = asked[:, 1:].clone()
    labels[:, :4] = IGNORED
    model = memory_model()
    outcome = Rollout(model)([Segment(read), Segment(asked[:, :-1], labels, distil=True)])
    one_by_one = [
        Rollout(model)([Segment(read), Segment(asked[r : r + 1, :-1], labels[r : r + 1], distil=True)]).loss
        for r in range(3)
    ]
    torch.testing.assert_close(outcome.loss, torch.stack(one_by_one).mean(), rtol=1e-5, atol=1e-7)


def test_the_divergence_and_its_gradient_are_those_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(5, 11, generator=generator, dtype=torch.float64)
    student = torch.randn(5, 11, generator=generator, dtype=torch.float64, requires_grad=True)
    ours, theirs = divergence(teacher, student).sum(), naive_divergence(teacher, student)
    torch.testing.assert_close(ours, theirs)
    one, two = (torch.autograd.grad(loss, student)[0] for loss in (ours, theirs))
    torch.testing.assert_close(one, two)


def test_the_task_draws_what_language_modelling_draws() -> None:
    plan = BatchShape(2, 4, 20, 2)
    plain = LanguageModelling(CORPUS).sample(plan, np.random.default_rng(1))
    soft = ContextDistillation(CORPUS).sample(plan, np.random.default_rng(1))
    for one, two in zip(plain, soft, strict=True):
        assert torch.equal(one.ids, two.ids) and one.backprop == two.backprop
        assert two.distil == (two.labels is not None) and not one.distil
    assert dataclasses.replace(soft[-1], distil=False).ids.equal(plain[-1].ids)
