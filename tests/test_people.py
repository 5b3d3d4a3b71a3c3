"""Who is who in a text, and whose name stands for a pronoun."""

from __future__ import annotations

import zlib

import pytest
from infini_attention.documents import Block
from infini_attention.errors import StateError
from infini_attention.summary.taking import take_notes
from infini_attention.text import notes
from infini_attention.text.kept import KeptText
from infini_attention.text.parsing import parsed
from infini_attention.text.passages import sentence_texts
from infini_attention.text.people import people, with_names

TALE = 3 * (
    "Captain Hester Brown came to the island of Orrin in spring. She brought eleven sheep. Hester Brown sold them at once. "
    "She kept none. Davy Lorne, the baker, laughed at Hester Brown. He went home. Davy Lorne said nothing in the evening. "
    "He ate a loaf. Hester Brown looked at the sea from the pier. She smiled. Davy Lorne walked by, and he did not greet. "
    "Old Brown sat on a stone. Mr. Pell asked about the weather of Orrin. Mr. Pell thought of the rain. He said so. "
    "Mr. Pell looked at the clouds over Orrin. "
)


def named(text: str) -> list[str]:
    own = sentence_texts(text)
    return with_names(own, parsed(own), people(parsed(own)))


def test_people_have_one_row_each_with_what_they_are() -> None:
    found = {one.name: one for one in people(parsed(sentence_texts(TALE)))}
    assert {"Davy Lorne", "Mr. Pell"} <= set(found) and "Orrin" not in found
    assert found["Davy Lorne"].what == "the baker" and found["Davy Lorne"].pronoun == "he"
    assert found["Mr. Pell"].mentions == 9
    hester = next(one for one in found.values() if "Hester Brown" in one.names)
    assert hester.pronoun == "she" and hester.sentence == 0


def test_a_pronoun_gives_way_to_the_name_where_it_is_clear_whose() -> None:
    given = named(TALE)
    assert "Davy Lorne ate a loaf." in given and "Mr. Pell said so." in given
    # Two are named before "He went home": nobody knows whose it is.
    assert "He went home." in given
    assert len(given) == len(sentence_texts(TALE))


def test_speech_stays_as_it_is() -> None:
    text = TALE + 'Mr. Pell asked about the tide. "He is late," he said.'
    assert given_end(text) == '"He is late," he said.'


def given_end(text: str) -> str:
    return named(text)[-1]


def test_another_language_has_notes_and_no_people() -> None:
    german = "Der alte Müller ging am Morgen zum Fluss hinunter und zählte dort die Boote des Dorfes. " * 12
    found = take_notes(KeptText("buch", (Block(german),)))
    assert found.language == "de" and found.people == ()
    assert next(found.chapters[0].sentences).text.startswith("Der alte Müller")


def test_notes_survive_a_state_and_what_is_none_is_refused() -> None:
    found = [take_notes(KeptText("tale", (Block(TALE * 3, 4, "One", "iv"),)))]
    packed = notes.pack(found)
    assert notes.unpack(packed) == found and found[0].people[0].span is not None
    for damaged in (packed[:-5], b"", packed + b"x", zlib.compress(b'{"version":1,"sources":[{"name":3}]}')):
        with pytest.raises(StateError):
            notes.unpack(damaged)
    with pytest.raises(StateError, match="version 9"):
        notes.unpack(zlib.compress(b'{"version":9}'))
