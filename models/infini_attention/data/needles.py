"""Needles: sentences hidden in hay, and questions about what they said.

The kinds are modelled on the tasks of RULER (Hsieh et al. 2024, arXiv 2404.06654), which ``evaluate.published``
reads as they are. Sentences, questions and keys here are our own, so scores compare between models read here alone.

==================  ==============================  =====  ======  ===========================================
kind                hay                             key    value   asked
==================  ==============================  =====  ======  ===========================================
``filler_number``   the repeated filler             words  number  the one value
``number``          a text                          words  number  the one value
``uuid``            a text                          words  UUID    the one value
``number_of_four``  a text                          words  number  one value among distractors
``number_of_many``  as many distractors as fill it  words  number  one value among distractors
``uuid_of_many``    as many distractors as fill it  UUID   UUID    one value among distractors
``four_values``     a text                          words  number  all four values of the one key
``four_keys``       a text                          words  number  the values of four keys
``variables``       the repeated filler                            all variables that a value was handed on to
==================  ==============================  =====  ======  ===========================================
"""

from __future__ import annotations

import string
import uuid
from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np

from .hiding import Hidden, names
from .words import draw_keys

KINDS = (
    "filler_number",
    "number",
    "uuid",
    "number_of_four",
    "number_of_many",
    "uuid_of_many",
    "four_values",
    "four_keys",
    "variables",
)
# Those with needles of one form beside the one that is asked for.
KEYED = ("number_of_four", "number_of_many", "uuid_of_many")
# Those whose hay is the repeated filler.
FILLER_KINDS = ("filler_number", "variables")
# The least mean score of a length that counts as mastered: as in RULER, where Llama-2-7B (chat) has it at 4K tokens.
EFFECTIVE = 0.856

# Values of a key, and keys asked for, where a kind has several.
SEVERAL = 4
# Variables that have the one value: it is set once and handed on four times.
VARIABLES = 5
NAME_LETTERS = 5


def draw(kind: str, rng: np.random.Generator, distractors: int = 3) -> Hidden:
    """Needles of a kind and the question about them; no key and no value occurs twice.

    Args:
        kind: one of ``KINDS``.
        rng: the only source of chance.
        distractors: needles of the kinds in ``KEYED`` that are not asked for; the others have none.

    Raises:
        ValueError: there is no such kind, or there are fewer keys than that many distractors take.
    """
    asked = draw_all(kind, rng, distractors)
    return asked[int(rng.integers(len(asked)))]


def draw_all(kind: str, rng: np.random.Generator, distractors: int = 3) -> list[Hidden]:
    """Needles of a kind with every question that can be asked about them: one for each key of the kinds in ``KEYED``.

    Args:
        kind: as for ``draw``.
        rng: the only source of chance.
        distractors: as for ``draw``.

    Raises:
        ValueError: as for ``draw``.
    """
    if distractors < 0:
        raise ValueError(f"{distractors} distractors")
    match kind:
        case "filler_number" | "number":
            return _each("number", draw_keys(rng, 1), _numbers(rng, 1))
        case "uuid":
            return _each("UUID", draw_keys(rng, 1), _uuids(rng, 1))
        case "number_of_four" | "number_of_many":
            return _each("number", draw_keys(rng, 1 + distractors), _numbers(rng, 1 + distractors))
        case "uuid_of_many":
            return _each("UUID", _uuids(rng, 1 + distractors), _uuids(rng, 1 + distractors))
        case "four_values":
            return [_multivalue(rng)]
        case "four_keys":
            return [_multiquery(rng)]
        case "variables":
            return [_variables(rng)]
    raise ValueError(f"no kind of needles is called {kind!r}")


def score(answer: str, hidden: Hidden) -> float:
    """Share of the answers that were said, 0 to 1, in any case and order; only whole words and numbers count."""
    return sum(names(answer, part) for part in hidden.answers) / len(hidden.answers)


def effective_length(scores: Mapping[int, float]) -> int | None:
    """The longest length that, like all shorter ones, scores at least ``EFFECTIVE``; ``None`` if the shortest fails.

    Args:
        scores: lengths, in tokens, to mean scores, 0 to 1.
    """
    return max(takewhile(lambda length: scores[length] >= EFFECTIVE, sorted(scores)), default=None)


def _each(noun: str, keys: Sequence[str], values: Sequence[str]) -> list[Hidden]:
    records = _records(noun, keys, values)
    return [
        Hidden(records, _ask(f"{noun} on record for {key}", "is"), (value,))
        for key, value in zip(keys, values, strict=True)
    ]


def _multivalue(rng: np.random.Generator) -> Hidden:
    (key,), values = draw_keys(rng, 1), _numbers(rng, SEVERAL)
    prompt = _ask(f"{SEVERAL} numbers on record for {key}", "are")
    return Hidden(_records("number", [key] * SEVERAL, values), prompt, values)


def _multiquery(rng: np.random.Generator) -> Hidden:
    keys, values = draw_keys(rng, SEVERAL), _numbers(rng, SEVERAL)
    # Seldom the order in which they are read: the numbers are to be looked up by their keys, not said as they came.
    order = rng.permutation(SEVERAL).tolist()
    *others, last = (keys[place] for place in order)
    prompt = _ask(f"numbers on record for {', '.join(others)} and {last}", "are")
    return Hidden(_records("number", keys, values), prompt, tuple(values[place] for place in order))


def _variables(rng: np.random.Generator) -> Hidden:
    """A value set once and handed on from variable to variable; all that have it are asked for."""
    (value,), names = _numbers(rng, 1, digits=5), _names(rng, VARIABLES)
    # Not used: it leaves ``rng`` where it was when the scores in docs/evaluation.md were measured.
    rng.permutation(VARIABLES)
    sources = (value, *(f"variable {name}" for name in names))
    needles = tuple(f" Variable {name} is set to {source}." for name, source in zip(names, sources, strict=False))
    return Hidden(needles, _ask(f"{VARIABLES} variables that have the value {value}", "are"), names)


def _records(noun: str, keys: Sequence[str], values: Sequence[str]) -> tuple[str, ...]:
    return tuple(f" A {noun} on record for {key} is {value}." for key, value in zip(keys, values, strict=True))


def _ask(what: str, verb: str) -> str:
    return f" What {verb} the {what}? The {what} {verb}"


def _numbers(rng: np.random.Generator, count: int, digits: int = 7) -> tuple[str, ...]:
    least = 10 ** (digits - 1)
    return tuple(str(least + number) for number in rng.choice(9 * least, count, replace=False).tolist())


def _uuids(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    # 122 random bits each: none is drawn twice.
    data = rng.bytes(16 * count)
    return tuple(str(uuid.UUID(bytes=data[start : start + 16], version=4)) for start in range(0, len(data), 16))


def _names(rng: np.random.Generator, count: int) -> tuple[str, ...]:
    letters = string.ascii_uppercase
    places = [len(letters) ** place for place in range(NAME_LETTERS)]
    numbers = rng.choice(len(letters) ** NAME_LETTERS, count, replace=False).tolist()
    return tuple("".join(letters[number // place % len(letters)] for place in places) for number in numbers)
