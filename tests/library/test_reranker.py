"""The reranker: compared with one forward a pair through layers whose weights were changed for good."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from infini_attention.errors import ModelUnavailable
from infini_attention.memory.inject import new_cache
from infini_attention.model.adapters import LoraAdapter
from infini_attention.model.recipe import RERANKER_WEIGHTS, file_in
from infini_attention.qa.reranker import Reranker, load_reranker
from infini_attention.train.reranking import Choosable, PassageChoice, RerankerRollout
from infini_attention.train.tasks import BatchShape
from safetensors.torch import save_file
from torch import Tensor

from models import FAMILIES, VOCABULARY, Model, base_model, decoder_of, ids, losses_of, memory_model, merged

PLAN = BatchShape(1, 2, 8, 2)


PASSAGES, QUESTIONS = [ids(9, 1), ids(4, 2), ids(12, 3)], [ids(5, 4), ids(2, 5)]


def model_of(family: str = "llama") -> Model:
    return memory_model(family, dtype=torch.float32)


def reranker_of(model: Model, layers: int = 1) -> Reranker:
    reranker = Reranker(model, LoraAdapter(model, "reranker", layers, rank=3))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in reranker.weights().values():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 5)
    return reranker


def slowly(reranker: Reranker, family: str, passage: list[int], question: list[int]) -> Tensor:
    """The score of one pair, in one go."""
    base = merged(copy.deepcopy(base_model(family)), reranker.adapter).get_decoder()
    base.layers = base.layers[: reranker.adapter.layers]
    hidden = base(input_ids=torch.tensor([passage + question]), use_cache=False).last_hidden_state[0]
    own: Tensor = hidden[len(passage) + 1 :].mean(0)
    return own @ reranker.direction


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layers", [1, 2])
def test_each_pair_is_scored_as_if_it_were_alone(family: str, layers: int) -> None:
    reranker = reranker_of(model_of(family), layers)
    found = reranker(PASSAGES, QUESTIONS)
    assert found.shape == (2, 3)
    for row, question in zip(found, QUESTIONS, strict=True):
        for score, passage in zip(row, PASSAGES, strict=True):
            torch.testing.assert_close(score, slowly(reranker, family, passage, question), rtol=1e-4, atol=1e-5)


def test_passages_are_read_once_for_several_questions() -> None:
    reranker = reranker_of(model_of())
    with torch.no_grad():
        expected = reranker(PASSAGES, QUESTIONS)
    read: list[int] = []
    hook = (
        decoder_of(reranker.model)
        .layers[0]
        .register_forward_pre_hook(lambda module, args: read.append(args[0].shape[:2].numel()))
    )
    with torch.inference_mode():
        first, one, again = (reranker(PASSAGES, few) for few in (QUESTIONS, QUESTIONS[:1], QUESTIONS[1:]))
    hook.remove()
    for found in (first, torch.cat([one, again])):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    asked = [len(PASSAGES) * count * length for count, length in ((2, 5), (1, 5), (1, 2))]
    assert [count for count in read if count in asked] == asked
    assert len(read) == len(asked) + 1
    reranker.keys.most = reranker.keys.nbytes - 1
    with torch.inference_mode():
        torch.testing.assert_close(reranker(PASSAGES[:2], QUESTIONS), expected[:, :2], rtol=1e-4, atol=1e-5)
    assert 0 < reranker.keys.nbytes <= reranker.keys.most and tuple(PASSAGES[2]) not in reranker.keys


def test_a_new_reranker_finds_all_passages_equal_and_leaves_the_model_as_it_is() -> None:
    model = model_of()
    before = model(input_ids=torch.tensor([PASSAGES[2]]), past_key_values=new_cache(model)).logits
    assert Reranker(model)(PASSAGES, QUESTIONS).tolist() == [[0.0] * 3] * 2
    reranker = reranker_of(model)
    reranker(PASSAGES, QUESTIONS)
    with pytest.raises(IndexError):
        reranker([[VOCABULARY]], QUESTIONS)
    after = model(input_ids=torch.tensor([PASSAGES[2]]), past_key_values=new_cache(model)).logits
    assert torch.equal(before, after)


def choosable() -> Choosable:
    """Six passages, each about a token of its own, and a question about each."""
    generator = np.random.default_rng(0)
    passages = [[*generator.integers(20, VOCABULARY, 4).tolist(), topic, topic] for topic in range(6)]
    return Choosable(passages, [[10, topic, 11] for topic in range(6)], torch.eye(6) > 0, torch.ones(6, 6))


def test_a_step_shows_the_right_passage_of_every_question() -> None:
    task = PassageChoice([choosable(), Choosable([[1]], [[2]], torch.ones(1, 1) > 0, torch.ones(1, 1))])
    assert len(task.texts) == 1
    for seed in range(5):
        (choice,) = task.sample(PLAN, np.random.default_rng(seed))
        assert choice.right.any(1).all() and choice.right.shape == choice.words.shape
        for question, row in zip(choice.questions, choice.right, strict=True):
            (place,) = row.nonzero()[:, 0].tolist()
            assert choice.passages[place][-1] == question[1]
        pairs = len(choice.passages) * sum(map(len, choice.questions))
        assert len(choice.ids) == pairs + sum(map(len, choice.passages))


def test_the_loss_is_the_surprise_at_the_right_passages() -> None:
    task = PassageChoice([choosable()])
    learner = RerankerRollout(reranker_of(model_of()))
    learner.trained()
    (choice,) = task.sample(PLAN, np.random.default_rng(1))
    right = torch.rand(choice.right.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    right[:, 0] = True
    choice.right.copy_(right)
    outcome = learner([choice])
    scores = learner.reranker(choice.passages, choice.questions) + learner.reranker.words * choice.words
    shares = (scores.softmax(1) * right).sum(1)
    torch.testing.assert_close(outcome.loss, -shares.log().mean())
    best = scores.argmax(1)
    assert int(outcome.correct) == sum(bool(right[n, place]) for n, place in enumerate(best))
    assert int(outcome.labelled) == len(choice.questions)


def test_it_learns() -> None:
    model = base_model()
    task, learner = (
        PassageChoice([choosable()]),
        RerankerRollout(Reranker(model, LoraAdapter(model, "reranker", 1, rank=4))),
    )
    losses = losses_of(learner, task, PLAN, 60)
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert all(p.requires_grad == (".lora_" in name) for name, p in learner.model.named_parameters())


def test_weights_come_back_and_others_are_refused(tmp_path: Path) -> None:
    model = model_of()
    reranker = reranker_of(model)
    assert load_reranker(model, file_in(tmp_path, RERANKER_WEIGHTS)) is None and load_reranker(model, None) is None
    save_file({name: weight.detach() for name, weight in reranker.weights().items()}, tmp_path / RERANKER_WEIGHTS)
    again = load_reranker(model, tmp_path / RERANKER_WEIGHTS)
    assert again is not None and not any(weight.requires_grad for weight in again.weights().values())
    torch.testing.assert_close(again(PASSAGES, QUESTIONS), reranker(PASSAGES, QUESTIONS).detach(), rtol=0, atol=0)
    with pytest.raises(ModelUnavailable, match="cannot be used"):
        load_reranker(base_model(hidden_size=48), tmp_path / RERANKER_WEIGHTS)
