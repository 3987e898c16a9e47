"""The normal pictures of an exact bank, scored from what is stored of them, each as if it were not in the bank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from panda_edge.banks.embeddings import open_embedding_bank
from panda_edge.banks.exact import PICTURES_FILE, frame_levels, stored_frames
from panda_edge.banks.query import FrameFeatures
from panda_edge.builder.calibrate import ScoredPicture
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.bundle.recipe import AUGMENTS
from panda_edge.errors import BundleError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.search.candidates import PLACES_FILE, frames_of_pictures, open_places
from panda_edge.search.picture import joined
from panda_edge.search.scoring import FrameScore, Scorer


def write_sizes(staging: Path, sizes: Sequence[tuple[int, int]]) -> None:
    np.save(staging / PICTURES_FILE, np.array(sizes, dtype=np.int32).reshape(-1, 2), allow_pickle=False)


def read_sizes(bundle: Bundle) -> list[tuple[int, int]]:
    """(width, height) of each stored picture. Raises BundleError."""
    bundle.checked_file(PICTURES_FILE)
    count = _pictures(bundle)
    sizes = np.array(bundle.array(PICTURES_FILE, (count, 2), "int32"))
    if sizes.min(initial=1) < 1:
        raise BundleError(f"{bundle.path / PICTURES_FILE}: sizes below 1; export the bundle again")
    return [(width, height) for width, height in sizes.tolist()]


def read_places(bundle: Bundle) -> np.ndarray:
    """Of each stored frame its picture's number, row and column, int32 (N, 3). Raises BundleError."""
    places, count = open_places(bundle), bundle.manifest.detection.count
    if places is not None:
        return places.rows
    return np.stack([np.arange(count), np.zeros(count), np.zeros(count)], axis=1).astype(np.int32)


def stored_embeddings(bundle: Bundle) -> np.ndarray:
    """float32 (count, D), of an exact bank or out of its graph. Raises BundleError."""
    return open_embedding_bank(bundle, 1).vectors()


def scored_without_itself(
    staging: Path, manifest: Manifest, preprocessing: Preprocessing, numbers: Iterable[int]
) -> Iterator[ScoredPicture]:
    """Score stored pictures of an exact gallery by their numbers. preprocessing: with the roi, where there is one."""
    bundle = Bundle(staging, manifest)
    scorer = Scorer(bundle, default_threads())
    embeddings, sizes, frames = stored_embeddings(bundle), read_sizes(bundle), frames_of_pictures(bundle)
    places, stored = open_places(bundle), stored_frames(bundle)
    copies = copies_of(manifest)
    for number in numbers:
        # Of the frames at one place the picture's own is the first, before those of its copies.
        view, own = preprocessing.view(sizes[number]), frames[number][::copies]
        exclude = number if places is None else int(places.rows[own[0], 0])
        rows = np.zeros((1, 3), np.int32) if places is None else places.rows[own]
        at = [int(row) * len(view.lefts) + int(column) for _, row, column in rows]
        scores: list[FrameScore | None] = [None] * view.count
        bare = [FrameFeatures(embeddings[i], (), view=view, number=frame) for i, frame in zip(own, at, strict=True)]
        similar = scorer.similar(bare, True, exclude if len(embeddings) > 1 else None)
        for i, frame, found in zip(own, bare, similar, strict=True):
            whole = replace(frame, levels=frame_levels(stored, int(i)))  # a frame at a time, as levels are large
            scores[frame.number] = scorer.score(whole, similar=found)
        yield view, joined(view, scores, scorer.maps, manifest.decision.sigma)


def are_whole(bundle: Bundle, preprocessing: Preprocessing) -> bool:
    """Whether every stored picture and copy has just those tiles that are looked at. Raises BundleError."""
    places = open_places(bundle)
    if places is None:
        return True
    copies = copies_of(bundle.manifest)
    pictures = zip(read_sizes(bundle), frames_of_pictures(bundle), strict=True)
    views = ((preprocessing.view(size), places.rows[own]) for size, own in pictures)
    return all(
        [view.place(number) for number in view.active_frames() for _ in range(copies)]
        == [(int(row), int(column)) for _, row, column in rows]
        for view, rows in views
    )


def copies_of(manifest: Manifest) -> int:
    """How many turned copies of each picture are stored, itself among them."""
    return AUGMENTS[manifest.recipe.augment]


def _pictures(bundle: Bundle) -> int:
    if PLACES_FILE not in bundle.manifest.files:
        return bundle.manifest.detection.count
    return len(frames_of_pictures(bundle))
