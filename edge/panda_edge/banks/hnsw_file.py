"""An hnswlib index file, checked completely before hnswlib reads it.

hnswlib (0.8) trusts its file: counts, offsets, links and levels in it become addresses unseen. What is checked here is
everything that its `loadIndex` and `searchKnn` turn into one. The file, little endian: a header of 96 bytes; one
element a vector (count of links and links of level 0, the vector, its label); then for each vector the bytes of its
upper levels' links, and these. A level's links are a count and room for as many as may be.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from panda_edge.errors import BundleError

_HEADER = struct.Struct("<6Q i I 3Q d Q")
_MAX_LINKS = 10_000  # a level, as hnswlib itself allows
_ROWS = 1 << 15  # elements that are looked at together, so that little memory is needed


def check_hnsw_file(path: Path, name: str, count: int, size: int) -> None:
    """Raise BundleError unless the file is a whole index of `count` vectors of `size` numbers, space l2.

    name: the file in the message. Memory needed is a few bytes a vector.
    """
    length = path.stat().st_size
    if length < _HEADER.size:
        raise _bad(name, f"{length} bytes are no header")
    data = np.memmap(path, np.uint8, mode="r")
    links, top, entry = _checked_header(data, name, count, size)
    element = 4 + 8 * links + 4 * size + 8
    rest = length - _HEADER.size - count * element
    if rest < 4 * count or rest % 4:
        raise _bad(name, f"its {length} bytes do not hold {count} vectors of {size}")
    elements = data[_HEADER.size : _HEADER.size + count * element].reshape(count, element)
    _check_elements(elements, name, 2 * links, size)
    words = data[_HEADER.size + count * element :].view("<u4")
    levels, nodes, starts = _upper_levels(words, name, count, links, top)
    if levels[entry] != top or levels.max() != top:
        raise _bad(name, f"its entry, vector {entry}, is at level {levels[entry]}, the highest is {levels.max()}")
    _check_upper_links(words, name, links, levels, nodes, starts)


def _checked_header(data: np.ndarray, name: str, count: int, size: int) -> tuple[int, int, int]:
    """Links a vector may have at an upper level (twice as many at level 0), the top level, and the entry's number."""
    (offset, room, stored, element, label_at, vector_at, top, entry, upper, lower, links, factor, ef) = _HEADER.unpack(
        data[: _HEADER.size].tobytes()
    )
    found = (label_at - vector_at) // 4
    if found != size:
        raise BundleError(f"{name}: an index of vectors of {found}, the manifest says {size}; export it again")
    if stored != count:
        raise BundleError(f"{name}: holds {stored} vectors, the manifest says {count}; export it again")
    if not 1 <= links <= _MAX_LINKS or (upper, lower) != (links, 2 * links):
        raise _bad(name, f"{upper} and {lower} links a vector")
    begin = 4 + 4 * lower
    if (offset, vector_at, label_at, element) != (0, begin, begin + 4 * size, begin + 4 * size + 8):
        raise _bad(name, "offsets that do not follow from its sizes")
    if room < stored or not 0 <= top < 64 or entry >= count or not np.isfinite(factor) or not 1 <= ef < 1 << 32:
        raise _bad(name, f"room for {room} of {stored} vectors, top level {top}, entry {entry}")
    return links, top, entry


def _check_elements(elements: np.ndarray, name: str, links: int, size: int) -> None:
    """Links of level 0, vectors and labels. elements: uint8 (count, bytes of one)."""
    count = len(elements)
    seen = np.zeros(count, dtype=bool)
    vector_at = 4 + 4 * links
    for first in range(0, count, _ROWS):
        part = elements[first : first + _ROWS]
        _check_links(part[:, :vector_at].view("<u4"), name, count)
        if not np.isfinite(part[:, vector_at : vector_at + 4 * size].view("<f4")).all():
            raise _bad(name, "a vector that is not finite")
        labels = np.ascontiguousarray(part[:, vector_at + 4 * size :]).view("<u8")[:, 0]
        if (labels >= count).any():
            raise _bad(name, f"a label {labels.max()} among {count} vectors")
        seen[labels.astype(np.int64)] = True
    if not seen.all():
        raise _bad(name, "a label twice")


def _check_links(rows: np.ndarray, name: str, count: int) -> None:
    """rows: uint32 (n, 1 + room): how many links follow, then the links; what stands behind them is never read."""
    used = rows[:, :1]
    room = rows.shape[1] - 1
    if (used > room).any():  # its upper bytes, too, which would mark a vector as deleted
        raise _bad(name, f"a list of {used.max()} links with room for {room}")
    outside = (rows[:, 1:] >= count) & (np.arange(room) < used)
    if outside.any():
        raise _bad(name, f"a link to vector {rows[:, 1:][outside][0]} of {count}")


def _upper_levels(
    words: np.ndarray, name: str, count: int, links: int, top: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The level of each vector, int8 (count,); the numbers of those above 0, and where in `words` their links start."""
    filled = np.flatnonzero(words)  # most vectors are at level 0: one zero word
    levels = np.zeros(count, dtype=np.int8)
    nodes, starts = [], []
    node = at = 0  # the vector, and the word that says how many bytes its links take
    while True:
        ahead = int(np.searchsorted(filled, at))
        skipped = int(filled[ahead]) - at if ahead < len(filled) else len(words) - at
        if node + skipped >= count:
            break
        node, at = node + skipped, at + skipped
        if at >= len(words):
            raise _bad(name, f"links of {node} vectors instead of {count}")
        size = int(words[at])
        level, left = divmod(size, 4 * (links + 1))
        if left or not 1 <= level <= top or at + 1 + size // 4 > len(words):
            raise _bad(name, f"{size} bytes of links at vector {node}")
        levels[node] = level
        nodes.append(node)
        starts.append(at + 1)
        node, at = node + 1, at + 1 + size // 4
    if at + count - node != len(words):
        raise _bad(name, "more than its vectors' links")
    return levels, np.array(nodes, dtype=np.int64), np.array(starts, dtype=np.int64)


def _check_upper_links(
    words: np.ndarray, name: str, links: int, levels: np.ndarray, nodes: np.ndarray, starts: np.ndarray
) -> None:
    """Links at level l lead to vectors that have a level l."""
    reached = np.repeat(nodes, levels[nodes])
    level = np.arange(len(reached)) - np.repeat(np.cumsum(levels[nodes]) - levels[nodes], levels[nodes]) + 1
    lists = np.repeat(starts, levels[nodes]) + (level - 1) * (links + 1)
    for first in range(0, len(lists), _ROWS):
        rows = words[lists[first : first + _ROWS, None] + np.arange(links + 1)]
        _check_links(rows, name, len(levels))
        used = np.arange(links) < rows[:, :1]
        ends = levels[np.where(used, rows[:, 1:], 0)]
        if (used & (ends < level[first : first + _ROWS, None])).any():
            raise _bad(name, "a link to a vector below its level")


def _bad(name: str, what: str) -> BundleError:
    return BundleError(f"{name}: {what}; not an index that hnswlib can be given, export the bundle again")
