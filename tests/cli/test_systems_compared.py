"""The race of `benchmarks.systems`, on the tiny model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from infini_attention import load_model
from infini_attention.evaluate.perplexity import losses

from benchmarks.systems import BEGIN, END, Competitor, measured, table, written


@pytest.fixture
def race(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Competitor]:
    monkeypatch.setenv("INFINI_CACHE", str(tmp_path))
    loaded = load_model(model, device="cpu", dtype="fp32")
    return [Competitor(name, kind, loaded, {}) for name, kind in (("local", "local"), ("deltanet", "memory"))]


def test_each_system_has_a_row_and_a_second_run_measures_nothing_anew(
    race: list[Competitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [torch.arange(5, 166), torch.arange(20, 181)]
    rows = measured(race, texts, 1, 3)
    assert [row["system"] for row in rows] == ["local", "deltanet"]
    loaded = race[0].loaded
    nats = [
        float(losses(loaded.engine(use_memory=False), loaded.model, text, loaded.config.segment_length).mean())
        for text in texts
    ]
    assert rows[0]["perplexity"] == pytest.approx(math.exp(sum(nats) / 2), rel=1e-5)
    assert (rows[0]["state_bytes"], rows[0]["compression"]) == (0, None)
    assert rows[1]["state_bytes"] > 0 and rows[1]["compression"] > 0 and rows[1]["tokens_per_second"] > 0
    monkeypatch.setattr("benchmarks.systems.losses", None)
    monkeypatch.setattr("infini_attention.evaluate.probes._scores", None)
    assert measured(race, texts, 1, 3) == rows
    assert [row["passkeys"] for row in measured(race, texts, 1, 3, ["local"])] == [None, rows[1]["passkeys"]]


def test_the_table_goes_between_its_marks() -> None:
    rows = [
        {"system": "local", "perplexity": 31.4, "passkeys": 0, "state_bytes": 0, "compression": None, "trained": "-"},
        {
            "system": "delta",
            "perplexity": 30,
            "passkeys": 1 / 3,
            "state_bytes": 1_474_560,
            "compression": 512.02,
            "trained": "9 steps",
        },
    ]
    report = {"texts": 2, "length": 32_768, "keys": 1, "dtype": "bfloat16", "threads": 1}
    text = written(
        f"a\n{BEGIN}\nold\n{END}\nb", {**report, "rows": [{**row, "tokens_per_second": 99.6} for row in rows]}
    )
    assert text.startswith("a\n") and text.endswith("\nb") and "old" not in text
    assert "| local | - | 31.40 | 0.00 | none | - | 100 |" in text
    assert "| delta | 9 steps | 30.00 | 0.33 | 1.47 MB | 512x | 100 |" in text
    row = {**rows[0], "passkeys": None, "tokens_per_second": 99.6}
    told = table({**report, "texts": 1, "keys": 2, "rows": [row]})
    assert told.startswith("1 stretch of") and "2 passkeys each" in told and "| 31.40 | not run |" in told
    with pytest.raises(ValueError, match="no <!-- systems"):
        written("nothing", report)
