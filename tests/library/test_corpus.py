"""Corpora: windows of one text, held-out texts, the token cache."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infini_attention.data.corpus import Corpus, load_corpus
from infini_attention.errors import InfiniError


def corpus_of(lengths: list[int]) -> Corpus:
    """Texts whose tokens tell their text and place: 1000 * text + place."""
    tokens = [1000 * number + place for number, length in enumerate(lengths) for place in range(length)]
    return Corpus(np.asarray(tokens, dtype=np.uint32), np.cumsum(lengths))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 12), st.integers(0, 1000))
def test_a_window_is_consecutive_and_never_crosses_texts(lengths: list[int], length: int, seed: int) -> None:
    corpus = corpus_of(lengths)
    if max(lengths) < length:
        with pytest.raises(InfiniError, match=f"{length} tokens"):
            corpus.window(length, np.random.default_rng(seed))
        return
    window = corpus.window(length, np.random.default_rng(seed)).tolist()
    assert window == list(range(window[0], window[0] + length))
    assert window[0] // 1000 == window[-1] // 1000
    assert corpus.window(length, np.random.default_rng(seed)).tolist() == window


def test_all_windows_are_drawn_evenly_first_and_last_of_each_text_too() -> None:
    corpus, rng = corpus_of([5, 2, 0, 4, 3]), np.random.default_rng(0)
    drawn = [int(corpus.window(3, rng)[0]) for _ in range(6000)]
    counts = {start: drawn.count(start) for start in set(drawn)}
    assert sorted(counts) == [0, 1, 2, 3000, 3001, 4000]
    assert all(850 < count < 1150 for count in counts.values())


def encode(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def texts_of(corpus: Corpus) -> list[str]:
    pairs = zip(corpus.starts, corpus.ends, strict=True)
    return ["".join(chr(token) for token in corpus.tokens[start:end]) for start, end in pairs]


TEXTS = [f"text number {number} tells of {number * number} things" for number in range(80)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts in every format, in folders below each other."""
    made = tmp_path / "data"
    (made / "below").mkdir(parents=True)
    lines = [json.dumps({"text": text, "title": "x"}) for text in TEXTS]
    (made / "a.jsonl").write_text("\n".join(lines[:30]) + "\n")
    (made / "below" / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines[30:60]).encode()))
    for number, text in enumerate(TEXTS[60:]):
        (made / "below" / f"{number}{'.txt' if number % 2 else '.md'}").write_text(text)
    (made / "other.csv").write_text("not a text")
    return made


def test_held_out_texts_and_training_texts_are_disjoint_and_together_all(folder: Path, tmp_path: Path) -> None:
    train, held = (
        texts_of(load_corpus(folder, encode, "id", tmp_path / "cache", held_out=held, share=0.2))
        for held in (False, True)
    )
    assert not set(train) & set(held)
    assert sorted(train + held) == sorted(TEXTS)
    assert 4 <= len(held) <= 32


def test_a_text_falls_to_its_share_whatever_stands_beside_it(folder: Path, tmp_path: Path) -> None:
    held = set(texts_of(load_corpus(folder, encode, "id", tmp_path / "cache", held_out=True, share=0.2)))
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS[:40]))
    again = set(texts_of(load_corpus(few, encode, "id", tmp_path / "cache", held_out=True, share=0.2)))
    assert again == held & set(TEXTS[:40])


def test_the_second_load_comes_from_the_cache_until_something_changes(folder: Path, tmp_path: Path) -> None:
    cache, calls = tmp_path / "cache", []

    def counting(text: str) -> list[int]:
        calls.append(text)
        return encode(text)

    first = texts_of(load_corpus(folder, counting, "id", cache))
    done = len(calls)
    assert texts_of(load_corpus(folder, counting, "id", cache)) == first and len(calls) == done
    load_corpus(folder, counting, "another tokenizer", cache)
    assert len(calls) == 2 * done
    (folder / "below" / "0.md").write_text("a text of another length than before")
    load_corpus(folder, counting, "id", cache)
    assert len(calls) > 2 * done


def test_a_single_text_is_trained_on_whatever_its_share(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the only text")
    corpus = load_corpus(tmp_path / "a.txt", encode, "id", tmp_path / "cache", share=1.0)
    assert texts_of(corpus) == ["the only text"]


def test_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InfiniError, match="no texts"):
        load_corpus(tmp_path / "empty", encode, "id", tmp_path / "cache")
    with pytest.raises(InfiniError, match="no texts"):
        load_corpus(tmp_path / "nowhere", encode, "id", tmp_path / "cache")
    (tmp_path / "blank.txt").write_text("")
    with pytest.raises(InfiniError, match="no texts"):
        load_corpus(tmp_path / "blank.txt", encode, "id", tmp_path / "cache", held_out=False, share=0.0)


def test_blocks_do_not_overlap_and_stay_within_their_texts() -> None:
    corpus = Corpus(np.arange(100, dtype=np.uint32), np.asarray([35, 40, 100]))
    blocks = corpus.blocks(10, 99, np.random.default_rng(0))
    assert sorted(block[0].item() for block in blocks) == [0, 10, 20, 40, 50, 60, 70, 80, 90]
    assert all(block.tolist() == list(range(block[0], block[0] + 10)) for block in blocks)
    few = corpus.blocks(10, 4, np.random.default_rng(1))
    assert len({int(block[0]) for block in few}) == 4
    with pytest.raises(InfiniError, match="61 tokens long"):
        corpus.blocks(61, 1, np.random.default_rng(0))
