from __future__ import annotations

import pytest
from document_helpers import load
from infini_attention.documents.language import language_of, stemmer_of, stop_words_of
from infini_attention.text.search import stems

GERMAN = (
    "Der Müller ging zur Mühle und sah, dass die Häuser am Fluss leer standen. Niemand hatte die Boote gezählt. " * 3
)
FRENCH = (
    "Le meunier est allé au moulin et il a vu que les maisons étaient vides. Personne ne comptait les bateaux. " * 3
)
ENGLISH = (
    "The miller went to the mill and saw that the houses by the river were empty. Nobody had counted the boats. " * 3
)
JAPANESE = "これは日本語の文章です。粉屋は川のそばの家が空であることを見ました。誰も舟を数えていませんでした。" * 8


@pytest.mark.parametrize(
    ("text", "language"), [(GERMAN, "de"), (FRENCH, "fr"), (ENGLISH, "en"), (JAPANESE, "ja"), ("12.4", None)]
)
def test_the_language_of_a_text(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_words_have_the_stems_of_their_language() -> None:
    assert (stemmer_of("de"), stemmer_of("ja"), stemmer_of(None)) == ("german", None, "english")
    assert (stop_words_of("nb"), stop_words_of("pl"), stop_words_of(None)) == ("no", None, "en")
    house, houses = stems(["Haus", "Häuser"], "de")
    assert stems(["die Häuser und der Fluss"], "de")[0] == [*houses, *stems(["Fluss"], "de")[0]]
    assert house and stems(["maisons"], "fr") == stems(["maison"], "fr")
    assert stems(["the houses"], None) == stems(["house"], None)


def test_a_language_without_tools_is_noted() -> None:
    document = load(JAPANESE.encode())
    assert document.language == "ja" and any("'ja'" in note for note in document.notes)
    assert load(GERMAN.encode()).notes == ()
