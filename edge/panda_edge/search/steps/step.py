"""What a step of the heat map is: a file of this folder has one, and `STEPS` lists them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from panda_edge.banks import traits_of
from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.errors import BundleError

Apply = Callable[[np.ndarray, Found, Query], np.ndarray]
"""L2 distances of a frame's cells after the steps before, float32 (height, width); what the search found; what it was
asked. Returns the new distances, float32 of the same shape."""


class FrameArray(NamedTuple):
    """What a bundle's file holds of each stored frame. shape: of one frame; the file's is (frames, *shape)."""

    shape: tuple[int, ...]
    dtype: str


class Step(Protocol):
    """A dataclass of a step's parameters, as the manifest has them. Its `name` is what the manifest calls it."""

    name: ClassVar[str]

    @classmethod
    def read(cls, plain: Any, where: str) -> Step:
        """From a manifest's object; each parameter's range is checked. Raises BundleError."""

    def check(self, manifest: Manifest, where: str) -> None:
        """Raise BundleError where a bundle like this cannot have the step."""

    @staticmethod
    def files(levels: Sequence[Level]) -> dict[str, FrameArray]:
        """The files that it needs in a bundle, by their names."""

    def open(self, bundle: Bundle, options: SearchOptions) -> Apply:
        """Raises BundleError where a file is missing or damaged."""

    def said(self) -> str:
        """The step in a few words, for `panda-edge info`."""


def needs_exact(manifest: Manifest, where: str) -> None:
    """For `check`, of steps that know the stored frames."""
    if not traits_of(manifest).stores_frames:
        raise BundleError(f"{where} of a {manifest.segmentation.bank} bank; expected an exact one")


def frame_array(bundle: Bundle, name: str, array: FrameArray) -> np.ndarray:
    """A file of `Step.files`, mapped: (frames, *shape). Raises BundleError."""
    return bundle.array(name, (bundle.manifest.segmentation.count, *array.shape), array.dtype)
