"""Every training task by its name in a plan, made from texts, and whether a plan can use it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..data.corpus import Corpus, load_corpus
from ..data.hiding import Planter, sentence_ends
from ..data.passkey import Passkey
from ..data.stories import Story, load_stories
from ..errors import InfiniError
from ..evaluate.baselines.recurrent import NAME
from ..model.loading import Loaded
from ..model.weights import cache_dir
from .distant_passkeys import DistantRecall
from .hidden_recall import FACT_QUESTIONS, KEY_QUESTIONS, HiddenRecall, fact_draws, key_draws, needle_draws
from .note_alignment import NoteTaking, note_task
from .note_writing import Writable, Writing
from .passage_reading import Readable, Reading, ReadingNumbers
from .plan import Phase, TrainingPlan
from .questions import Instructions, LookingBack, look_back_task, passage_task, question_task, summary_task
from .reranking import FEWEST_QUESTIONS, Choosable, PassageChoice
from .tasks import ContextDistillation, LanguageModelling, PasskeyRecall, Task

# What can be trained.
MEMORY, JUDGE, READER, WRITER = "memory", "judge", "reader", "writer"
SYSTEMS = (MEMORY, JUDGE, READER, WRITER, NAME)
QUESTIONS, LOOK_BACK, SUMMARIES = "questions", "look_back", "summaries"
PASSAGES, INSTRUCTED = "passage_questions", "instructed_distillation"
# Tasks that need texts with what was asked about them.
ASKED = (QUESTIONS, PASSAGES, INSTRUCTED, LOOK_BACK, SUMMARIES, NoteTaking.name)
NEEDLES, KEYS, FACTS = "needles", "keys", "facts"
# The only ones that these systems learn from, and that only they do.
OWN = {JUDGE: (PassageChoice.name,), READER: (Reading.name, ReadingNumbers.name), WRITER: (Writing.name,)}
OWNED = tuple(name for names in OWN.values() for name in names)
# Tasks that need long texts.
TEXTS = (LanguageModelling.name, ContextDistillation.name, ReadingNumbers.name)
_HIDDEN = (PasskeyRecall.name, DistantRecall.name, NEEDLES, KEYS, FACTS)
TASKS = tuple(dict.fromkeys((*TEXTS, *_HIDDEN, *ASKED, *OWNED)))


@dataclasses.dataclass(frozen=True, slots=True)
class Prompts:
    """How a person's wishes are put to the model.

    Attributes:
        question: a question to an instruction.
        summary: a number of words to an instruction.
        note: a number of words and a text to an instruction that holds the text.
    """

    question: Callable[[str], str] = "Question: {}".format
    summary: Callable[[int], str] = "Summarize the text in about {} words.".format
    note: Callable[[int, str], str] = "Summarize this text in about {} words.\n\n{}".format


@dataclasses.dataclass(frozen=True, slots=True)
class Cuts:
    """How texts are cut for each system that learns from passages with questions, or from parts with notes.

    Attributes:
        judge: for a judge of passages.
        reader: for a reader.
        numbers: for a reader, with questions for the text's own numbers, drawn anew each time.
        writer: for a writer.
    """

    judge: Callable[[Story], Choosable]
    reader: Callable[[Story], Readable]
    numbers: Callable[[str, np.random.Generator], Readable]
    writer: Callable[[Story], Iterable[Writable]]


def tasks_of(
    loaded: Loaded,
    plan: TrainingPlan,
    data: Path | None,
    *,
    questions: Path | None = None,
    prompts: Prompts = Prompts(),
    system: str = MEMORY,
    cuts: Cuts | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> dict[str, Task]:
    """The plan's tasks by name, with their texts.

    Args:
        loaded: the model, for its tokenizer.
        plan: what is to be trained.
        data: texts for language modelling and for hay (see ``texts.load_corpus``).
        questions: texts with questions and summaries (see ``stories.load_stories``).
        prompts: how these are asked for.
        system: what is to be trained, one of ``SYSTEMS``.
        cuts: how texts are cut for a judge, a reader or a writer, which can only be trained with them.
        notify: told what is going on.

    Raises:
        InfiniError: the plan asks for tasks that are unknown, need texts that were not given, or have no room.
    """
    wanted = plan.tasks
    if unknown := sorted(wanted - set(TASKS)):
        raise InfiniError(f"unknown training tasks: {', '.join(unknown)}", f"known tasks are {', '.join(TASKS)}")
    learnable = set(OWN[system]) if system in OWN else set(TASKS) - set(OWNED)
    for name in sorted(wanted):
        if name not in learnable:
            own = ", ".join(f"a {system} {' and '.join(tasks)}" for system, tasks in OWN.items())
            raise InfiniError(
                f"the system {system} cannot learn the task {name}",
                f"in a plan, give {own} alone, and the others to other systems",
            )
    corpus = None
    if data is not None and (system not in OWN or wanted & set(TEXTS)):
        corpus = load_corpus(data, loaded.encode, loaded.origin.base, cache_dir() / "tokens", notify=notify)
    if system in OWN:
        if cuts is None:
            raise ValueError(f"a {system} is trained on texts that were cut for it")
        stories = [] if questions is None else load_stories(questions)
        return {name: _own(name, loaded, corpus, stories, cuts) for name in sorted(wanted)}
    tasks: dict[str, Task] = {}
    if corpus is not None:
        tasks |= {kind.name: kind(corpus) for kind in (LanguageModelling, ContextDistillation)}
    passkey = Passkey(loaded.encode)
    tasks[PasskeyRecall.name] = PasskeyRecall(passkey, corpus)
    tasks[DistantRecall.name] = DistantRecall(passkey, corpus)
    if wanted & {NEEDLES, KEYS, FACTS}:
        planter = Planter(loaded.encode, sentence_ends(loaded.tokenizer))
        tasks[NEEDLES] = HiddenRecall(NEEDLES, needle_draws(), 1, planter, passkey, corpus)
        tasks[KEYS] = HiddenRecall(KEYS, key_draws(), KEY_QUESTIONS, planter, passkey, corpus)
        tasks[FACTS] = HiddenRecall(FACTS, fact_draws(), FACT_QUESTIONS, planter, passkey, corpus)
    if questions is not None and wanted & set(ASKED):
        stories = load_stories(questions)
        asked: dict[str, Callable[[], Task]] = {
            QUESTIONS: lambda: question_task(loaded, stories, prompts.question),
            PASSAGES: lambda: passage_task(loaded, stories, prompts.question),
            INSTRUCTED: lambda: passage_task(loaded, stories, prompts.question, distil=True),
            LOOK_BACK: lambda: look_back_task(loaded, stories, prompts.question),
            SUMMARIES: lambda: summary_task(loaded, stories, prompts.summary),
            NoteTaking.name: lambda: note_task(loaded, stories, prompts.note),
        }
        tasks |= {name: make() for name, make in asked.items() if name in wanted}
    for name in sorted(wanted):
        _check(name, tasks)
    for phase in plan.phases:
        _check_room(phase, tasks, loaded, system)
    return tasks


def _own(name: str, loaded: Loaded, corpus: Corpus | None, stories: Sequence[Story], cuts: Cuts) -> Task:
    if name == ReadingNumbers.name:
        if corpus is None:
            raise _lacking(name)
        return ReadingNumbers(corpus, lambda ids, rng: cuts.numbers(loaded.tokenizer.decode(ids), rng))
    if name == Writing.name:
        writing = Writing([part for story in stories for part in cuts.writer(story)])
        if not writing.parts:
            raise InfiniError(
                f"the task {name} needs texts with summaries that tell what stands in them",
                "pass --questions FILE or --questions FOLDER with JSON lines",
            )
        return writing
    task: PassageChoice | Reading
    if name == PassageChoice.name:
        task = PassageChoice([cuts.judge(story) for story in stories])
        wanted = f"at least {FEWEST_QUESTIONS} questions"
    else:
        task, wanted = Reading([cuts.reader(story) for story in stories]), "questions"
    if not task.texts:
        raise InfiniError(
            f"the task {task.name} needs texts with {wanted} each, and their evidence",
            "pass --questions FILE or --questions FOLDER with JSON lines",
        )
    return task


def _lacking(name: str) -> InfiniError:
    option, what = ("--data", "long texts") if name in TEXTS else ("--questions", "JSON lines")
    return InfiniError(f"the task {name} needs texts", f"pass {option} FILE or {option} FOLDER with {what}")


def _check(name: str, tasks: Mapping[str, Task]) -> None:
    if name not in tasks:
        raise _lacking(name)
    task = tasks[name]
    if isinstance(task, Instructions | LookingBack | NoteTaking) and not task.examples:
        raise InfiniError(f"no text comes with {name}", "leave the task out of the plan, or pass other texts")


def _check_room(phase: Phase, tasks: Mapping[str, Task], loaded: Loaded, system: str) -> None:
    writer = f"the {loaded.config.update_rule} rule" if system == MEMORY else f"the system {system}"
    can_echo = system == MEMORY and loaded.config.update_rule == "deltanet"
    for name in (name for name, weight in phase.tasks.items() if weight > 0):
        task = tasks[name]
        if isinstance(task, PasskeyRecall | DistantRecall) and not task.fits(phase.segments[0], min(phase.lengths)):
            raise InfiniError(
                f"{phase.segments[0]} segments of {min(phase.lengths)} tokens have no room for a {name}",
                "give the plan's phase longer segments, or more of them",
            )
        if isinstance(task, ContextDistillation):
            _check_context(phase, loaded)
        echoed = isinstance(task, DistantRecall | HiddenRecall) and phase.echoes > 0
        if echoed and not can_echo:
            raise InfiniError(
                f"{writer} cannot write a segment again, as the task {name} does",
                "leave the task out of the plan, or set its phase's echoes to 0",
            )


def _check_context(phase: Phase, loaded: Loaded) -> None:
    room = getattr(loaded.model.config, "max_position_embeddings", None)
    longest = max(phase.most_segments(length) * length for length in phase.lengths)
    if room is not None and longest > room:
        raise InfiniError(
            f"roll-outs of up to {longest} tokens do not fit into the base's context of {room}, as "
            f"{ContextDistillation.name} needs",
            "give the plan's phase fewer tokens, or shorter segments",
        )
