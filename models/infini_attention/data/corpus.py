"""Token corpora for training: long texts, tokenised once, kept as a flat memory-mapped array."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InfiniError
from ..files import atomic_writer, make_private

TEXT_SUFFIXES = (".txt", ".md", ".jsonl", ".jsonl.gz")


class Corpus:
    """Tokens of long texts, one after the other, with the borders between them.

    Args:
        tokens: all ids, one axis.
        ends: for each text, the index behind its last token, ascending.
    """

    def __init__(self, tokens: np.ndarray[Any, Any], ends: np.ndarray[Any, Any]) -> None:
        self.tokens, self.ends = tokens, ends
        self.starts = np.concatenate([[0], ends[:-1]])

    def window(self, length: int, rng: np.random.Generator) -> Tensor:
        """``length`` consecutive tokens (int64) of one text, drawn evenly over all such windows.

        Raises:
            InfiniError: no text is that long.
        """
        rooms = np.maximum(self.ends - self.starts - length + 1, 0)
        total = int(rooms.sum())
        if total == 0:
            raise InfiniError(
                f"no text of the data is {length} tokens long", "give longer texts, or train on fewer, shorter segments"
            )
        place = int(rng.integers(total))
        text = int(np.searchsorted(rooms.cumsum(), place, side="right"))
        start = int(self.starts[text]) + place - int(rooms[:text].sum())
        return torch.from_numpy(self.tokens[start : start + length].astype(np.int64))

    def blocks(self, length: int, most: int, rng: np.random.Generator) -> list[Tensor]:
        """Windows of ``length`` tokens (int64) that do not overlap, drawn without repetition: ``most``, or all there are.

        Raises:
            InfiniError: no text is that long.
        """
        starts = [
            start
            for begin, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)
            for start in range(begin, end - length + 1, length)
        ]
        if not starts:
            raise InfiniError(f"no text of the data is {length} tokens long", "give longer texts, or ask for less")
        chosen = rng.permutation(len(starts))[:most].tolist()
        return [torch.from_numpy(self.tokens[starts[i] : starts[i] + length].astype(np.int64)) for i in chosen]


def load_corpus(
    path: Path,
    encode: Callable[[str], list[int]],
    tokenizer_id: str,
    cache_dir: Path,
    *,
    held_out: bool = False,
    share: float = 0.05,
    notify: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Tokenises the texts under a path, or takes them from an earlier run's cache.

    Args:
        path: a ``.txt``, ``.md``, ``.jsonl`` or ``.jsonl.gz`` file (records with a ``text``), or a folder of them.
        encode: text to token ids.
        tokenizer_id: tells tokenizers apart in the cache.
        cache_dir: where token arrays are kept.
        held_out: the texts set apart for evaluation instead of those for training; the choice depends on a text's
            content alone. Where that leaves none, all are taken.
        share: of the texts that is set apart.
        notify: told what is going on.

    Raises:
        InfiniError: there is no text.
    """
    files = text_files(path)
    if not files:
        raise InfiniError(f"no texts at {path}", f"give a file or a folder of {', '.join(TEXT_SUFFIXES)}")
    key = hashlib.sha256(f"{tokenizer_id} {digest(files)}".encode()).hexdigest()
    stem = f"{key[:16]}-{'held' if held_out else 'train'}-{share}"
    tokens_file, ends_file = cache_dir / f"{stem}.tokens.npy", cache_dir / f"{stem}.ends.npy"
    if not ends_file.exists():
        notify(f"tokenising {path} (once)")
        pieces = [
            np.asarray(encode(text), dtype=np.uint32) for text in _texts(files) if (_fraction(text) < share) == held_out
        ]
        if not pieces:
            # Whoever has a single text wants it used, be it for training or for evaluation.
            notify(f"{path} holds too few texts to set some apart: all are used")
            pieces = [np.asarray(encode(text), dtype=np.uint32) for text in _texts(files)]
        ends = np.cumsum([len(piece) for piece in pieces])
        if not pieces or not ends[-1]:
            raise InfiniError(f"no texts at {path}", "the files are empty")
        make_private(cache_dir)
        _save(tokens_file, np.concatenate(pieces))
        _save(ends_file, ends.astype(np.int64))
    return Corpus(np.load(tokens_file, mmap_mode="r"), np.load(ends_file))


def text_files(path: Path) -> list[Path]:
    """A file, or the files with texts under a folder, in the order of their names."""
    return [path] if path.is_file() else sorted(p for p in path.glob("**/*") if p.name.endswith(TEXT_SUFFIXES))


def digest(files: Sequence[Path]) -> str:
    """SHA-256 (hex) over the contents of files, one after the other."""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def _save(path: Path, values: np.ndarray[Any, Any]) -> None:
    """Whole or not at all: several processes of a run may tokenise the same texts."""
    with atomic_writer(path, binary=True, private=True) as file:
        np.save(file, values)


def _texts(files: list[Path]) -> Iterator[str]:
    for file in files:
        if file.name.endswith((".jsonl", ".jsonl.gz")):
            opener: Any = gzip.open if file.suffix == ".gz" else open
            with opener(file, "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _text_of(line, f"{file}, line {number}")
        else:
            yield file.read_text(encoding="utf-8", errors="replace")


def _text_of(line: str, place: str) -> str:
    try:
        return str(json.loads(line)["text"])
    except (ValueError, KeyError, TypeError) as error:
        raise InfiniError(f'{place}: no JSON object with a "text"', "write a JSON object a line") from error


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text[:4096].encode()).digest()[:6], "big") / (1 << 48)
