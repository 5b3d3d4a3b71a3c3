"""Summaries as ``infini summarize`` makes them, beside LexRank's: ROUGE's geometric mean.

    python -m benchmarks.summaries --data squality.dev.jsonl.gz --limit 6 [--systems infini,lexrank] [--texts FOLDER]

- ``infini``: as ``infini summarize``;
- ``lexrank``: the text's own sentences by LexRank (the package sumy).

Each writes about as many words as the references have on average. Prints a JSON object as ``infini eval`` does.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infini_attention import Loaded, load_model
from infini_attention.data.stories import Story, load_stories
from infini_attention.documents.source import document_of_text
from infini_attention.evaluate.measuring import cells_of
from infini_attention.evaluate.probes import Scores, spread
from infini_attention.evaluate.scores import rouge
from infini_attention.session import Session
from infini_attention.text.kept import KeptText
from infini_attention.text.passages import sentences

from infini_cli.output import emit_json

Summarise = Callable[[Loaded, KeptText, int], str]


def by_infini(loaded: Loaded, text: KeptText, words: int) -> str:
    """As ``infini summarize``."""
    session = Session(loaded)
    session.add([document_of_text("\n\n".join(block.text for block in text.blocks), text.name)])
    return session.summarize(words).text


def by_lexrank(loaded: Loaded, text: KeptText, words: int) -> str:
    """The most central sentences that fit."""
    from bm25s.stopwords import STOPWORDS_EN_PLUS
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
    from sumy.nlp.stemmers import Stemmer
    from sumy.summarizers.lex_rank import LexRankSummarizer

    class Words:
        """What sumy needs of a tokenizer."""

        def to_words(self, sentence: str) -> list[str]:
            return re.findall(r"\w+", sentence)

    def fitting(ranked: list[Any]) -> list[Any]:
        room, found = words, []
        for one in ranked:
            if (size := len(str(one.sentence).split())) <= room:
                found.append(one)
                room -= size
        return found

    tokenizer = Words()
    own = [sentence.text for block in text.blocks for sentence in sentences(block)]
    ranker = LexRankSummarizer(Stemmer("english"))
    ranker.stop_words = list(STOPWORDS_EN_PLUS)
    document = ObjectDocumentModel([Paragraph([Sentence(sentence, tokenizer) for sentence in own])])
    return " ".join(map(str, ranker(document, fitting)))


SYSTEMS: dict[str, Summarise] = {
    "infini": by_infini,
    "lexrank": by_lexrank,
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=6)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--texts", type=Path, help="a folder for the summaries; those that are there are not made anew")
    options = parser.parse_args()
    loaded = load_model(options.model)
    stories = spread([story for story in load_stories(options.data) if story.summaries], options.limit)
    results = []
    for name in options.systems.split(","):
        scores = [_score(loaded, name, number, story, options.texts) for number, story in enumerate(stories)]
        results.append(Scores({"system": name}, tuple(scores)))
    about = {
        "schema": "benchmarks.summaries/1",
        "task": "summaries",
        "model": loaded.origin.model,
        "adapter": loaded.origin.adapter,
        "texts": options.data.resolve().name,
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
    }
    emit_json({**about, "cells": cells_of(results), "summary": {}}, sys.stdout)


def _score(loaded: Loaded, name: str, number: int, story: Story, folder: Path | None) -> float:
    file = None if folder is None else folder / f"{name}-{number}.txt"
    if file is not None and file.exists():
        text = file.read_text(encoding="utf-8")
    else:
        text = SYSTEMS[name](loaded, KeptText.of("text", story.text), story.summary_words)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    score = rouge(text, story.summaries)["mean"]
    print(f"{name} {number}: {score:.4f}", file=sys.stderr, flush=True)
    return score


if __name__ == "__main__":
    main()
