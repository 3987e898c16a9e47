"""Features of many frames, streamed: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from panda_edge.bundle.model import Features
from panda_edge.images.view import View
from panda_edge.learn.pictures import Picture
from panda_edge.search.picture import FeatureFunction

T = TypeVar("T")

BATCH = 8

Source = tuple[Picture, int]
"""A frame's picture, and its number there."""


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
