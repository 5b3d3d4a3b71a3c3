"""Roll-outs that are replayed: the same loss and gradients as rolled out anew, in few shapes; and graphs, where there is CUDA."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from infini_attention.data import facts, needles
from infini_attention.data.hiding import Planter
from infini_attention.memory.rules import COUNT_BITS, Transition
from infini_attention.train.distant_passkeys import DistantRecall
from infini_attention.train.graph_replay import LEAST_MARKS, LEAST_TOKENS, GraphReplays, rounded, signature
from infini_attention.train.hidden_recall import HiddenRecall
from infini_attention.train.questions import AskedTurn, Example, Instructions
from infini_attention.train.rollout import Rollout
from infini_attention.train.segments import IGNORED, Segment
from infini_attention.train.tasks import BatchShape, ContextDistillation, TrainingTask
from infini_attention.train.training_plan import Phase
from letters import CORPUS, PASSKEY, encode

from models import SEGMENT, Again, Model, memory_model, text


def rollout_of(seed: int, *, distil: bool = False, times: int = 3, marked: int = 5) -> list[Segment]:
    ids, rows = text(2 * SEGMENT, seed=seed), text(SEGMENT, batch=4, seed=seed + 50)
    labels = rows.clone()
    labels.flatten()[marked:] = IGNORED
    first, second = ids[:, :SEGMENT], ids[:, SEGMENT:]
    return [Segment(first), Segment(second, None, False, (0, 1), times), Segment(rows, labels, distil=distil)]


def anew(model: Model, segments: Sequence[Segment]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    learner = Rollout(model)
    parameters = learner.trained()
    for parameter in parameters.values():
        parameter.grad = None
    outcome = learner([segment.to(next(iter(parameters.values())).device) for segment in segments])
    outcome.loss.backward()
    return outcome.loss.detach(), {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in parameters.items()}


@pytest.mark.parametrize("distil", [False, True])
def test_a_replay_gives_the_loss_and_gradients_of_a_roll_out(distil: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = memory_model()
    learner = Rollout(model)
    parameters = learner.trained()
    made: list[Again] = []

    def record(work: Callable[[], None]) -> Again:
        made.append(Again(work))
        return made[-1]

    replays = GraphReplays(learner, parameters, record)
    held: list[torch.Tensor] = []
    roll = GraphReplays._roll

    def kept(self: GraphReplays, segments: list[Segment]) -> object:
        # What a graph gives stands in one place; here each replay makes a new one.
        outcome = roll(self, segments)
        held[:] = [outcome.loss]
        return outcome

    monkeypatch.setattr(GraphReplays, "_roll", kept)
    for seed, times in ((1, 3), (2, 1), (3, 7)):
        segments = rollout_of(seed, distil=distil, times=times, marked=4 + seed)
        replays(segments)
        gradients = {name: parameter.grad for name, parameter in parameters.items()}
        found = {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None}
        loss, wanted = anew(model, segments)
        torch.testing.assert_close(held[0], loss, rtol=1e-6, atol=1e-7)
        assert found.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7, msg=name)
    assert len(made) == 1


def test_a_smaller_shape_is_padded_to_a_larger_one() -> None:
    learner = Rollout(memory_model())
    replays = GraphReplays(learner, learner.trained(), Again)
    large, small = rollout_of(1), rollout_of(2)
    wide = torch.nn.functional.pad(large[-1].ids, (0, LEAST_TOKENS))
    large[-1] = Segment(wide, torch.where(torch.arange(wide.shape[1]) < 3, wide, IGNORED))
    replays(large)
    replays(small)
    replays(large)
    assert len(replays.known) == 1
    # The other way round, the larger one needs a recording of its own.
    other = GraphReplays(learner, learner.trained(), Again)
    other(small)
    other(large)
    assert len(other.known) == 2


def test_another_shape_is_recorded_anew_and_both_are_kept() -> None:
    learner = Rollout(memory_model())
    replays = GraphReplays(learner, learner.trained(), Again)
    one, two = rollout_of(1), rollout_of(1)[::2]
    for segments in (one, two, one, two):
        replays(segments)
    assert len(replays.known) == 2


def test_rounding_pads_what_nothing_follows() -> None:
    segments = rounded(rollout_of(1))
    assert [segment.ids.shape[1] for segment in segments] == [SEGMENT, SEGMENT, LEAST_TOKENS]
    marks = segments[-1].marks
    assert marks is not None and len(marks.places) == LEAST_MARKS
    assert (marks.labels != IGNORED).tolist() == [True] * 5 + [False] * (LEAST_MARKS - 5)
    # The places are those of the padded rows.
    assert torch.equal(segments[-1].ids.flatten()[marks.places[:5]], rollout_of(1)[-1].ids.flatten()[:5])


@pytest.mark.parametrize("count", [1, 2, 5, 300, 2**COUNT_BITS - 1])
def test_a_number_of_times_need_not_be_known(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    kept = torch.linalg.qr(torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64))[0] * 0.99
    one = Transition(kept, torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64))
    for ours, theirs in zip(one.times(torch.tensor(count)), one.times(count), strict=True):
        torch.testing.assert_close(ours, theirs)


PLANTER = Planter(encode, torch.arange(7000) == ord("."))
STORIES = [
    Example(text(20 + 3 * number, seed=number)[0], tuple(AskedTurn([1, 2, 3], ([4, 5], [6])) for _ in range(3)))
    for number in range(24)
]
TASKS: list[TrainingTask] = [
    DistantRecall(PASSKEY, CORPUS),
    ContextDistillation(CORPUS),
    HiddenRecall(
        "facts", [functools.partial(facts.draw_all, task) for task in facts.TASKS], 4, PLANTER, PASSKEY, CORPUS
    ),
    HiddenRecall("keys", [functools.partial(needles.draw_all, "number_of_four")], 4, PLANTER, PASSKEY, CORPUS),
    Instructions(STORIES),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("segments", [(2, 2), (2, 5)])
def test_a_form_has_few_shapes_and_many_contents(task: TrainingTask, segments: tuple[int, int]) -> None:
    phase = Phase(1, {"any": 1.0}, (250, 400), segments, 6000, 3, 4000, shape_buckets=2)
    shapes: dict[int, set[object]] = {}
    contents = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        _, plan = phase.draw(rng)
        assert plan.bucket is not None
        drawn = task.sample(plan, rng)
        shapes.setdefault(plan.bucket, set()).add(signature(rounded(drawn)))  # type: ignore[arg-type]
        contents.add(tuple(drawn[0].ids.flatten().tolist()))
    assert sorted(shapes) == [0, 1] and all(len(found) <= 4 for found in shapes.values())
    assert len(contents) > 15


def test_without_forms_shapes_differ() -> None:
    task = DistantRecall(PASSKEY, CORPUS)
    plan = BatchShape(2, 4, 300, 2, 20)
    assert len({signature(rounded(task.sample(plan, np.random.default_rng(seed)))) for seed in range(20)}) > 10


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("distil", [False, True])
def test_a_cuda_graph_gives_the_loss_and_gradients_of_a_roll_out(distil: bool) -> None:
    model = memory_model(dtype=torch.float32).to("cuda")
    learner = Rollout(model)
    parameters = learner.trained()
    replays = GraphReplays(learner, parameters)
    for seed, times in ((1, 3), (2, 1), (3, 7)):
        segments = rollout_of(seed, distil=distil, times=times)
        loss = replays(segments).loss.clone()
        found = {name: parameter.grad.clone() for name, parameter in parameters.items() if parameter.grad is not None}
        wanted_loss, wanted = anew(model, segments)
        torch.testing.assert_close(loss, wanted_loss, rtol=1e-4, atol=1e-5)
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5, msg=name)
    assert len(replays.known) == 1
