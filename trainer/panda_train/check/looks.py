"""What each picture of a data set is by itself: size, mode, content, quality; or why it cannot be read.

Each file is read and decoded once, and everything is taken from that."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from panda_edge.builder.copies import look_of
from panda_edge.errors import ImageError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import Quality, measure_quality
from panda_edge.images.reading import image_bytes, image_header
from panda_train.data.folders import GOOD, Dataset

SIDE = 224  # pixels of the frame that quality is measured in, and that the network sees
_READERS = 4
_AHEAD = 64  # pictures that are decoded before they are asked for


@dataclass(frozen=True)
class Place:
    """Where a picture stands in its data set. part: `train` or `test`; kind: of a test picture, its folder's name."""

    path: Path
    part: str
    kind: str
    anomalous: bool


@dataclass(frozen=True)
class Look:
    """What a picture is. digest: SHA-256 of its file. colours: by which copies are found, see `builder.copies`. error:
    why it cannot be read; then nothing else is known."""

    place: Place
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    digest: str = ""
    quality: Quality | None = None
    colours: np.ndarray | None = field(default=None, repr=False)
    error: str = ""


def places_of(dataset: Dataset) -> list[Place]:
    """All pictures of a data set, normal ones of `train` first."""
    train = [Place(path, "train", GOOD, False) for path in dataset.train]
    return train + [Place(sample.path, "test", sample.kind, sample.anomalous) for sample in dataset.test]


def looks_at(places: Sequence[Place], white: int | None) -> Iterator[tuple[Look, np.ndarray | None]]:
    """A look at each picture, and its frame, uint8 (SIDE, SIDE, 3), None where it cannot be read; in their order, by
    several threads. white: see `open_image`."""
    preprocessing = Preprocessing(SIDE, SIDE, white=white)

    def look(place: Place) -> tuple[Look, np.ndarray | None]:
        try:
            header = image_header(place.path)
            data = image_bytes(place.path)
            opened = preprocessing.decode(data, str(place.path))
            frame = preprocessing.canvas(opened.image, preprocessing.view(opened.full_size))
        except ImageError as error:
            return Look(place, error=str(error)), None
        mode = f"{header.mode}, more than 8 bits" if header.deep else header.mode
        quality = measure_quality(opened.image, preprocessing)
        digest = hashlib.sha256(data).hexdigest()
        return Look(place, header.size, mode, digest, quality, look_of(opened.image)), frame

    waiting: deque[Future[tuple[Look, np.ndarray | None]]] = deque()
    with ThreadPoolExecutor(_READERS) as readers:
        for place in places:
            waiting.append(readers.submit(look, place))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
