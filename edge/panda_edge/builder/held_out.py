"""The normal pictures that a bundle was calibrated with, kept in it, so that it can be calibrated again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge.builder.pictures import Picture
from panda_edge.bundle.folder import Bundle
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import image_bytes

HELD_OUT_FILE = "extend/held_out.npy"


class HeldOutWriter:
    """Keeps pictures in a bundle: each one's canvas, losslessly, and the picture's size."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._sizes: list[tuple[int, int]] = []
        (staging / HELD_OUT_FILE).parent.mkdir(exist_ok=True)

    def add(self, size: tuple[int, int], png: bytes) -> None:
        """size: width and height of the picture; png: what `png_of` gives."""
        (self._staging / _file(len(self._sizes))).write_bytes(png)
        self._sizes.append(size)

    def close(self) -> None:
        sizes = np.array(self._sizes, dtype=np.int32).reshape(-1, 2)
        np.save(self._staging / HELD_OUT_FILE, sizes, allow_pickle=False)


def png_of(picture: Picture) -> bytes:
    """A picture's canvas as a PNG."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture.canvas)).save(stream, "PNG")
    return stream.getvalue()


def read_held_out(bundle: Bundle, preprocessing: Preprocessing, numbers: Iterable[int]) -> Iterator[Picture]:
    """Pictures kept in a bundle, by their numbers from 0. Raises BundleError."""
    assert bundle.manifest.calibration is not None
    path = bundle.checked_file(HELD_OUT_FILE)
    sizes = np.array(bundle.array(HELD_OUT_FILE, (bundle.manifest.calibration["images"], 2), "int32"))
    if sizes.min(initial=1) < 1:
        raise BundleError(f"{path}: sizes below 1; export the bundle again")
    for number in numbers:
        name, (width, height) = _file(number), sizes[number].tolist()
        try:
            view = preprocessing.view((width, height))
            with Image.open(io.BytesIO(image_bytes(bundle.checked_file(name)))) as image:
                canvas = np.asarray(image.convert("RGB"))
        except (PandaError, OSError, ValueError) as error:
            raise BundleError(f"{bundle.path / name}: {error}; export the bundle again") from error
        if canvas.shape != (*view.canvas, 3):
            raise BundleError(f"{bundle.path / name}: {canvas.shape}, expected {(*view.canvas, 3)}; export it again")
        yield Picture(number, view, canvas)


def _file(number: int) -> str:
    return f"extend/held_{number:05d}.png"
