"""What the detector says of one image, and what a program takes away of it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from panda_edge.decide.decision import Decision
from panda_edge.decide.regions import Region
from panda_edge.errors import PandaError
from panda_edge.images.reading import ImageLike
from panda_edge.images.view import View
from panda_edge.visualise.files import image_bytes_as, write_whole
from panda_edge.visualise.overlay import overlay


@dataclass(frozen=True, eq=False)
class Picture:
    """What an overlay is drawn on. source: what was given, or its content. scale: heat map values at the bottom and
    the top of the colours. white: of more than 8 bits, as in `open_image`."""

    source: ImageLike
    scale: tuple[float, float]
    white: int | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """What the detector says of one image.

    score: the image score that decides, by the bundle's rule; higher = more anomalous, no fixed range.
    embedding_distance: mean squared L2 distance of the embedding to its knn nearest normal ones (DN2, PANDA §2.2); of a
    tiled image, its most anomalous tile's. heatmap: float32 `view.map_shape`, L2 distances after blurring, at the
    model's input or, of tiles, at half the scaled image's pixels, NaN outside a roi; None after `detect`.
    image_size: (width, height) of the upright image in pixels. view: where frames and heat map lie on it. stages_ms:
    milliseconds by stage. decision: None where the bundle is not calibrated. picture: for overlays; the image that was
    given is held as long as the result of `segment`. Keep `to_dict()` of many. Results can be pickled.
    """

    score: float
    embedding_distance: float
    heatmap: np.ndarray | None
    image_size: tuple[int, int]
    view: View = field(repr=False)
    stages_ms: dict[str, float] = field(default_factory=dict, repr=False)
    decision: Decision | None = None
    picture: Picture | None = field(default=None, repr=False)

    @property
    def threshold(self) -> float | None:
        """The highest score that is called normal; None without calibration."""
        return None if self.decision is None else self.decision.threshold

    @property
    def severity(self) -> float | None:
        """The score over its threshold: above 1 is anomalous. None without calibration, or where the threshold is not
        above 0."""
        threshold = self.threshold
        return None if threshold is None or threshold <= 0 else self.score / threshold

    @property
    def p_value(self) -> float | None:
        """The share of normal images that score at least as high; None without calibration."""
        return None if self.decision is None else self.decision.p_value

    @property
    def anomalous(self) -> bool | None:
        """Whether the image is called anomalous at the detector's false-alarm rate; None without calibration."""
        return None if self.decision is None else self.decision.anomalous

    @property
    def regions(self) -> tuple[Region, ...] | None:
        """Anomalous regions in pixels of the image; None without calibration or without a heat map."""
        return None if self.decision is None or self.heatmap is None else self.decision.regions

    @property
    def mask(self) -> np.ndarray | None:
        """Anomalous pixels of the image: bool (H, W); None without calibration or without a heat map."""
        if self.decision is None or self.heatmap is None:
            return None
        with np.errstate(invalid="ignore"):  # NaN, where nobody looked, is not anomalous
            return np.asarray(self.heatmap_on_image() > self.decision.pixel_threshold)

    @property
    def ms(self) -> float:
        """Milliseconds from the image to the result; in a batch, this image's share."""
        return sum(self.stages_ms.values())

    def heatmap_on_image(self) -> np.ndarray:
        """The heat map on the image's own pixels: float32 (H, W), NaN where a crop or a roi left the image out.

        Raises ValueError after `detect`, which draws no heat map.
        """
        return self.view.to_picture(self._map())

    def overlay(self) -> Image.Image:
        """The image under its heat map: RGB, at most 2048 pixels a side, with a caption below it. A path is read anew.

        Raises ImageError: the file at the path cannot be read any more. PandaError: the result is one of `watch`, which
        holds no image. ValueError after `detect`, which draws no heat map.
        """
        self._map()
        if self.picture is None:
            raise PandaError("this result holds no image; use visualise.overlay with the image that was judged")
        return overlay(self.picture.source, self, self.picture.scale, self.picture.white)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the overlay to a file, whole or not at all; the suffix says as what (.png, .jpg, …).

        Raises PandaError: no such kind of file, or it cannot be written. The rest is as for `overlay`.
        """
        write_whole(Path(path), image_bytes_as(self.overlay(), Path(path)))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON or a table, with the names of `panda-edge segment --json`.

        Without calibration, threshold, severity, p_value, anomalous and regions are None. After `detect` there are no
        regions.
        """
        facts: dict[str, Any] = {
            "score": self.score,
            "threshold": self.threshold,
            "severity": self.severity,
            "p_value": self.p_value,
            "anomalous": self.anomalous,
            "embedding_distance": self.embedding_distance,
        }
        if self.heatmap is not None:
            facts["regions"] = None if self.regions is None else [asdict(region) for region in self.regions]
        return facts

    def _map(self) -> np.ndarray:
        if self.heatmap is None:
            raise ValueError("this result has no heat map; use segment() instead of detect()")
        return self.heatmap
