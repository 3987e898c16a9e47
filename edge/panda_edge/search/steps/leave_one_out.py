"""Leave-one-out: subtract a share of what the match itself is from other normal pictures.

Some parts of a normal picture (a cluttered corner, a rare mark) are unlike all others, and so is the same part of the
next picture. Patterns that are normal but rare score lower by this step. Tax & Duin (Data description in subspaces,
ICPR 2000) and PatchCore's reweighting (Roth et al., CVPR 2022, eq. 7) weigh a nearest distance by its neighbour's for
the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.fields import number, table
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.search.steps.step import Apply, FrameArray, frame_array, needs_exact

LEAVE_ONE_OUT_FILE = "bank/leave_one_out.npy"
LEAVE_ONE_OUT_DTYPE = "float16"


@dataclass(frozen=True)
class LeaveOneOut:
    """share: of the match's leave-one-out distance that is subtracted, 0 to 1."""

    name: ClassVar[str] = "leave-one-out"
    share: float

    @classmethod
    def read(cls, plain: Any, where: str) -> LeaveOneOut:
        return table(cls, share=number(0, 1))(plain, where)

    def check(self, manifest: Manifest, where: str) -> None:
        needs_exact(manifest, where)

    @staticmethod
    def files(levels: Sequence[Level]) -> dict[str, FrameArray]:
        return {LEAVE_ONE_OUT_FILE: FrameArray((levels[-1].height, levels[-1].width), LEAVE_ONE_OUT_DTYPE)}

    def open(self, bundle: Bundle, options: SearchOptions) -> Apply:
        ((file, array),) = self.files(bundle.manifest.levels).items()
        values = LeaveOneOutDistances(frame_array(bundle, file, array), self.share)

        def apply(distances: np.ndarray, found: Found, query: Query) -> np.ndarray:
            assert found.matches is not None  # of an exact bank
            return values.subtracted(distances, found.matches)

        return apply

    def said(self) -> str:
        return f"less {self.share:g} of the match's leave-one-out distance"


@dataclass(frozen=True)
class LeaveOneOutDistances:
    """What stored cells are from other normal pictures.

    Attributes:
        values: L2 distance of every cell of every stored frame to the nearest cell of another picture, float16
            (N, h, w).
        share: How much of it is subtracted, 0 to 1.
    """

    values: np.ndarray
    share: float

    def least(self, frames: np.ndarray | None) -> float:
        """The least that is subtracted from any distance to one of these stored frames; of all where None."""
        return self.share * float((self._least if frames is None else self._least[frames]).min())

    @cached_property
    def _least(self) -> np.ndarray:
        """Of each stored frame, float16 (N,). Halves of at least 0 are in the order of their bits, which numpy compares
        many times faster."""
        bits = self.values.view(np.uint16).reshape(len(self.values), -1).min(axis=1)
        least: np.ndarray = bits.view(np.float16)
        return least

    def subtracted(self, distances: np.ndarray, matches: np.ndarray) -> np.ndarray:
        """L2 distances less the share of their matches' own, not below 0: float32 of their shape.

        distances: float32; matches: int64, frame · cells + row · width + column; -1 where nothing was searched.
        """
        own = self.values.reshape(-1)[np.maximum(matches, 0)].astype(np.float32)
        left: np.ndarray = np.maximum(distances - np.float32(self.share) * own, np.float32(0))
        return left
