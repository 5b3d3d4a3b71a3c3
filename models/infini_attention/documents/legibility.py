"""Whether what came out of a page is text at all: fonts may not tell what their letters are."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_GLYPH_NAMES = re.compile(r"/g[0-9]{1,5}\b|\(cid:[0-9]{1,6}\)|/[Cc][0-9]{1,5}(?=/)|/uni[0-9A-F]{4}\b")
_WORD = re.compile(r"[^\W\d_]+")
# Spacing accents that stand beside their letter instead of above it.
_LOOSE_ACCENT = re.compile("[\u00a8\u02c6\u02c7\u02d8-\u02dd]")
DOUBT = 0.35
_NOT_LATIN = re.compile("[\u0370-\u0eff]")
_LONGEST_WORD = 30
_FEWEST_LINES = 8
_FEWEST_WORDS = 5
_FEWEST_TOKENS = 40
_UNWRITTEN = frozenset(("Cc", "Cn", "Co", "Cs"))
# Scripts that share no word with another; kana and ideographs, which mix, are left out.
_SCRIPTS = (
    ("latin", "a", "\u024f"),
    ("greek", "\u0370", "\u03ff"),
    ("cyrillic", "\u0400", "\u052f"),
    ("armenian", "\u0530", "\u058f"),
    ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u06ff"),
    ("indic", "\u0900", "\u0dff"),
    ("thai", "\u0e00", "\u0eff"),
)
_SAMPLE = 20_000


def garbage(text: str) -> float:
    """How much of a page's text is none, from 0 for text as people write it to 1.

    Letters that nobody writes (U+FFFD, private and unassigned ones, glyph names) are no text. Letters that stand one a
    line, words that are glued or torn, and words of two scripts are text that another backend may read better: for these
    alone it is never more than `DOUBT`.
    """
    text = text[:_SAMPLE]
    solid = sum(map(len, text.split()))
    if not solid:
        return 0.0
    # Most pages have no sign that such a name could begin with.
    named = sum(len(name) for name in _GLYPH_NAMES.findall(text)) if "/" in text or "(cid:" in text else 0
    odd = 0
    if not text.isascii() or not text.isprintable():
        rare = Counter(text)
        odd = sum(
            count
            for letter, count in rare.items()
            if letter == "\ufffd" or (not letter.isspace() and unicodedata.category(letter) in _UNWRITTEN)
        )
    return max(min(1.0, (named + odd) / solid), min(DOUBT, max(0.0, _doubt(text))))


def _doubt(text: str) -> float:
    worst = 0.0
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) >= _FEWEST_LINES:
        # An index has some.
        worst = (sum(1 for line in lines if len(line) == 1 and line.isalpha()) / len(lines) - 0.3) * 1.5
    words = _WORD.findall(text)
    if letters := sum(map(len, words)):
        glued = sum(len(word) for word in words if len(word) > _LONGEST_WORD and word.isascii())
        worst = max(worst, glued / letters)
    if len(words) >= _FEWEST_WORDS:
        foreign = [word for word in words if _NOT_LATIN.search(word)] if _NOT_LATIN.search(text) else []
        mixed = sum(1 for word in foreign if len({_script(letter) for letter in word} - {None}) > 1)
        worst = max(worst, mixed / len(words), len(_LOOSE_ACCENT.findall(text)) / len(words))
    tokens = text.split()
    if len(tokens) >= _FEWEST_TOKENS:
        # Formulas have letters that stand alone too: only a page of little else is torn.
        alone = sum(1 for token in tokens if len(token) == 1 and token.isascii() and token.isalpha())
        worst = max(worst, (alone / len(tokens) - 0.5) * 2)
    return worst


def _script(letter: str) -> str | None:
    folded = letter.casefold()[:1]
    return next((name for name, first, last in _SCRIPTS if first <= folded <= last and folded != "\u00b5"), None)
