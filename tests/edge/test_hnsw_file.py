"""hnswlib's files: what hnswlib wrote passes, and whatever would lead it outside its memory is one BundleError."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from panda_edge.banks.embeddings import HnswBank
from panda_edge.banks.hnsw_file import check_hnsw_file
from panda_edge.errors import BundleError

hnswlib = pytest.importorskip("hnswlib")

COUNT, SIZE, LINKS = 200, 5, 4
HEADER = 96
ELEMENT = 4 + 8 * LINKS + 4 * SIZE + 8
UPPER = HEADER + COUNT * ELEMENT  # where the upper levels' links begin


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("hnsw") / "good.hnsw"
    index = hnswlib.Index(space="l2", dim=SIZE)
    index.init_index(COUNT, M=LINKS, ef_construction=20, random_seed=0)
    index.add_items(np.random.default_rng(0).random((COUNT, SIZE)), num_threads=1)
    index.save_index(str(path))
    return path.read_bytes()


@pytest.fixture
def check(tmp_path: Path) -> Callable[[bytes], None]:
    def run(data: bytes, count: int = COUNT) -> None:
        path = tmp_path / "x.hnsw"
        path.write_bytes(data)
        check_hnsw_file(path, "x.hnsw", count, SIZE)

    return run


def put(whole: bytes, at: int, layout: str, value: float) -> bytes:
    data = bytearray(whole)
    struct.pack_into("<" + layout, data, at, value)
    return bytes(data)


def upper_links(whole: bytes) -> list[tuple[int, int]]:
    """For each vector, where the word lies that says how many bytes its upper links take, and that word."""
    places, at = [], UPPER
    for _ in range(COUNT):
        (size,) = struct.unpack_from("<I", whole, at)
        places.append((at, size))
        at += 4 + size
    return places


@pytest.mark.parametrize("count", [1, 2, 17, 300])
@pytest.mark.parametrize("links", [2, 16])
def test_what_hnswlib_writes_passes(tmp_path: Path, count: int, links: int) -> None:
    vectors = np.random.default_rng(count).random((count, 7), dtype=np.float32)
    index = hnswlib.Index(space="l2", dim=7)
    index.init_index(count, M=links, ef_construction=20, random_seed=count)
    index.add_items(vectors, num_threads=1)
    index.save_index(str(tmp_path / "x.hnsw"))
    squared, numbers = HnswBank(tmp_path / "x.hnsw", count, 7, 50, 1).nearest(vectors, 1)
    assert np.count_nonzero(numbers[:, 0] == np.arange(count)) > 0.9 * count
    assert squared.min() == 0


@pytest.mark.parametrize(
    ("at", "layout", "value", "said"),
    [
        (0, "Q", 4, "offsets"),  # of level 0
        (8, "Q", COUNT - 1, "room"),
        (16, "Q", COUNT + 1, "holds 201 vectors"),
        (16, "Q", 1 << 63, "holds"),
        (24, "Q", ELEMENT + 4, "offsets"),
        (32, "Q", 1 << 62, "vectors of"),
        (40, "Q", 0, "vectors of"),
        (48, "i", -1, "top level -1"),
        (48, "i", 63, "entry"),
        (52, "I", COUNT, f"entry {COUNT}"),
        (56, "Q", LINKS + 1, "links a vector"),
        (64, "Q", 0, "links a vector"),
        (72, "Q", 1 << 61, "links a vector"),
        (80, "d", float("nan"), "room"),
        (88, "Q", 0, "room"),
        (HEADER, "I", 2 * LINKS + 1, "with room for 8"),
        (HEADER, "I", 1 | 1 << 16, "with room for 8"),  # marked as deleted
        (HEADER + 4, "I", COUNT, f"a link to vector {COUNT} of {COUNT}"),
        (HEADER + 4, "I", (1 << 32) - 1, "a link to vector 4294967295"),
        (HEADER + 4 + 8 * LINKS, "f", float("inf"), "not finite"),
        (HEADER + ELEMENT - 8, "Q", COUNT, f"a label {COUNT}"),
        (HEADER + ELEMENT - 8, "Q", 1, "a label twice"),
        (UPPER, "I", 4, "bytes of links"),
    ],
)
def test_each_field(
    whole: bytes, check: Callable[[bytes], None], at: int, layout: str, value: float, said: str
) -> None:
    check(whole)
    with pytest.raises(BundleError, match=said) as caught:
        check(put(whole, at, layout, value))
    assert "\n" not in str(caught.value)


def test_upper_levels(whole: bytes, check: Callable[[bytes], None]) -> None:
    places = upper_links(whole)
    at, size = next(place for place in places if place[1])
    low = [size for _, size in places].index(0)
    for said, data in {
        "bytes of links": put(whole, at, "I", size + 4),
        "links of 199 vectors instead of": whole[: places[-1][0]],
        "do not hold": whole[:UPPER],
        "with room for 4": put(whole, at + 4, "I", LINKS + 1),
        f"a link to vector {COUNT}": put(whole, at + 8, "I", COUNT),
        "below its level": put(whole, at + 8, "I", low),
        "more than": whole + bytes(4),
        "are no header": whole[: HEADER - 1],
    }.items():
        with pytest.raises(BundleError, match=said):
            check(data)


def test_a_graph_in_pieces_is_told(whole: bytes, tmp_path: Path) -> None:
    data = whole
    for node in range(COUNT):
        data = put(data, HEADER + node * ELEMENT, "I", 0)  # no links at level 0: only the entry is found
    (tmp_path / "x.hnsw").write_bytes(data)
    bank = HnswBank(tmp_path / "x.hnsw", COUNT, SIZE, 20, 1)
    with pytest.raises(BundleError, match="does not lead to 5 vectors"):
        bank.nearest(np.zeros((1, SIZE), np.float32), 5)


@pytest.mark.parametrize("seed", [0, 1])
def test_changed_files_never_crash(whole: bytes, tmp_path: Path, seed: int) -> None:
    (tmp_path / "good.hnsw").write_bytes(whole)
    hostile = Path(__file__).with_name("hostile_hnsw.py")
    command = [sys.executable, hostile, tmp_path / "good.hnsw", COUNT, SIZE, 500, seed]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    refused, searched = map(int, done.stdout.split())
    assert refused + searched == 500
    assert refused > 200
    assert searched > 20
