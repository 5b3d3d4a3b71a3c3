"""Long texts to hide things in, or to be read: those of a corpus that are set apart, or a document's."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..data.corpus import TEXT_SUFFIXES, Corpus, load_corpus
from ..model.weights import cache_dir
from .task import Bench


def corpus_of(bench: Bench, path: Path) -> Corpus:
    """Texts that are set apart for evaluation."""
    loaded, cache = bench.loaded, cache_dir() / "tokens"
    return load_corpus(path, loaded.encode, loaded.origin.base, cache, held_out=True, notify=bench.reporter.note)


def hay_of(bench: Bench, path: Path) -> Tensor:
    """``[N]`` token ids of such texts, or of a document of another kind, such as a PDF."""
    if path.is_dir() or path.name.endswith(TEXT_SUFFIXES):
        return torch.from_numpy(corpus_of(bench, path).tokens.astype("int64"))
    return torch.tensor(bench.loaded.encode(bench.open(str(path)).text))
