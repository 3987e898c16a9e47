"""What the frozen part gives for each image, kept: it never changes, so every epoch can reuse it."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from panda_edge.bundle.space import reserved_array, temporary_room
from panda_edge.errors import PandaError
from panda_edge.system import reserve
from panda_edge.whole_file import whole_file
from panda_train.backbones import Backbone

BATCH = 16
MEMORY_LIMIT = 4 << 30
"""Bytes of activations kept in memory; more go to a memory-mapped temporary file."""


class ActivationSource(Protocol):
    """Activations of numbered images, from wherever."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> Tensor:
        """float32 (b, C, h, w), in channels-last memory, on the CPU."""


class StoredActivations:
    """Activations in one array, float32 (N, h, w, C), in memory or in a file."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def batch(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(self._array[indices]).permute(0, 3, 1, 2)

    def in_memory(self) -> "StoredActivations":
        """A copy in memory, to train on: a mapped file is read anew, page by page, for every random batch."""
        return StoredActivations(np.array(self._array))

    def views(self, count: int) -> "list[StoredActivations]":
        """Where each image's `count` views follow one another: one source a view, sharing the array."""
        return [StoredActivations(self._array[view::count]) for view in range(count)]

    @staticmethod
    def joined(parts: "Sequence[StoredActivations]") -> "StoredActivations":
        """All of them in one, in their order, in memory."""
        return StoredActivations(np.concatenate([part._array for part in parts]))


class RecomputedActivations:
    """The frozen part run anew for each batch: what `StoredActivations` saves, and must equal.

    frames: uint8 (N, H, W, 3).
    """

    def __init__(self, backbone: Backbone, frames: np.ndarray) -> None:
        self._backbone = backbone
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def batch(self, indices: np.ndarray) -> Tensor:
        return frozen_activations(self._backbone, self._frames[indices])


def frozen_activations(backbone: Backbone, frames: np.ndarray) -> Tensor:
    """uint8 (b, H, W, 3) → float32 (b, C, h, w) on the CPU."""
    device = next(backbone.parameters()).device
    with torch.no_grad():
        x = backbone.normalise(torch.from_numpy(frames).to(device))
        activation: Tensor = backbone.frozen(x)[0]
    return activation.cpu().contiguous(memory_format=torch.channels_last)


def store(
    backbone: Backbone, frames: Iterable[np.ndarray], count: int, file: Path | None = None, limit: int = MEMORY_LIMIT
) -> StoredActivations:
    """Run the frozen part over at most `count` frames, each uint8 (H, W, 3).

    file: where to keep them, as .npy; by default in memory, or in a temporary file, which goes with the process,
    where they take more than `limit` bytes.
    """
    array: np.ndarray | None = None
    done = 0
    for batch in _batched(frames):
        activation = frozen_activations(backbone, batch).permute(0, 2, 3, 1).numpy()
        if array is None:
            array = _allocate((count, *activation.shape[1:]), file, limit)
        if done + len(batch) <= count:
            array[done : done + len(batch)] = activation
        done += len(batch)
    if array is None:
        raise PandaError("none of the normal images can be read; see the lines above")
    if done > count:
        raise ValueError(f"{done} frames came, {count} were announced")
    return StoredActivations(array[:done])


def keep(backbone: Backbone, frames: Iterable[np.ndarray], count: int, file: Path) -> StoredActivations:
    """As `store`, in `file`, mapped. There whole or not at all; where it is, no frame is asked for."""
    if not file.exists():
        with whole_file(file) as part:
            store(backbone, frames, count, file=part)
    return StoredActivations(np.load(file, mmap_mode="r"))


def _allocate(shape: tuple[int, ...], file: Path | None, limit: int) -> np.ndarray:
    if file is not None:
        return reserved_array(file, np.float32, shape)
    if np.prod(shape) * 4 <= limit:
        return np.empty(shape, np.float32)
    # The name is gone at once, the space when the process ends, however it ends.
    with temporary_room(), tempfile.NamedTemporaryFile(prefix="panda-activations-") as unnamed:
        reserve(unnamed.fileno(), int(np.prod(shape)) * 4)
        return np.memmap(unnamed, np.float32, "w+", shape=shape)


def _batched(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    iterator = iter(frames)
    while chunk := list(islice(iterator, BATCH)):
        yield np.stack(chunk)
