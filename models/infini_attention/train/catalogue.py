"""Every training task by its name in a plan, made from texts, and whether a plan can use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..data.corpus import Corpus, load_corpus
from ..data.hiding import Planter, sentence_ends
from ..data.passkey import Passkey
from ..data.stories import Story, load_stories
from ..errors import InfiniError
from ..evaluate.baselines.recurrent import NAME
from ..model.loading import Loaded
from ..model.weights import cache_dir
from .chat_questions import ChatQuestions
from .distant_passkeys import DistantRecall
from .hidden_recall import FACT_QUESTIONS, KEY_QUESTIONS, HiddenRecall, fact_draws, key_draws, needle_draws
from .passage_cuts import choosable, numbered, readable
from .passage_reading import PassageReading, ReadingNumbers
from .questions import Instructions, question_task
from .reranking import FEWEST_QUESTIONS, PassageChoice
from .tasks import ContextDistillation, LanguageModelling, TrainingTask
from .training_plan import Phase, TrainingPlan
from .view_reading import ViewReading

# What can be trained.
MEMORY, RERANKER, READER = "memory", "reranker", "reader"
SYSTEMS = (MEMORY, RERANKER, READER, NAME)
NEEDLES, KEYS, FACTS = "needles", "keys", "facts"
# The same, with questions as a person puts them.
CHAT = "chat_"
# The only ones that these systems learn from, and that only they do.
OWN = {
    RERANKER: (PassageChoice.name,),
    READER: (PassageReading.name, ReadingNumbers.name, ViewReading.name),
}
OWNED = tuple(name for names in OWN.values() for name in names)
# Tasks that need long texts.
TEXTS = (LanguageModelling.name, ContextDistillation.name, ReadingNumbers.name)
# Tasks that need texts with what was asked about them.
ASKED = (Instructions.name, PassageChoice.name, PassageReading.name, ViewReading.name)
TASKS = (*TEXTS, DistantRecall.name, NEEDLES, KEYS, FACTS, *(CHAT + name for name in (NEEDLES, KEYS, FACTS)), *ASKED)


def lacking(plan: TrainingPlan, data: Path | None, questions: Path | None) -> frozenset[str]:
    """Names of the plan's tasks whose texts were not given."""
    return plan.tasks & frozenset((*(TEXTS if data is None else ()), *(ASKED if questions is None else ())))


def tasks_of(
    loaded: Loaded,
    plan: TrainingPlan,
    data: Path | None,
    *,
    questions: Path | None = None,
    system: str = MEMORY,
    notify: Callable[[str], None] = lambda text: None,
) -> dict[str, TrainingTask]:
    """The plan's tasks by name, with their texts.

    Args:
        loaded: the model, for its tokenizer.
        plan: what is to be trained.
        data: texts for language modelling and for hay (see ``corpus.load_corpus``).
        questions: texts with questions and summaries (see ``stories.load_stories``).
        system: what is to be trained, one of ``SYSTEMS``.
        notify: called with what is going on.

    Raises:
        InfiniError: the plan asks for tasks that are unknown, need texts that were not given, or have no room.
    """
    wanted = plan.tasks
    _check_names(wanted, system)
    corpus = None
    if data is not None and (system not in OWN or wanted & set(TEXTS)):
        corpus = load_corpus(data, loaded.encode, loaded.origin.base, cache_dir() / "tokens", notify=notify)
    elif absent := sorted(wanted & set(TEXTS)):
        raise InfiniError(f"the task {absent[0]} needs texts", "pass --data FILE or --data FOLDER with long texts")
    stories = [] if questions is None or not wanted & set(ASKED) else load_stories(questions)
    tasks = {name: _task(name, loaded, corpus, stories) for name in sorted(wanted)}
    if system not in OWN:
        for phase in plan.phases:
            _check_room(phase, tasks, loaded, system)
    return tasks


def _check_names(wanted: frozenset[str], system: str) -> None:
    if unknown := sorted(wanted - set(TASKS)):
        raise InfiniError(f"unknown training tasks: {', '.join(unknown)}", f"known tasks are {', '.join(TASKS)}")
    learnable = set(OWN[system]) if system in OWN else set(TASKS) - set(OWNED)
    if foreign := sorted(wanted - learnable):
        own = ", ".join(f"a {system} {' and '.join(tasks)}" for system, tasks in OWN.items())
        raise InfiniError(
            f"the system {system} cannot learn the task {foreign[0]}",
            f"in a plan, give {own} alone, and the others to other systems",
        )


def _task(name: str, loaded: Loaded, corpus: Corpus | None, stories: Sequence[Story]) -> TrainingTask:
    if name in ASKED:
        return _asked(name, loaded, stories)
    if corpus is not None and name in TEXTS:
        if name == ReadingNumbers.name:
            return ReadingNumbers(corpus, lambda ids, rng: numbered(loaded, loaded.tokenizer.decode(ids), rng))
        return ContextDistillation(corpus) if name == ContextDistillation.name else LanguageModelling(corpus)
    passkey = Passkey(loaded.encode)
    if name == DistantRecall.name:
        return DistantRecall(passkey, corpus)
    draws, questions = {
        NEEDLES: (needle_draws, 1),
        KEYS: (key_draws, KEY_QUESTIONS),
        FACTS: (fact_draws, FACT_QUESTIONS),
    }[name.removeprefix(CHAT)]
    planter = Planter(loaded.encode, sentence_ends(loaded.tokenizer))
    put = ChatQuestions(loaded) if name.startswith(CHAT) else None
    return HiddenRecall(name, draws(), questions, planter, passkey, corpus, put)


def _asked(name: str, loaded: Loaded, stories: Sequence[Story]) -> TrainingTask:
    """A task of texts with what is asked about them."""
    task: TrainingTask
    found: Sequence[object]
    if name == Instructions.name:
        task = question_task(loaded, stories)
        found, wanted = task.examples, "questions"
    elif name == PassageChoice.name:
        task = PassageChoice([choosable(loaded, story) for story in stories])
        found, wanted = task.texts, f"at least {FEWEST_QUESTIONS} questions each, and their evidence"
    elif name == ViewReading.name:
        task = ViewReading(loaded, stories)
        found, wanted = task.texts, "questions each"
    else:
        task = PassageReading([readable(loaded, story) for story in stories])
        found, wanted = task.texts, "questions each, and their evidence"
    if not found:
        raise InfiniError(
            f"the task {name} needs texts with {wanted}",
            "pass --questions FILE or --questions FOLDER with JSON lines",
        )
    return task


def _check_room(phase: Phase, tasks: Mapping[str, TrainingTask], loaded: Loaded, system: str) -> None:
    adapter = f"the {loaded.config.update_rule} rule" if system == MEMORY else f"the system {system}"
    can_replay = system == MEMORY and loaded.config.update_rule == "deltanet"
    for name in (name for name, weight in phase.tasks.items() if weight > 0):
        task = tasks[name]
        if isinstance(task, DistantRecall) and not task.fits(phase.segments[0], min(phase.lengths)):
            raise InfiniError(
                f"{phase.segments[0]} segments of {min(phase.lengths)} tokens have no room for a {name}",
                "give the plan's phase longer segments, or more of them",
            )
        if isinstance(task, ContextDistillation):
            _check_context(phase, loaded)
        replayed = isinstance(task, DistantRecall | HiddenRecall) and phase.replayed_tokens > 0
        if replayed and not can_replay:
            raise InfiniError(
                f"{adapter} cannot write a segment again, as the task {name} does",
                "leave the task out of the plan, or set its phase's replayed_tokens to 0",
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
