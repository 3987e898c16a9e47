"""Border gain: divide distances near a frame's border by how much larger they are there in normal pictures.

A network pads what lies beyond a frame's border. So normal cells at the border are unlike each other for no reason of
their own, and without this step a heat map's maximum lies there more often than it should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.fields import number, rows, table
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.errors import BundleError
from panda_edge.search.steps.step import Apply, FrameArray, needs_exact

_MOST_GAINS = 64


@dataclass(frozen=True)
class BorderGain:
    """gains: what distances of finest cells 0, 1, … cells from the border are divided by, each 1 to 16; cells further
    inside are left alone."""

    name: ClassVar[str] = "border-gain"
    gains: tuple[float, ...]

    @classmethod
    def read(cls, plain: Any, where: str) -> BorderGain:
        found = table(cls, gains=rows(number(1, 16)))(plain, where)
        if len(found.gains) > _MOST_GAINS:
            raise BundleError(f"{where}: gains has {len(found.gains)} numbers; expected at most {_MOST_GAINS}")
        return found

    def check(self, manifest: Manifest, where: str) -> None:
        needs_exact(manifest, where)
        if manifest.preprocessing.tiles is not None:
            raise BundleError(f"{where} of a bundle of tiles; expected whole pictures")

    @staticmethod
    def files(levels: Sequence[Level]) -> dict[str, FrameArray]:
        return {}

    def open(self, bundle: Bundle, options: SearchOptions) -> Apply:
        finest = bundle.manifest.levels[-1]
        divisors = self.divisors(finest.height, finest.width)

        def apply(distances: np.ndarray, found: Found, query: Query) -> np.ndarray:
            divided: np.ndarray = distances / divisors
            return divided

        return apply

    def divisors(self, height: int, width: int) -> np.ndarray:
        """What each cell's distance is divided by, float32 (height, width)."""
        by_ring = np.array([*self.gains, 1.0], np.float32)
        of_cells: np.ndarray = by_ring[np.minimum(rings(height, width), len(self.gains))]
        return of_cells

    def said(self) -> str:
        return "divided by the border gain"


def rings(height: int, width: int) -> np.ndarray:
    """How many cells each cell lies from the frame's border, int64 (height, width); 0 at the border itself."""
    of_rows, of_columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (height, width))
    nearest: np.ndarray = np.minimum.outer(of_rows, of_columns)
    return nearest
