"""Gives hnswlib changed index files, in a process of its own.

    python hostile_hnsw.py FILE COUNT SIZE CASES SEED [trust]

Every case changes a few bytes or words of FILE and, where the check lets it pass, searches it. Prints how many were
refused and how many searched. `trust` leaves the check out, which shows that the cases are hostile ones.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from panda_edge.banks import embeddings
from panda_edge.banks.embeddings import HnswBank
from panda_edge.errors import BundleError

_HEADER = 96
_WORDS = (0, 1, 2, 3, 0x7FFF, 0xFFFF, 1 << 16, 1 << 31, (1 << 31) - 1, (1 << 32) - 1)


def changed(whole: bytes, count: int, random: np.random.Generator) -> bytes:
    """The file with one to four changes: a byte, a word, a few bytes less or more, a run moved elsewhere."""
    data = bytearray(whole)
    for _ in range(random.integers(1, 5)):
        kind = random.integers(0, 10)
        at = int(random.integers(0, _HEADER if random.random() < 0.3 else len(data)))
        if kind < 4:
            data[at] = int(random.integers(0, 256))
        elif kind < 8:
            words = (*_WORDS, count - 1, count, count + 1)
            word = words[random.integers(0, len(words))]
            at = at // 4 * 4
            data[at : at + 4] = (word & 0xFFFFFFFF).to_bytes(4, "little")
        elif kind == 8:
            del data[at : at + int(random.integers(1, 5)) * 4]
            if random.random() < 0.5:
                data += bytes(random.integers(0, 256, len(whole) - len(data), dtype=np.uint8))
        else:
            run = int(random.integers(4, 64))
            data[at : at + run] = data[(at * 7) % len(data) :][:run]
        if len(data) <= _HEADER:
            return bytes(data)
    return bytes(data)


def main(file: str, count: int, size: int, cases: int, seed: int, trust: bool) -> None:
    whole = Path(file).read_bytes()
    random = np.random.default_rng(seed)
    queries = random.standard_normal((3, size)).astype(np.float32)
    if trust:
        embeddings.check_hnsw_file = lambda *about: None
    refused = searched = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.hnsw"
        for _ in range(cases):
            path.write_bytes(changed(whole, count, random))
            try:
                bank = HnswBank(path, count, size, 20, 1)
                bank.nearest(queries, 2)
                searched += 1
            except BundleError as error:
                refused += len(str(error).splitlines()) == 1
    print(refused, searched)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]), trust=sys.argv[6:] == ["trust"])
