"""Looking back as `infini eval qa` measures it: which parts of a story are read again before a question."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..qa.refuse import refuses, support
from ..qa.retrieve import Found, LookBack
from ..qa.view import in_view
from ..text.kept import KeptText

if TYPE_CHECKING:
    from .. import Loaded
    from ..data.stories import Question, Story
    from ..qa.reranker import PassageJudge
    from .refusals import Refuses
    from .story_probes import Passage, View

# Of a passage's words, the share that has to stand in the right part for it to count as cited from there.
SHARED = 0.5
# A story, a question and the number of the instruction's tokens to the passages that speak for it.
Finder: TypeAlias = "Callable[[Story, str, int], tuple[LookBack, list[Found]]]"


def look_back(loaded: Loaded) -> View:
    """The view of `infini ask`: the passages that it would put before the question. The best of them is cited."""
    return _view(loaded, _finder(loaded))


def by_words(loaded: Loaded) -> View:
    """The view of a search engine: the passages that share most with the question, whatever the model makes of them."""
    return _view(loaded, _finding(loaded, None, LookBack.find_by_words))


def _view(loaded: Loaded, find: Finder) -> View:
    from .story_probes import Passage, View

    by_reader = loaded.recipe.reader_file is not None

    def passages(story: Story, question: Question, prompt_tokens: int) -> Sequence[Passage]:
        back, found = find(story, question.question, prompt_tokens)
        return [
            Passage(back.ids(one.passage), one is found[0] and stands_in(one.passage.text, question))
            for one in back.ordered(in_view(question.question, found, by_reader=by_reader).found)
        ]

    return View(passages, cites=True)


def supporting(loaded: Loaded) -> Callable[[Story, str, int], float]:
    """How much a story supports a question (see `refusal.support`), found as `infini ask` finds it.

    The third argument is the number of the instruction's tokens.
    """
    find = _finder(loaded)
    return lambda story, question, prompt_tokens: support(question, find(story, question, prompt_tokens)[1])


def refusing(loaded: Loaded) -> Refuses:
    """Whether `infini ask` would refuse to answer."""
    find = _finder(loaded)
    return lambda story, question, prompt_tokens: refuses(loaded, question, find(story, question, prompt_tokens)[1])


def _finder(loaded: Loaded) -> Finder:
    from ..qa.reranker import load_judge

    return _finding(loaded, load_judge(loaded.model, loaded.recipe.judge_file), LookBack.find)


def _finding(loaded: Loaded, judge: PassageJudge | None, way: Callable[[LookBack, str, int], list[Found]]) -> Finder:
    from .story_probes import ANSWER_TOKENS

    @functools.lru_cache(1)
    def back_of(text: str) -> LookBack:
        return LookBack(loaded, [KeptText.of("story", text)], judge)

    def find(story: Story, question: str, prompt_tokens: int) -> tuple[LookBack, list[Found]]:
        back = back_of(story.text)
        return back, way(back, question, loaded.config.segment_length - prompt_tokens - ANSWER_TOKENS)

    return find


def stands_in(text: str, question: Question) -> bool:
    """Whether a passage is of the part of the text that a question's answer stands in."""
    # Sentences are joined and spaces evened out in a passage, so words are compared, pair by pair.
    words, right = text.split(), (question.evidence or "").split()
    known = set(itertools.pairwise(right))
    pairs = list(itertools.pairwise(words))
    return bool(pairs) and sum(pair in known for pair in pairs) >= SHARED * len(pairs)
