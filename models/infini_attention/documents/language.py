"""What language a text is written in, and which tools there are for it."""

from __future__ import annotations

import re

# PyStemmer's algorithms, by ISO 639-1 code.
_STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
# Languages whose words that say little are known to bm25s under the same code.
_STOP_WORDS = frozenset(("da", "de", "en", "es", "fr", "it", "ko", "nl", "no", "pt", "ru", "sv", "tr", "zh"))
_WORD = re.compile(r"[^\W\d_]+")
# Words that make up a good part of any English text, and of no other: for most texts, no detector has to be loaded.
_ENGLISH = frozenset(("the", "of", "and", "to", "that", "with", "for", "was", "his", "it", "be", "by", "this", "which"))
_MOSTLY_ENGLISH = 0.14
_FEWEST_WORDS = 50
_SAMPLE = 3000


def language_of(text: str) -> str | None:
    """The language of a text as an ISO 639-1 code, after its beginning, its middle and its end.

    Returns:
        None for a text of too few words.
    """
    middle = max(0, len(text) // 2 - _SAMPLE // 2)
    sample = " ".join(dict.fromkeys((text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:])))
    words = _WORD.findall(sample.lower())
    if sum(word in _ENGLISH for word in words) >= _MOSTLY_ENGLISH * max(len(words), _FEWEST_WORDS):
        return "en"
    # Some scripts write no spaces between words.
    if len(words) < _FEWEST_WORDS and sum(map(len, words)) < 5 * _FEWEST_WORDS:
        return None
    import py3langid

    return str(py3langid.classify(" ".join(words))[0])


def stemmer_of(language: str | None) -> str | None:
    """Name of PyStemmer's algorithm for a language; English where the language is not known, None where there is none."""
    return "english" if language is None else _STEMMERS.get(language)


def stop_words_of(language: str | None) -> str | None:
    """The name by which bm25s knows the words of a language that say little; None where it knows none."""
    if language is None:
        return "en"
    code = "no" if language in ("nb", "nn") else language
    return code if code in _STOP_WORDS else None
