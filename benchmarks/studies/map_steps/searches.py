"""What the searches of a set find, before any step: kept once, so that every variant of the steps is arithmetic.

Similar frames are searched in parts of growing K, so that the nearest of any K is the least of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import panda_edge
from panda_edge import kernel
from panda_edge.banks.exact import frame_levels, stored_frames
from panda_edge.banks.level_files import grid_of
from panda_edge.builder.stored import read_sizes, stored_embeddings
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.model import default_threads
from panda_edge.images.view import View
from panda_edge.search.candidates import frames_of_pictures, open_candidates, open_places
from panda_train.data.folders import Dataset
from panda_train.data.mask_pixels import read_masks
from panda_train.progress import show

ENDS = (10, 20, 50, 100)  # of the parts: each searches the frames from the end before it


@dataclass(frozen=True)
class Searched:
    """Of every frame of a set's normal pictures, then of its test pictures.

    near, wide: squared L2 distances float32 (F, parts, h, w) of descriptors and of their 3 × 3 averages; near_match,
    wide_match: int32, which stored cell that is. picture: int32 (F,), place: int32 (F,), the frame's number in its
    picture. normal: how many pictures are stored ones, each searched without itself. anomalous: bool, of the others.
    """

    near: np.ndarray
    near_match: np.ndarray
    wide: np.ndarray
    wide_match: np.ndarray
    picture: np.ndarray
    place: np.ndarray
    normal: int
    anomalous: np.ndarray
    sizes: np.ndarray  # (pictures, 2) width and height


def searched(name: str, dataset: Dataset, bundle: Bundle, work: Path) -> Searched:
    """Read what is kept below `work`, or search and keep it."""
    path = work / f"{name.replace(' ', '_').replace(',', '')}.npz"
    if not path.exists():
        found = _search(dataset, bundle)
        part = path.with_suffix(".part.npz")
        np.savez(part, **found)
        part.rename(path)
    with np.load(path) as kept:
        fields = {key: kept[key] for key in kept.files}
    return Searched(**{**fields, "normal": int(fields["normal"])})


def true_masks(dataset: Dataset, views: Sequence[View]) -> list[np.ndarray]:
    """Of each test picture, bool of its heat map's shape; all False for a normal one."""
    masks = []
    for sample, view in zip(dataset.test, views, strict=True):
        if not sample.masks:
            masks.append(np.zeros(view.map_shape, dtype=bool))
        else:
            masks.append(view.mask_on_map(read_masks(sample.masks)))
    return masks


def _search(dataset: Dataset, bundle: Bundle) -> dict[str, np.ndarray]:
    threads, grid = default_threads(), grid_of(bundle)
    stored = stored_frames(bundle)
    averaged = [np.empty((len(_values(stored[0])), *shape), np.float16) for shape in _shapes(stored)]
    kernel.gallery_averages(stored, grid, averaged, threads)
    near, wide = kernel.PyramidSearch(list(stored), grid, threads), kernel.PyramidSearch(averaged, grid, threads)
    rows: list[tuple[list[np.ndarray], ...]] = []
    pictures: list[int] = []
    at: list[int] = []
    sizes = read_sizes(bundle)
    frames = (*_stored(bundle), *_tested(dataset, bundle, len(sizes), sizes))
    for picture, place, levels, numbers in show(frames, "search", len(frames)):
        begins = (0, *ENDS[:-1])
        row: tuple[list[np.ndarray], ...] = ([], [], [], [])
        for begin, end in zip(begins, ENDS, strict=True):
            chosen = numbers[begin:end]
            if not len(chosen):
                for one in row:
                    one.append(one[-1])  # nothing more to compare with
                continue
            found = near.nearest(levels, chosen), wide.nearest(kernel.averages(levels, grid), chosen)
            for one, values in zip(row, (*found[0], *found[1]), strict=True):
                one.append(values)
        rows.append(row)
        pictures.append(picture)
        at.append(place)
    stacked = [np.stack([np.stack(row[i]) for row in rows]) for i in range(4)]
    return {
        "near": stacked[0],
        "near_match": stacked[1].astype(np.int32),
        "wide": stacked[2],
        "wide_match": stacked[3].astype(np.int32),
        "picture": np.array(pictures, np.int32),
        "place": np.array(at, np.int32),
        "normal": np.array(len(frames_of_pictures(bundle))),
        "anomalous": np.array([sample.anomalous for sample in dataset.test]),
        "sizes": np.array(sizes, np.int32),
    }


def _shapes(stored: Sequence[kernel.Rows]) -> list[tuple[int, int]]:
    """(cells, channels) of the averaged levels."""
    return kernel.average_shapes([_values(level).shape[1:] for level in stored])


def _values(level: kernel.Rows) -> np.ndarray:
    return level[0] if isinstance(level, tuple) else level


_Frame = tuple[int, int, list[np.ndarray], np.ndarray]  # picture, place, levels, numbers of similar frames


def _stored(bundle: Bundle) -> Iterator[_Frame]:
    candidates, places, stored = open_candidates(bundle, default_threads()), open_places(bundle), stored_frames(bundle)
    embeddings, sizes = stored_embeddings(bundle), read_sizes(bundle)
    for picture, own in enumerate(frames_of_pictures(bundle)):
        view = bundle.manifest.preprocessing.view(sizes[picture])
        lie = [(0, 0)] * len(own) if places is None else [(int(r), int(c)) for _, r, c in places.rows[own]]
        exclude = picture if places is None else int(places.rows[own[0], 0])
        similar = candidates.nearest(embeddings[own], ENDS[-1], lie, exclude)
        for number, (row, column), (_, numbers) in zip(own, lie, similar, strict=True):
            yield picture, row * len(view.lefts) + column, frame_levels(stored, int(number)), numbers


def _tested(dataset: Dataset, bundle: Bundle, first: int, sizes: list[tuple[int, int]]) -> Iterator[_Frame]:
    detector = panda_edge.load(bundle.path)
    candidates = open_candidates(bundle, default_threads())
    for i, sample in enumerate(dataset.test):
        image, view = bundle.manifest.preprocessing.open(sample.path)
        sizes.append(view.picture)
        canvas = bundle.manifest.preprocessing.canvas(image, view)
        for place in view.active_frames():
            features = detector.features(view.frames(canvas, [place]))
            ((_, numbers),) = candidates.nearest(features.embedding, ENDS[-1], [view.place(place)])
            yield first + i, place, [level[0] for level in features.levels], numbers
