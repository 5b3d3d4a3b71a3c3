"""What a judge of passages learns from: texts cut as `ask` cuts them, and which passage answers which question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infini_cli.lookback.finder import asked, read_again
from infini_cli.lookback.kept import KeptText
from infini_cli.lookback.measuring import stands_in
from infini_cli.lookback.passages import passages
from infini_cli.lookback.search import Search

if TYPE_CHECKING:
    from infini_attention import Loaded
    from infini_attention.adaptation.judging import Choosable
    from infini_attention.adaptation.stories import Story


def choosable(loaded: Loaded, story: Story) -> Choosable:
    """A story's passages, and those of its questions whose answer is known to stand in one of them."""
    import torch
    from infini_attention.adaptation.judging import Choosable

    found = passages([KeptText.of("story", story.text)])
    search = Search(found)
    right = {one: [stands_in(passage.text, one) for passage in found] for one in story.questions if one.evidence}
    questions = [one for one, places in right.items() if any(places)]
    return Choosable(
        [read_again(loaded, passage) for passage in found],
        [asked(loaded, one.question) for one in questions],
        torch.tensor([right[one] for one in questions], dtype=torch.bool).reshape(len(questions), len(found)),
        torch.tensor([search.scores(one.question) for one in questions]).reshape(len(questions), len(found)),
    )
