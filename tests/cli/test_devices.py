"""Commands on every device that is there: the same answers from the same state; and how fast one reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cli_helpers import STORY, Infini
from infini_attention import load_model, memory_off
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import reading
from models import DEVICE_PAIRS, DEVICES

PLAIN = ("--dtype", "fp32", "-q")


@pytest.mark.parametrize(("first", "second"), DEVICE_PAIRS)
def test_what_one_device_has_read_another_answers_from(infini: Infini, tmp_path: Path, first: str, second: str) -> None:
    book, rest = tmp_path / "book.txt", tmp_path / "rest.txt"
    book.write_text(STORY)
    rest.write_text(STORY[::-1])

    def answers(reads: str, goes_on: str) -> list[str]:
        state = tmp_path / f"{reads}-{goes_on}.pt"
        for arguments in (
            ("read", book, "-o", state, "--device", reads),
            ("read", rest, "--memory", state, "-o", state, "--device", goes_on),
        ):
            outcome = infini(*arguments, *PLAIN)
            assert outcome.code == 0, outcome.err
        asked = [("ask", "Who?", "--memory-only", "--max-tokens", "6"), ("summarize", "--length", "8")]
        outcomes = [infini(*command, "--memory", state, "--device", goes_on, *PLAIN) for command in asked]
        assert all(outcome.code == 0 for outcome in outcomes)
        return [outcome.out for outcome in outcomes]

    assert answers(first, second) == answers("cpu", "cpu")


@pytest.mark.parametrize("device", DEVICES)
def test_passkeys_are_tested_on_a_device(infini: Infini, device: str) -> None:
    command = ("passkey-test", "--length", "120", "--depth", "0", "--trials", "2", "--json", *PLAIN, "--device")
    assert infini(*command, device).out == infini(*command, "cpu").out


@pytest.mark.parametrize("batch", [1, 3])
def test_reading_is_measured(model: str, batch: int) -> None:
    loaded = load_model(model, device="cpu")
    segment = loaded.config.segment_length
    figures: Any = reading.measure(loaded, 2 * segment + 5, batch)
    assert (figures["batch"], figures["device"], figures["length"]) == (batch, "cpu", 2 * segment + 5)
    assert min(figures[name] for name in ("read_tokens_per_second", "prefill_tokens_per_second", "peak_memory_mib")) > 0
    assert figures["share_of_product_rate"] >= 0 and (figures["state_bytes"] is None) is (batch > 1)


def test_operations_are_those_that_are_run(model: str) -> None:
    loaded = load_model(model, device="cpu", dtype="fp32")
    segment = loaded.config.segment_length
    with FlopCounterMode(display=False) as counted, torch.inference_mode(), memory_off(loaded.model):
        decoder: Any = loaded.model.get_decoder()  # type: ignore[no-untyped-call]
        decoder(input_ids=torch.ones(1, segment, dtype=torch.long), use_cache=False)
    # The counter does not know the processor's own attention.
    config: Any = loaded.model.config
    attention = 2 * config.num_hidden_layers * config.hidden_size * segment
    assert (reading.operations(loaded) - attention) * segment == counted.get_total_flops()
