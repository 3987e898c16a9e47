"""Which normal frames a frame is compared with: the most similar ones, anywhere or where it lies itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panda_edge import kernel
from panda_edge.banks.embeddings import EmbeddingBank, open_embedding_bank, stored_embeddings
from panda_edge.bundle.folder import Bundle
from panda_edge.errors import BundleError

PLACES_FILE = "bank/places.npy"
REACH = {"near": 1, "place": 0}  # tiles up, down, left and right of a tile's own place


Similar = tuple[np.ndarray, np.ndarray]
"""Squared L2 distances to stored frames, float32 (k,) ascending, and their numbers, int64 (k,)."""


@dataclass(frozen=True)
class Places:
    """Where each stored frame comes from: int32 (N, 3) of picture number, row and column of its tile.

    A picture's turned copies have its number, so that it is left out with them.
    """

    rows: np.ndarray

    def pictures(self) -> np.ndarray:
        return self.rows[:, 0]

    def within(self, place: tuple[int, int], reach: int) -> np.ndarray:
        """Numbers of the frames at most `reach` tiles from a place, int64."""
        far = np.abs(self.rows[:, 1:] - np.array(place, dtype=np.int32)).max(axis=1)
        return np.flatnonzero(far <= reach)


class Candidates:
    """Finds the normal frames whose embeddings are nearest to a frame's."""

    def __init__(self, bank: EmbeddingBank, places: Places | None = None) -> None:
        """places: of a bank of tiles or turned copies; None where every stored frame is a picture by itself."""
        self._bank = bank
        self._places = places
        self._most_of_a_picture = 1 if places is None else int(np.bincount(places.pictures()).max(initial=1))

    def nearest(
        self, embeddings: np.ndarray, k: int, places: Sequence[tuple[int, int]], exclude: int | None = None
    ) -> list[Similar]:
        """The k nearest stored frames of each frame, fewer where there are not so many.

        embeddings: float32 (B, D), searched together so that the bank is read once. places: (row, column) of each.
        exclude: the number of a normal picture that is not to be compared with.
        """
        wanted = k if exclude is None else k + self._most_of_a_picture
        squared, numbers = self._bank.nearest(embeddings, wanted)
        if exclude is None:
            return list(zip(squared, numbers, strict=True))
        pictures = numbers if self._places is None else self._places.pictures()[numbers]
        kept = [np.flatnonzero(row != exclude)[:k] for row in pictures]
        return [(squared[i, columns], numbers[i, columns]) for i, columns in enumerate(kept)]


class NearbyCandidates:
    """Finds them among the tiles that lie where the frame does, for parts that lie alike."""

    def __init__(self, vectors: np.ndarray, places: Places, reach: int, threads: int) -> None:
        """vectors: float32 (N, D) of all stored frames. reach: in tiles; 0 for the same place."""
        self._vectors = vectors
        self._places = places
        self._reach = reach
        self._threads = threads
        self._within: dict[tuple[int, int], np.ndarray] = {}

    def nearest(
        self, embeddings: np.ndarray, k: int, places: Sequence[tuple[int, int]], exclude: int | None = None
    ) -> list[Similar]:
        """See `Candidates.nearest`."""
        found = []
        for embedding, place in zip(embeddings, places, strict=True):
            numbers = self._around(place)
            if exclude is not None:
                numbers = numbers[self._places.pictures()[numbers] != exclude]
            squared, rows = kernel.topk(embedding[None], self._vectors[numbers], k, threads=self._threads)
            found.append((squared[0], numbers[rows[0]]))
        return found

    def _around(self, place: tuple[int, int]) -> np.ndarray:
        """Numbers of the frames near a place; further off where a small bank has kept only one picture's there."""
        if place not in self._within:
            reach = self._reach
            numbers = self._places.within(place, reach)
            while len(numbers) < len(self._vectors) and len(np.unique(self._places.pictures()[numbers])) < 2:
                reach += 1
                numbers = self._places.within(place, reach)
            self._within[place] = numbers
        return self._within[place]


def open_candidates(bundle: Bundle, threads: int) -> Candidates | NearbyCandidates:
    """What a bundle's manifest names. Raises BundleError."""
    manifest = bundle.manifest
    places = open_places(bundle)
    compare = manifest.segmentation.compare
    if compare == "anywhere":
        return Candidates(open_embedding_bank(bundle, threads), places)
    vectors = stored_embeddings(bundle)
    if places is None or vectors is None:
        raise BundleError(
            f"{bundle.path}: segmentation.compare is {compare!r} of a {manifest.detection.bank} detection bank; "
            "expected an exact one of tiles, export the bundle again"
        )
    return NearbyCandidates(vectors, places, REACH[compare], threads)


def open_places(bundle: Bundle) -> Places | None:
    """Where the stored frames come from; None where each is a picture by itself, or the bank is of means. Raises
    BundleError."""
    if PLACES_FILE not in bundle.manifest.files:
        return None
    bundle.checked_file(PLACES_FILE)
    rows = np.array(bundle.array(PLACES_FILE, (bundle.manifest.detection.count, 3), "int32"))
    if rows.min(initial=0) < 0 or rows.max(initial=0) > 1 << 24:
        raise BundleError(f"{bundle.path / PLACES_FILE}: numbers out of range; export the bundle again")
    return Places(rows)


def frames_of_pictures(bundle: Bundle) -> list[range]:
    """The stored frames of each stored picture, which lie together, row by row, copies after it. Raises BundleError."""
    places, count = open_places(bundle), bundle.manifest.detection.count
    if places is None:
        return [range(number, number + 1) for number in range(count)]
    steps = np.diff(places.pictures(), prepend=-1)
    if steps.min(initial=0) < 0:
        raise BundleError(f"{bundle.path / PLACES_FILE}: pictures out of order; export the bundle again")
    begins = np.flatnonzero(steps).tolist()
    return [range(begin, end) for begin, end in zip(begins, [*begins[1:], count], strict=True)]
