"""The normal pictures that a bundle was calibrated with, kept in it, so that it can be calibrated again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge.bundle.folder import Bundle
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import image_bytes
from panda_edge.learn.pictures import Picture

HELD_OUT_FILE = "extend/held_out.npy"


def keep_held_out(staging: Path, pictures: Iterable[Picture]) -> Iterator[Picture]:
    """The same pictures, each kept in the bundle as it passes: its canvas, losslessly, and the picture's size."""
    (staging / HELD_OUT_FILE).parent.mkdir(exist_ok=True)
    sizes: list[tuple[int, int]] = []
    for picture in pictures:
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture.canvas)).save(stream, "PNG")
        (staging / _file(len(sizes))).write_bytes(stream.getvalue())
        sizes.append(picture.view.picture)
        yield picture
    np.save(staging / HELD_OUT_FILE, np.array(sizes, dtype=np.int32).reshape(-1, 2), allow_pickle=False)


def has_held_out(bundle: Bundle) -> bool:
    return HELD_OUT_FILE in bundle.manifest.files


def read_held_out(bundle: Bundle, preprocessing: Preprocessing) -> Iterator[Picture]:
    """The pictures kept in a bundle, numbered from 0. Raises BundleError."""
    assert bundle.manifest.calibration is not None
    path = bundle.checked_file(HELD_OUT_FILE)
    sizes = np.array(bundle.array(HELD_OUT_FILE, (bundle.manifest.calibration["images"], 2), "int32"))
    if sizes.min(initial=1) < 1:
        raise BundleError(f"{path}: sizes below 1; export the bundle again")
    for number, (width, height) in enumerate(sizes.tolist()):
        name = _file(number)
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
