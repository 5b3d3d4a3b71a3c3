"""Speed and memory of reading, by length, against the base's plain prefill of one segment in the same process.

    python -m benchmarks.reading [--lengths 4096,32768,131072] [--device cuda] [--batch 16]

Prints a JSON object a length: tokens/s of reading, tokens/s of the base's prefill (measured between the readings, so
that both sides meet the same machine), their ratio, the share of the device's own rate of matrix products that reading
comes to, and the most memory in use so far in MiB: the accelerator's where it counts it, else the process's. A batch is
as many documents of that length, read side by side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from infini_attention import Engine, load_model, memory_off
from infini_attention.data.passkey import Passkey
from infini_attention.memory.inject import new_cache
from infini_attention.memory.segment_graph import read_segment
from infini_attention.model.device import peak_bytes
from infini_attention.model.loading import Loaded
from torch import Tensor

# Rows of the square matrices whose product tells the device's rate.
PRODUCT = 2048


def timed(loaded: Loaded, work: Callable[[], object]) -> float:
    """Seconds, with all that was begun before on the device done, and the work as well."""
    _wait(loaded.placement.device)
    began = time.perf_counter()
    work()
    _wait(loaded.placement.device)
    return time.perf_counter() - began


def product_rate(loaded: Loaded) -> float:
    """Operations/s of a product of large matrices in the model's precision."""
    one = torch.ones(PRODUCT, PRODUCT, device=loaded.placement.device, dtype=loaded.placement.dtype)
    return 2 * PRODUCT**3 / min(timed(loaded, lambda: one @ one) for _ in range(4))


def operations(loaded: Loaded) -> float:
    """Multiplications and additions of a token in the base's decoder: its weights, and attention over half a segment."""
    decoder: Any = loaded.model.get_decoder()  # type: ignore[no-untyped-call]
    weights = sum(module.weight.numel() for module in decoder.modules() if isinstance(module, torch.nn.Linear))
    config: Any = loaded.model.config
    width = config.num_attention_heads * getattr(config, "head_dim", config.hidden_size // config.num_attention_heads)
    return float(2 * weights + 2 * config.num_hidden_layers * width * loaded.config.segment_length)


def prefill(loaded: Loaded, ids: Tensor) -> float:
    """Tokens/s of the base alone over one segment of each row."""

    def run() -> None:
        with torch.inference_mode(), memory_off(loaded.model):
            loaded.model.get_decoder()(input_ids=ids, use_cache=False)  # type: ignore[no-untyped-call]

    return ids.numel() / timed(loaded, run)


def measure(loaded: Loaded, length: int, batch: int = 1) -> dict[str, object]:
    """Reads so many tokens of filler in each row, with a plain prefill before, after and now and then between."""
    segment = loaded.config.segment_length
    filler = Passkey(loaded.encode).filler(length)
    rows = filler.expand(batch, -1).to(loaded.placement.device)
    engine, cache = loaded.engine(), new_cache(loaded.model)

    def read(start: int, end: int) -> None:
        if batch == 1:
            engine.read(filler[start:end])
            return
        with torch.inference_mode():
            for ids in torch.split(rows[:, start:end], segment, 1):
                read_segment(loaded.model, cache, ids)

    plain = [prefill(loaded, rows[:, :segment])]
    spent, step = 0.0, max(segment, length // 8 // segment * segment)
    for start in range(0, length, step):
        spent += timed(loaded, lambda start=start: read(start, start + step))  # type: ignore[misc]
        plain.append(prefill(loaded, rows[:, :segment]))
    speed, base = batch * length / spent, statistics.median(plain)
    return {
        "length": length,
        "batch": batch,
        "device": str(loaded.placement.device),
        "dtype": str(loaded.placement.dtype).removeprefix("torch."),
        "read_tokens_per_second": round(speed, 1),
        "prefill_tokens_per_second": round(base, 1),
        "ratio": round(speed / base, 3),
        "share_of_product_rate": round(speed * operations(loaded) / product_rate(loaded), 3),
        "peak_memory_mib": round(peak_bytes(loaded.placement.device) / 2**20, 1),
        "state_bytes": _state_bytes(loaded, engine) if batch == 1 else None,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="4096,16384")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    loaded = load_model(options.model, device=options.device, dtype=options.dtype)
    # The first pass allocates what every later one uses again.
    measure(loaded, 2 * loaded.config.segment_length, options.batch)
    for length in (int(part) for part in options.lengths.split(",")):
        print(json.dumps(measure(loaded, length, options.batch)), flush=True)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _state_bytes(loaded: Loaded, engine: Engine) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.pt"
        engine.snapshot(loaded.origin).save(file)
        return file.stat().st_size


if __name__ == "__main__":
    main()
