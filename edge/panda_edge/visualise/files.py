"""Writing result files whole or not at all."""

from __future__ import annotations

import errno
import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from panda_edge.errors import DiskError, FullDiskError, PandaError
from panda_edge.images.listing import RESULTS_MARKER, list_pictures
from panda_edge.system import process_lives
from panda_edge.whole_file import whole_file

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a system call says where a disk, or a user's share of it, is full."""


def make_folder(path: Path) -> None:
    """A folder for results, with those above it. Raises FullDiskError, PandaError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = FullDiskError if error.errno in FULL else PandaError
        raise kind(f"{path}: cannot be made ({error.strerror or error}); choose another folder") from error


def make_results_folder(path: Path, shared: bool = False) -> None:
    """A folder for results, marked so that no listing of a folder above it takes them for pictures to judge.

    shared: pictures of others may lie there; where they do, it is not marked. Raises DiskError, PandaError.
    """
    make_folder(path)
    marker = path / RESULTS_MARKER
    if not marker.exists() and not (shared and list_pictures(path).pictures):
        write_whole(marker, b"Results of panda-edge. Commands that are given a folder above pass this one over.\n")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left below a folder: files of `write_whole` whose process is no more."""
    for leftover in folder.rglob(".*.part"):
        parts = leftover.name.split(".")
        if parts[-2].isdecimal() and int(parts[-2]) != os.getpid() and not process_lives(int(parts[-2])):
            with suppress(OSError):
                leftover.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file through a temporary sibling and a rename, so that no reader sees half of it.

    Raises FullDiskError, DiskError, PandaError.
    """
    try:
        with whole_file(path) as part:
            part.write_bytes(data)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise PandaError(f"{path}: too long a name for this disk; give the picture a shorter one") from error
        kind: type[PandaError] = DiskError if error.errno == errno.EROFS else PandaError
        kind = FullDiskError if error.errno in FULL else kind
        raise kind(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from error


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def png_bytes(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)  # speed over size: overlays are looked at, not kept
    return stream.getvalue()


def image_bytes_as(image: Image.Image, path: Path) -> bytes:
    """An image as the kind of file that a path's suffix says. Raises PandaError."""
    stream = io.BytesIO()
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise PandaError(f"{path}: {path.suffix or 'no suffix'} is no kind of picture to write; name it .png or .jpg")
    image.save(stream, kind)
    return stream.getvalue()


def png16(values: np.ndarray, top: float) -> Image.Image:
    """A 16-bit grey image, 0 … top as 0 … 65535; NaN and less than 0 become 0, more than top 65535."""
    scaled = np.nan_to_num(values, nan=0.0) * (65535 / top)
    return Image.fromarray(np.clip(np.rint(scaled), 0, 65535).astype(np.uint16))
