"""Summaries as ``infini summarize`` writes them, beside three simpler ones of the same base: ROUGE's geometric mean.

    python -m benchmarks.summaries --data squality.dev.jsonl.gz --limit 6 [--systems infini,lexrank] [--texts FOLDER]

- ``infini``: as ``infini summarize`` does: notes on chapters, by the model's writer if it has one, and the whole from them;
- ``notes``: the same by the base as it is, without memory and without a writer;
- ``first``: the base with as much of the text's beginning in its context as it was trained for;
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
from infini_attention.evaluate.baselines import system
from infini_attention.evaluate.measuring import cells_of
from infini_attention.evaluate.probes import Scores, spread
from infini_attention.evaluate.scores import rouge
from infini_attention.model import prompts
from infini_attention.qa.turn import GRACE, Turn, tokens_for
from infini_attention.session import Session
from infini_attention.summary.chapters import chapters
from infini_attention.summary.notes import Writer
from infini_attention.summary.whole import note_words, summary
from infini_attention.text.kept import KeptText

from infini_cli.output import emit_json

Summarise = Callable[[Loaded, KeptText, int], str]


def by_infini(loaded: Loaded, text: KeptText, words: int) -> str:
    """As ``infini summarize``."""
    session = Session(loaded)
    session.add([document_of_text("\n\n".join(block.text for block in text.blocks), text.name)])
    return session.summarize(words).text


def by_notes_alone(loaded: Loaded, text: KeptText, words: int) -> str:
    """The same by the base alone: nothing is kept in memory, and no writer is in force."""
    engine = loaded.engine(use_memory=False)
    writer, parts = Writer(loaded), chapters(0, text)
    writer.adapter = None
    notes = [writer.note(engine, chapter, note_words(words, len(parts))) for chapter in parts]
    return " ".join(summary(writer, engine, notes, words))


def by_beginning(loaded: Loaded, text: KeptText, words: int) -> str:
    """What the base says with the beginning in view."""
    limit = tokens_for(words)

    def asked(ids: list[int]) -> Turn:
        text = loaded.tokenizer.decode(ids)
        return Turn(loaded, prompts.fill("note", words=words, text=text), limit, least=words // 2)

    context = int(loaded.model.config.get_text_config().max_position_embeddings)
    room = context - len(asked([]).prompt) - limit - GRACE
    turn = asked(loaded.encode("\n\n".join(block.text for block in text.blocks))[:room])
    turn.in_view = True
    return "".join(turn.pieces(system(loaded, "full"))).strip()


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
    own = [sentence.text for chapter in chapters(0, text) for sentence in chapter.sentences]
    ranker = LexRankSummarizer(Stemmer("english"))
    ranker.stop_words = list(STOPWORDS_EN_PLUS)
    document = ObjectDocumentModel([Paragraph([Sentence(sentence, tokenizer) for sentence in own])])
    return " ".join(map(str, ranker(document, fitting)))


SYSTEMS: dict[str, Summarise] = {
    "infini": by_infini,
    "notes": by_notes_alone,
    "first": by_beginning,
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
