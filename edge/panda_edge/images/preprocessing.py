"""Bringing images to the model's input: the one preprocessing of training and device alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from panda_edge.images.reading import ImageLike, open_image, to_rgb

# JPEGs are decoded at 1/2, 1/4 or 1/8 size where that still leaves this many times the pixels a side that are needed.
_DRAFT_MARGIN = 2


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input frame. Stored in the bundle, so that no side can drift.

    resize: `squash` scales both sides to (height, width); `crop` scales the image so that it covers
    `cover` times (height, width) and takes the centre, as the paper does (256 → 224).
    """

    height: int
    width: int
    resize: str = "squash"
    cover: float = 1.0

    @classmethod
    def paper_crop(cls, height: int, width: int) -> Preprocessing:
        """Shorter side to 256/224 of the input, then the centre (PANDA, §4.1)."""
        return cls(height, width, "crop", 256 / 224)

    def box(self, image_width: int, image_height: int) -> tuple[float, float, float, float]:
        """The part of an image that the model sees: (left, top, right, bottom) in image pixels."""
        if self.resize == "squash":
            return 0.0, 0.0, float(image_width), float(image_height)
        scale = self.cover * max(self.width / image_width, self.height / image_height)
        seen_width, seen_height = self.width / scale, self.height / scale
        left, top = (image_width - seen_width) / 2, (image_height - seen_height) / 2
        return left, top, left + seen_width, top + seen_height

    def apply(self, image: ImageLike) -> np.ndarray:
        """Frame: uint8 (height, width, 3) RGB. Raises ImageError."""
        return self.frame(open_image(image, self.draft_size, keep_grey=True).image)

    def frame(self, image: Image.Image) -> np.ndarray:
        """Frame, uint8 (height, width, 3), of an RGB or grey image that `open_image` gave."""
        resized = image.resize(
            (self.width, self.height), Image.Resampling.BILINEAR, box=self.box(*image.size), reducing_gap=3.0
        )
        return np.asarray(to_rgb(resized))

    def apply_mask(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask, bool (H, W) on the image's pixels, to the frame: bool (height, width), nearest pixel."""
        picture = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
        resized = picture.resize((self.width, self.height), Image.Resampling.NEAREST, box=self.box(*picture.size))
        return np.asarray(resized).astype(bool)

    def to_image(self, heatmap: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Bring a heat map, float32 (height, width), back onto the image: float32 (H, W), NaN where the crop cut off.

        image_size: (width, height) in pixels.
        """
        width, height = image_size
        left, top, right, bottom = self.box(width, height)
        # Of a sliver the model sees less than a pixel's width; one pixel it is.
        x0, y0 = min(round(left), width - 1), min(round(top), height - 1)
        x1, y1 = max(round(right), x0 + 1), max(round(bottom), y0 + 1)
        seen = Image.fromarray(np.ascontiguousarray(heatmap, dtype=np.float32))
        on_image = np.full((height, width), np.nan, dtype=np.float32)
        on_image[y0:y1, x0:x1] = np.asarray(seen.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR))
        return on_image

    @property
    def draft_size(self) -> tuple[int, int]:
        """(width, height) in pixels that a JPEG may be decoded down to without harm to the frame."""
        margin = _DRAFT_MARGIN * self.cover
        return round(self.width * margin), round(self.height * margin)
