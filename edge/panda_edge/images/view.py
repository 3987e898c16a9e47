"""How pictures of one size become frames, and the way back: where frames, cells and heat maps lie on the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from panda_edge.images.roi_mask import SQUARE, RoiMask

LEAST_SPAN = 12
"""Frame pixels that a defect must span to be found: one and a half cells of the stride-8 level
(docs/decisions/0005-views-and-tiles.md says how that was measured)."""

TILED_STEP = 2  # scaled pixels a value of a tiled picture's map: blurred over 4, it holds nothing finer


@dataclass(frozen=True)
class View:
    """picture: (width, height) in pixels. box: the part of it that is looked at, (left, top, right, bottom).

    scaled: (width, height) in frame pixels that this part is scaled to. frame: (height, width) of a frame. tops,
    lefts: where frames begin on the canvas, which is the scaled picture with its lower and right border repeated until
    whole frames cover it. step: scaled pixels a value of the heat map, a side. where: what of it is looked at, None for
    all.
    """

    picture: tuple[int, int]
    box: tuple[float, float, float, float]
    scaled: tuple[int, int]
    frame: tuple[int, int]
    tops: tuple[int, ...] = (0,)
    lefts: tuple[int, ...] = (0,)
    step: int = 1
    roi_mask: RoiMask | None = None

    @property
    def count(self) -> int:
        """Frames of the picture."""
        return len(self.tops) * len(self.lefts)

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) in frame pixels."""
        return self.tops[-1] + self.frame[0], self.lefts[-1] + self.frame[1]

    @property
    def map_shape(self) -> tuple[int, int]:
        """(height, width) of the heat map, which ends where the scaled picture does."""
        return -(-self.scaled[1] // self.step), -(-self.scaled[0] // self.step)

    def place(self, number: int) -> tuple[int, int]:
        """(row, column) of a frame by its number, row by row."""
        return divmod(number, len(self.lefts))

    def corner(self, number: int) -> tuple[int, int]:
        """(top, left) of a frame on the canvas."""
        row, column = self.place(number)
        return self.tops[row], self.lefts[column]

    def active_frames(self) -> Sequence[int]:
        """Numbers of the frames of which anything is looked at, ascending."""
        return [n for n in range(self.count) if self.roi_mask is None or self._in_roi(n, SQUARE, self.roi_mask).any()]

    def frames(self, canvas: np.ndarray, numbers: Sequence[int] | None = None) -> np.ndarray:
        """Frames, uint8 (n, height, width, 3), of a canvas, uint8 (H, W, 3); all of them by default."""
        height, width = self.frame
        if self.count == 1:
            return canvas[None]
        corners = [self.corner(number) for number in (numbers if numbers is not None else range(self.count))]
        return np.stack([canvas[top : top + height, left : left + width] for top, left in corners])

    def active_cells(self, number: int, stride: int) -> np.ndarray | None:
        """The cells of a frame that lie on the picture and inside `roi_mask`: bool (h, w); None where all do."""
        top, left = self.corner(number)
        rows = top + np.arange(self.frame[0] // stride) * stride < self.scaled[1]
        columns = left + np.arange(self.frame[1] // stride) * stride < self.scaled[0]
        if self.roi_mask is not None:
            cells: np.ndarray = self._in_roi(number, stride, self.roi_mask) & rows[:, None] & columns
            return None if cells.all() else cells
        return None if rows.all() and columns.all() else rows[:, None] & columns

    def _in_roi(self, number: int, stride: int, mask: RoiMask) -> np.ndarray:
        height, width = self.frame
        return mask.cells(self.corner(number), (-(-height // stride), -(-width // stride)), stride)

    def compared(self, heatmap: np.ndarray) -> np.ndarray:
        """The values of a heat map that are compared with a calibration's: see `RoiMask.compared`."""
        return heatmap if self.roi_mask is None else self.roi_mask.compared(heatmap)

    def to_picture(self, heatmap: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Bring a heat map, float32 of `map_shape`, back onto the picture: float32 (H, W), NaN where nobody looked.

        size: (width, height) of the picture, where it is shown smaller than it is.
        """
        width, height = size or self.picture
        across, down = width / self.picture[0], height / self.picture[1]
        left, top, right, bottom = (self.box[0] * across, self.box[1] * down, self.box[2] * across, self.box[3] * down)
        # Of a sliver the model sees less than a pixel's width; one pixel it is.
        x0, y0 = min(round(left), width - 1), min(round(top), height - 1)
        x1, y1 = max(round(right), x0 + 1), max(round(bottom), y0 + 1)
        part = (0.0, 0.0, self.scaled[0] / self.step, self.scaled[1] / self.step)

        def resized(values: np.ndarray) -> np.ndarray:
            seen = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
            return np.asarray(seen.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=part))

        on_picture = np.full((height, width), np.nan, dtype=np.float32)
        if self.roi_mask is None:
            on_picture[y0:y1, x0:x1] = resized(heatmap)
            return on_picture
        share = resized(self.roi_mask.judged)  # of each pixel's value that comes from where anybody looked
        inside = (share > 0) & self.roi_mask.on_picture(
            (np.arange(x0, x1) + 0.5) / across, (np.arange(y0, y1) + 0.5) / down, self.picture
        )
        drawn = resized(np.where(self.roi_mask.judged, heatmap, np.float32(0)))
        np.divide(drawn, share, out=on_picture[y0:y1, x0:x1], where=inside)
        return on_picture

    def mask_on_map(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask, bool (H, W) on the picture's pixels, to the heat map: bool `map_shape`, nearest pixel."""
        picture = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
        height, width = self.map_shape
        resized = picture.resize((width, height), Image.Resampling.NEAREST, box=self.box)
        return np.asarray(resized).astype(bool)

    @property
    def least_defect(self) -> float:
        """Below how many of the picture's own pixels a defect is out of sight."""
        left, top, right, bottom = self.box
        return LEAST_SPAN * max((right - left) / self.scaled[0], (bottom - top) / self.scaled[1])

    def map_scale(self) -> tuple[float, float]:
        """Picture pixels a value of the heat map: (across, down)."""
        left, top, right, bottom = self.box
        return (right - left) * self.step / self.scaled[0], (bottom - top) * self.step / self.scaled[1]
