"""Speed and memory of reading, by length, against the base's plain prefill of one segment in the same process.

    python -m benchmarks.reading [--lengths 4096,32768,131072]

Prints a JSON object a length: tokens/s of reading, tokens/s of the base's prefill (measured between the readings, so
that both sides meet the same machine), their ratio, and the process's peak resident memory so far in MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch
from infini_attention import load, memory_off
from infini_attention.loading import Loaded
from infini_attention.passkey import Passkey


def prefill(loaded: Loaded, ids: list[int]) -> float:
    """Tokens/s of the base alone over one segment."""
    began = time.perf_counter()
    with torch.inference_mode(), memory_off(loaded.model):
        loaded.model.get_decoder()(input_ids=torch.tensor([ids]), use_cache=False)  # type: ignore[no-untyped-call]
    return len(ids) / (time.perf_counter() - began)


def measure(loaded: Loaded, length: int) -> dict[str, object]:
    """Reads ``length`` tokens of filler, with a plain prefill before, after and now and then between."""
    engine = loaded.engine()
    segment = loaded.config.segment_length
    ids = Passkey(loaded.encode).filler(length).tolist()
    plain = [prefill(loaded, ids[:segment])]
    spent, step = 0.0, max(segment, length // 8 // segment * segment)
    for start in range(0, length, step):
        began = time.perf_counter()
        engine.read(ids[start : start + step])
        spent += time.perf_counter() - began
        plain.append(prefill(loaded, ids[:segment]))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.pt"
        engine.snapshot(loaded.origin).save(file)
        size = file.stat().st_size
    read, base = length / spent, statistics.median(plain)
    return {
        "length": length,
        "read_tokens_per_second": round(read, 1),
        "prefill_tokens_per_second": round(base, 1),
        "ratio": round(read / base, 3),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "state_bytes": size,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", default="4096,16384")
    parser.add_argument("--model", default="smollm2-135m")
    options = parser.parse_args()
    loaded = load(options.model)
    # The first pass allocates what every later one uses again.
    measure(loaded, 2 * loaded.config.segment_length)
    for length in (int(part) for part in options.lengths.split(",")):
        print(json.dumps(measure(loaded, length)), flush=True)


if __name__ == "__main__":
    main()
