"""Changes that keep an input's form, so that they come past the first check: JSON for manifests, words for an index."""

from __future__ import annotations

import json
import random as chance
import struct
from collections.abc import Callable
from typing import Any

from fuzz import targets, whole_folder
from fuzz.small_bundles import KINDS

_NUMBERS = (0, 1, -1, 2, 3, 15, 16, 99, 255, 4096, 65535, 2**31, 2**32, 10**9, 2**48, 2**63, 0.5, 1e-300, 1e308, True)
_TEXTS = ("exact", "kmeans", "kmeans-levels", "coreset", "hnsw", "gaussian", "float16", "float32", "uint8", "graph",
          "near", "place", "crop", "fit", "combined", "top1", "", "\0", "../x", "/etc/passwd", "\ud800")  # fmt: skip
_WORDS = (0, 1, 2, 3, 19, 20, 21, 0x7FFF, 0xFFFF, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_FLOATS = (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45, 0.0, -1.0, 1e19)
_HEADER = 128  # bytes of an .npy file before its numbers

Mutate = Callable[[bytes, int], bytes]  # bytes and the most that the result may have


def manifest(data: bytes, most: int, seed: int, plain_bytes: Mutate) -> bytes:
    """Changes one to three values of a manifest; now and then its bytes, as `plain_bytes` does."""
    random = chance.Random(seed)
    try:
        plain = json.loads(data[1:])
    except (ValueError, RecursionError):
        return plain_bytes(data, most)
    if random.random() < 0.1 or not isinstance(plain, dict):
        return plain_bytes(data, most)
    for _ in range(random.randint(1, 3)):
        _change(plain, random)
    kind = data[:1] if random.random() < 0.95 else bytes([random.randrange(8)])
    return (kind + json.dumps(plain).encode())[:most]


def _change(plain: Any, random: chance.Random) -> None:
    """Walks down to a value and replaces, removes or doubles it."""
    while True:
        keys = list(plain) if isinstance(plain, dict) else list(range(len(plain)))
        if not keys:
            return
        key = random.choice(keys)
        if not isinstance(plain[key], dict | list) or random.random() < 0.1:
            break
        plain = plain[key]
    way = random.randrange(10)
    if way == 0:
        del plain[key]
    elif way == 1 and isinstance(plain, list):
        plain.append(plain[key])
    elif way == 1:
        plain[random.choice(("ef", "rank", "window", "average", "tiles", "scale", "scoring"))] = plain[key]
    elif way < 4 and type(plain[key]) in (int, float):
        plain[key] = plain[key] * random.choice((2, 0.5, -1)) + random.choice((0, 1, -1))
    elif way < 8:
        plain[key] = random.choice(_TEXTS if isinstance(plain[key], str) else _NUMBERS)
    else:
        plain[key] = random.choice((None, [], {}, *_NUMBERS, *_TEXTS))


def words(data: bytes, most: int, seed: int, plain_bytes: Mutate) -> bytes:
    """Changes one to four aligned words, mostly to numbers that could pass for counts, links and levels."""
    random = chance.Random(seed)
    if len(data) < 100 or random.random() < 0.2:
        return plain_bytes(data, most)
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(96 if random.random() < 0.3 else len(data)) // 4 * 4
        word = random.choice(_WORDS) if random.random() < 0.8 else random.getrandbits(32)
        changed[at : at + 4] = word.to_bytes(4, "little")
    return bytes(changed[:most])


def numbers(data: bytes, most: int, seed: int, plain_bytes: Mutate) -> bytes:
    """An .npy file: mostly one to four of its numbers become such as no bank has, now and then anything."""
    random = chance.Random(seed)
    if len(data) < _HEADER + 8 or random.random() < 0.3:
        return plain_bytes(data, most)
    form = random.choice("efd")
    changed, size = bytearray(data), struct.calcsize(form)
    for _ in range(random.randint(1, 4)):
        at = _HEADER + random.randrange((len(data) - _HEADER) // size) * size
        value = random.choice(_FLOATS)
        changed[at : at + size] = struct.pack(form, value if form != "e" or abs(value) < 65504 else float("inf"))
    return bytes(changed[:most])


def whole(data: bytes, most: int, seed: int, plain_bytes: Mutate) -> bytes:
    """Changes one file of a folder, which may have been changed before or may be another."""
    random = chance.Random(seed)
    kind, files = whole_folder.unpack(data)
    kind = kind if random.random() < 0.95 else random.randrange(len(KINDS))
    own = list(targets.whole_bundle(KINDS[kind % len(KINDS)])[1].items())
    changed = {number % len(own): content for number, content in files}
    number = random.choice(list(changed)) if changed and random.random() < 0.6 else random.randrange(len(own))
    name, content = own[number][0], changed.get(number, own[number][1])
    seed = random.getrandbits(32)
    if number == 0:
        changed[0] = manifest(b"\0" + content, most, seed, plain_bytes)[1:]
    else:
        way = words if name.endswith(".hnsw") else numbers if name.endswith(".npy") else _anything
        changed[number] = way(content, most, seed, plain_bytes)
    return whole_folder.pack(kind, list(changed.items()))[:most]


def _anything(data: bytes, most: int, seed: int, plain_bytes: Mutate) -> bytes:
    return plain_bytes(data, most)


MUTATORS = {"manifest": manifest, "hnsw": words, "whole": whole}
