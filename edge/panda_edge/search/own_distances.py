"""How far stored cells are from other normal pictures themselves: what is usual where a position found its match.

Some parts of a normal picture (a cluttered corner, a rare mark) are unlike all others, and so is the same part of the
next picture. A share of a match's own distance is taken off, so that such places are not called anomalous for being
rare. Tax & Duin (Data description in subspaces, ICPR 2000) and PatchCore's reweighting (Roth et al., CVPR 2022, eq. 7)
weigh a nearest distance by its neighbour's for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panda_edge.bundle.folder import Bundle

OWN_DISTANCES_FILE = "bank/own_distances.npy"
OWN_DISTANCES_DTYPE = "float16"


@dataclass(frozen=True)
class OwnDistances:
    """values: of every finest cell of every stored frame, its L2 distance to the nearest one of another picture,
    float16 (N, h, w). share: how much of it is taken off, 0 to 1."""

    values: np.ndarray
    share: float

    def least(self, frames: np.ndarray | None) -> float:
        """The least that is taken off any distance to one of these stored frames, of all where None."""
        return self.share * float((self.values if frames is None else self.values[frames]).min())

    def taken_off(self, squared: np.ndarray, matched: np.ndarray) -> np.ndarray:
        """Squared distances less the share of what their matches have themselves, not below 0: float32 of their shape.

        squared: float32; matched: int64, frame · cells + row · width + column; -1 where nothing was searched.
        """
        usual = self.values.reshape(-1)[np.maximum(matched, 0)].astype(np.float32)
        left: np.ndarray = np.maximum(np.sqrt(squared) - np.float32(self.share) * usual, np.float32(0)) ** 2
        return left


def open_own_distances(bundle: Bundle) -> OwnDistances | None:
    """Those that a bundle's manifest names; None where nothing is taken off. Raises BundleError."""
    segmentation, finest = bundle.manifest.segmentation, bundle.manifest.levels[-1]
    if not segmentation.discount:
        return None
    shape = segmentation.count, finest.height, finest.width
    return OwnDistances(bundle.array(OWN_DISTANCES_FILE, shape, OWN_DISTANCES_DTYPE), segmentation.discount)
