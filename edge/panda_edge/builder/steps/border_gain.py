"""How much further from normal a frame's border is than its inside, in normal pictures themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from panda_edge.builder.progress import Progress
from panda_edge.bundle.fields import table
from panda_edge.bundle.folder import Bundle
from panda_edge.process_group import ProcessGroup
from panda_edge.search.steps.border_gain import BorderGain, rings
from panda_edge.search.steps.leave_one_out import LEAVE_ONE_OUT_FILE, LeaveOneOut
from panda_edge.search.steps.step import frame_array

_DEPTH = 48  # input pixels from the border that have a gain: three cells of stride 16
_BOUNDS = 1.0, 4.0
# Of a gain. Below 1 it would come from a background that is more alike than the product, and raise its noise.


@dataclass(frozen=True)
class BorderGainRecipe:
    """It takes nothing but the leave-one-out distances of stored cells."""

    name: ClassVar[str] = BorderGain.name
    after: ClassVar[tuple[str, ...]] = (LeaveOneOut.name,)
    tiles: ClassVar[bool] = False  # which overlap, and are joined where their borders count least

    @classmethod
    def read(cls, plain: Any, where: str) -> BorderGainRecipe:
        return table(cls)(plain, where)

    def plain(self) -> dict[str, Any]:
        return {}

    def measure(self, bundle: Bundle, progress: Progress, group: ProcessGroup) -> BorderGain | None:
        """A picture's mean leave-one-out distance so many cells from the border, over its mean inside.

        Both are medians over all pictures, so that an odd one says nothing.
        """
        return group.on_rank_zero(lambda: _measured(bundle))


def _measured(bundle: Bundle) -> BorderGain | None:
    levels = bundle.manifest.levels
    own = frame_array(bundle, LEAVE_ONE_OUT_FILE, LeaveOneOut.files(levels)[LEAVE_ONE_OUT_FILE])
    gains = _gains(own, levels[-1].stride)
    return BorderGain(gains) if gains else None


def _gains(own: np.ndarray, stride: int) -> tuple[float, ...]:
    """own: leave-one-out distances, float16 (N, h, w)."""
    height, width = own.shape[1:]
    depth = min(_DEPTH // stride, min(height, width) // 4)
    ring = np.minimum(rings(height, width), depth).ravel()
    cells = np.bincount(ring)
    means = np.array([np.bincount(ring, weights=frame.ravel().astype(np.float64)) for frame in own]) / cells
    typical = np.median(means, axis=0)
    if not typical.min() > 0:
        return ()
    shares = np.clip(typical[:-1] / typical[-1], *_BOUNDS)
    return tuple(round(float(share), 4) for share in shares)


RECIPE = BorderGainRecipe
