"""Features of many frames, streamed: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from panda_edge.builder.pictures import Picture, Pictures
from panda_edge.builder.progress import Progress, silent
from panda_edge.bundle.model import Features
from panda_edge.images.view import View
from panda_edge.process_group import ALONE, ProcessGroup, shared
from panda_edge.search.picture import FeatureFunction

T = TypeVar("T")

BATCH = 8

_PICTURES = 8  # whose features are handed on together; of those that are cut, one

Source = tuple[Picture, int]
"""A frame's picture, and its number there."""


@dataclass(frozen=True)
class SeenFrame:
    """Where a frame is of. picture: its number among those given; size: its width and height; frame: its number there;
    place: row and column."""

    picture: int
    size: tuple[int, int]
    frame: int
    place: tuple[int, int]


Batch = tuple[list[SeenFrame], Features]


def features_of(
    pictures: Pictures,
    wanted: Sequence[int],
    numbers: Callable[[View], Sequence[int]],
    run: FeatureFunction,
    group: ProcessGroup = ALONE,
    everyone: bool = False,
    progress: Progress = silent,
) -> Iterator[Batch]:
    """Features of those frames of the wanted pictures, in their order, shared by the group (see `shared`).

    Batches do not reach from one group of pictures into the next, so that they are the same whoever runs them.
    """
    size = _PICTURES if pictures.preprocessing.tiles is None else 1
    groups = [wanted[begin : begin + size] for begin in range(0, len(wanted), size)]

    def work(own: Sequence[Sequence[int]]) -> Iterator[list[Batch]]:
        read = pictures.each(number for group in own for number in group)
        for group in own:
            frames = single_frames((picture for picture in islice(read, len(group)) if picture is not None), numbers)
            yield [([_seen(*source) for source in sources], found) for sources, found in batched_features(frames, run)]

    for batches in progress(shared(group, groups, work, everyone), "features", len(groups)):
        yield from batches


def _seen(picture: Picture, frame: int) -> SeenFrame:
    return SeenFrame(picture.number, picture.view.picture, frame, picture.view.place(frame))


def single_frames(
    pictures: Iterable[Picture], numbers: Callable[[View], Sequence[int]]
) -> Iterator[tuple[Source, np.ndarray]]:
    """Those frames of each picture, one by one, uint8 (height, width, 3)."""
    for picture in pictures:
        for number in numbers(picture.view):
            yield (picture, number), picture.view.frames(picture.canvas, [number])[0]


def batched_features(
    frames: Iterable[tuple[T, np.ndarray]], run: FeatureFunction
) -> Iterator[tuple[list[T], Features]]:
    """Frames, each uint8 (height, width, 3) with whatever tells where it comes from, in batches with their features."""
    remaining = iter(frames)
    while batch := list(islice(remaining, BATCH)):
        sources, pixels = zip(*batch, strict=True)
        yield list(sources), run(np.stack(pixels))
