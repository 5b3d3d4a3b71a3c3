"""Bytes changed at random, without a thought for what they mean."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def bits(data: bytes, draw: random.Random) -> bytes:
    """Some bits turned."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(data: bytes, draw: random.Random) -> bytes:
    """Its end missing, or its beginning."""
    place = draw.randrange(len(data))
    return data[:place] if draw.random() < 0.8 else data[place:]


def grown(data: bytes, draw: random.Random) -> bytes:
    """Something more in it."""
    place = draw.choice((0, len(data), draw.randrange(len(data))))
    return data[:place] + draw.randbytes(draw.choice((1, 7, 100, 5000))) + data[place:]


def moved(data: bytes, draw: random.Random) -> bytes:
    """A part of it dropped, doubled, zeroed, or put elsewhere."""
    start = draw.randrange(len(data))
    part = data[start : start + draw.choice((1, 4, 16, 64, 512, 4096))]
    rest = data[:start] + data[start + len(part) :]
    place = draw.randrange(len(rest) + 1)
    return draw.choice(
        (
            rest,
            data[:start] + part + data[start:],
            data[:start] + bytes(len(part)) + data[start + len(part) :],
            rest[:place] + part + rest[place:],
        )
    )


def lengths(data: bytes, draw: random.Random) -> bytes:
    """A number of two, four or eight bytes at the edge of what it can be."""
    size, form = draw.choice(((2, "H"), (4, "I"), (8, "Q")))
    # Where sizes stand in a ZIP archive and in a safetensors file, half of the time.
    marks = [
        place for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06") for place in _all(data, mark)
    ]
    place = draw.choice(marks) + draw.randrange(4, 46) if marks and draw.random() < 0.5 else draw.randrange(len(data))
    place = draw.choice((place, 0)) if not marks else place
    value = draw.choice(_EDGES) & (256**size - 1)
    if draw.random() < 0.3:
        value = (int.from_bytes(data[place : place + size], "little") + draw.choice((-1, 1))) % 256**size
    packed = struct.pack(draw.choice("<>") + form, value)
    return data[:place] + packed + data[place + size :]


def _all(data: bytes, mark: bytes) -> list[int]:
    places: list[int] = []
    place = data.find(mark)
    while place >= 0 and len(places) < 200:
        places.append(place)
        place = data.find(mark, place + 1)
    return places


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bits": bits,
    "cuts": cut,
    "growths": grown,
    "moves": moved,
    "lengths": lengths,
}
