"""The self-test in a bundle: normal frames with what the workstation found for them."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, fields

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.npy import read_header
from panda_edge.errors import BundleError

SELFTEST_FILE = "selftest.npz"


@dataclass(frozen=True)
class SelfTest:
    """Frames, uint8 (N, height, width, 3), with what the workstation found for them.

    embeddings: float32 (N, D); scores: float64 (N,); heatmaps: float32 (N, height, width).
    """

    frames: np.ndarray
    embeddings: np.ndarray
    scores: np.ndarray
    heatmaps: np.ndarray


def read_selftest(bundle: Bundle) -> SelfTest:
    """The bundle's self-test. Raises BundleError."""
    path = bundle.checked_file(SELFTEST_FILE)
    try:
        with zipfile.ZipFile(path) as archive:
            test = SelfTest(*(_member(archive, field.name) for field in fields(SelfTest)))
    except Exception as error:  # zipfile raises many types on what is no archive
        raise BundleError(f"{path}: not a readable self-test; export the bundle again") from error
    count = len(test.frames) if test.frames.ndim else 0
    frame = bundle.manifest.preprocessing
    expected = {
        "frames": (np.uint8, (count, frame.height, frame.width, 3)),
        "embeddings": (np.float32, (count, bundle.manifest.embedding_size)),
        "scores": (np.float64, (count,)),
        "heatmaps": (np.float32, (count, frame.height, frame.width)),
    }
    for name, (dtype, shape) in expected.items():
        array = getattr(test, name)
        if array.dtype != dtype or array.shape != shape or not count or not np.isfinite(array).all():
            raise BundleError(
                f"{path}: {name} holds {array.dtype} {array.shape}, expected finite {np.dtype(dtype)} {shape}; "
                "export the bundle again"
            )
    return test


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of the archive, stored as it is, so that it takes no more memory than the file has bytes."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError("compressed")
    with archive.open(info) as stream:
        shape, fortran, dtype = read_header(stream)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or (fortran and len(shape) > 1) or stream.tell() + size != info.file_size:
            raise ValueError("not a plain array in C order")
        return np.frombuffer(stream.read(), dtype).reshape(shape)
