"""Deciding on one image: its p-value, whether it is anomalous, and which of its regions are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from panda_edge.decide.calibration import Calibration
from panda_edge.decide.regions import Region, find_regions
from panda_edge.errors import PandaError
from panda_edge.images.view import View


@dataclass(frozen=True)
class Decision:
    """rule: the image score that decided, one of `calibration.RULES`; score: its raw value, and threshold: the highest
    that is normal. p_value: the share of normal images that score at least as high. fpr: the false-alarm rate that
    is kept. pixel_threshold: heat map values above are anomalous. regions: of such pixels, highest peak first, in
    pixels of the image; empty without a heat map.
    """

    rule: str
    score: float
    threshold: float
    p_value: float
    anomalous: bool
    fpr: float
    pixel_threshold: float
    regions: tuple[Region, ...]


class Decider:
    """Decides by a bundle's calibration at a false-alarm rate that the device may choose."""

    def __init__(self, calibration: Calibration, fpr: float) -> None:
        """fpr: in (0, 1). Raises PandaError."""
        if not 0 < fpr < 1:
            raise PandaError(f"--fpr {fpr:g}: expected a false-alarm rate above 0 and below 1")
        self.calibration = calibration
        self.fpr = fpr
        self.promised = calibration.promised(fpr)
        """The false-alarm rate that is kept; more than was asked for where the normal images are too few."""
        self.rule = calibration.rule
        self.pixel_threshold = calibration.pixel_threshold(fpr)
        """Heat map values above this are anomalous pixels."""
        self.threshold = calibration.threshold(fpr)
        """The highest image score that is normal."""
        self.warning = calibration.warning(fpr)
        """What cannot be promised at this rate, in one line; None where all is well."""

    def decide(self, raw: dict[str, float], heatmap: np.ndarray | None, view: View) -> Decision:
        """raw: the picture's image scores, at least those of the rule. heatmap: float32 `view.map_shape`, NaN outside a
        region of interest; None where no regions are wanted. view: of the picture."""
        p_value = self.calibration.p_value(raw)
        regions: tuple[Region, ...] = ()
        if heatmap is not None:
            found = find_regions(heatmap, self.pixel_threshold)
            regions = tuple(_on_picture(region, view) for region in found)
        return Decision(
            rule=self.rule,
            score=self.calibration.score(raw),
            threshold=self.threshold,
            p_value=p_value,
            anomalous=self.calibration.is_anomalous(p_value, self.fpr),
            fpr=self.promised,
            pixel_threshold=self.pixel_threshold,
            regions=regions,
        )


def _on_picture(region: Region, view: View) -> Region:
    """A region of the heat map in pixels of the picture."""
    left, top = view.box[:2]
    across, down = view.map_scale()
    x0, y0, x1, y1 = region.box
    width, height = view.picture
    box = (
        max(math.floor(left + x0 * across), 0),
        max(math.floor(top + y0 * down), 0),
        min(math.ceil(left + x1 * across), width),
        min(math.ceil(top + y1 * down), height),
    )
    x, y = int(left + (region.peak_at[0] + 0.5) * across), int(top + (region.peak_at[1] + 0.5) * down)
    peak_at = (min(x, width - 1), min(y, height - 1))
    return Region(box, round(region.area * across * down), region.peak, peak_at)
