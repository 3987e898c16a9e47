"""What each picture of a data set is by itself: size, mode, content, quality; or why it cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from panda_edge.errors import ImageError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import Quality, measure_quality
from panda_edge.images.reading import image_bytes, image_header
from panda_train.data.folders import GOOD, Dataset

SIDE = 224  # pixels of the frame that quality is measured in, and that the network sees
_READERS = 4


@dataclass(frozen=True)
class Place:
    """Where a picture stands in its data set. part: `train` or `test`; kind: of a test picture, its folder's name."""

    path: Path
    part: str
    kind: str
    anomalous: bool


@dataclass(frozen=True)
class Look:
    """What a picture is. digest: SHA-256 of its file. error: why it cannot be read; then nothing else is known."""

    place: Place
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    digest: str = ""
    quality: Quality | None = None
    error: str = ""


def places_of(dataset: Dataset) -> list[Place]:
    """All pictures of a data set, normal ones of `train` first."""
    train = [Place(path, "train", GOOD, False) for path in dataset.train]
    return train + [Place(sample.path, "test", sample.kind, sample.anomalous) for sample in dataset.test]


def looks_at(places: Sequence[Place], white: int | None) -> Iterator[Look]:
    """A look at each picture, in their order; each file is read once, by several threads. white: see `open_image`."""
    preprocessing = Preprocessing(SIDE, SIDE, white=white)

    def look(place: Place) -> Look:
        try:
            header = image_header(place.path)
            data = image_bytes(place.path)
            opened = preprocessing.decode(data, str(place.path))
        except ImageError as error:
            return Look(place, error=str(error))
        mode = f"{header.mode}, more than 8 bits" if header.deep else header.mode
        quality = measure_quality(opened.image, preprocessing)
        return Look(place, header.size, mode, hashlib.sha256(data).hexdigest(), quality)

    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(look, places)
