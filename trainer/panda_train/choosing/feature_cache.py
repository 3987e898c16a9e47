"""Features of frames, computed once and given to every candidate that looks at the same frames."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tempfile
import weakref
from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch

from panda_edge.banks.level_files import raster_order
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features
from panda_edge.bundle.space import temporary_room
from panda_edge.search.picture import FeatureFunction
from panda_edge.system import reserve
from panda_export.descriptors import Descriptors
from panda_export.graph import nest
from panda_export.network import Network


class FeatureCache:
    """A feature function that runs the model once a frame, and keeps float32 results in an unnamed file.

    Several threads may call it.
    """

    def __init__(self, run: FeatureFunction, levels: Sequence[Level], embedding_size: int) -> None:
        self._run = run
        self._shapes = [(1, embedding_size), *((level.height * level.width, level.channels) for level in levels)]
        self._sizes = [rows * columns for rows, columns in self._shapes]
        self._numbers: dict[bytes, int] = {}
        self._lock = Lock()
        with temporary_room(), tempfile.TemporaryFile(prefix="panda-features-") as unnamed:
            self._file = os.dup(unnamed.fileno())
        weakref.finalize(self, os.close, self._file)

    def __call__(self, frames: np.ndarray) -> Features:
        """frames: uint8 (B, height, width, 3)."""
        names = [hashlib.blake2b(np.ascontiguousarray(frame).data, digest_size=16).digest() for frame in frames]
        with self._lock:
            missing = [i for i, name in enumerate(names) if name not in self._numbers]
            if missing:
                self._keep([names[i] for i in missing], self._run(frames[missing]))
            numbers = [self._numbers[name] for name in names]
        size = sum(self._sizes) * 4
        rows = np.stack([np.frombuffer(os.pread(self._file, size, number * size), np.float32) for number in numbers])
        parts = np.split(rows, np.cumsum(self._sizes)[:-1], axis=1)
        shaped = [part.reshape(len(frames), *shape) for part, shape in zip(parts, self._shapes, strict=True)]
        return Features(shaped[0][:, 0], tuple(shaped[1:]))

    def _keep(self, names: Sequence[bytes], features: Features) -> None:
        size = sum(self._sizes) * 4
        for i, name in enumerate(names):
            if name in self._numbers:  # twice in one batch
                continue
            row = np.concatenate([features.embedding[i].ravel(), *(level[i].ravel() for level in features.levels)])
            number = len(self._numbers)
            with temporary_room():
                reserve(self._file, (number + 1) * size)
                os.pwrite(self._file, row.astype(np.float32).tobytes(), number * size)
            self._numbers[name] = number


def with_descriptors(network: Network, descriptors: Descriptors | None, kept: int) -> Network:
    """The network as an export with these descriptors would have it, by the features of the plain one.

    kept: how many levels, the coarsest, it gives.
    """
    levels = network.levels
    coarse = (levels[0].height, levels[0].width)
    orders = [raster_order(coarse, depth) for depth in range(len(levels))]

    def run(frames: np.ndarray) -> Features:
        features = network.run(frames)
        if descriptors is None:
            return dataclasses.replace(features, levels=features.levels[:kept])
        with torch.inference_mode():
            maps = [
                torch.from_numpy(level[:, order]).permute(0, 3, 1, 2)
                for level, order in zip(features.levels, orders, strict=True)
            ]
            done = descriptors(maps)[:kept]
            nested = tuple(nest(level, depth).contiguous().numpy() for depth, level in enumerate(done))
        return dataclasses.replace(features, levels=nested)

    return dataclasses.replace(network, levels=levels[:kept], run=run, worker=lambda: run)
