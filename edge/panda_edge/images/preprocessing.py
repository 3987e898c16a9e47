"""Bringing images to the model's input: the one preprocessing of training and device alike."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from panda_edge.errors import ImageError
from panda_edge.images.reading import MAX_PIXELS, ImageLike, OpenedImage, open_image, open_image_bytes, to_rgb
from panda_edge.images.roi_mask import RoiMask, Rois
from panda_edge.images.tiling import Tiling, padded
from panda_edge.images.view import TILED_STEP, View

RESIZES = ("squash", "crop", "fit")

# JPEGs are decoded at 1/2, 1/4 or 1/8 size where that still leaves this many times the pixels a side that are needed.
_DRAFT_MARGIN = 2


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input. Stored in the bundle, so that no side can drift.

    height, width: of a frame in pixels. resize: `squash` scales both sides to (height, width); `crop` scales the image
    so that it covers `cover` times (height, width) and takes the centre, as the paper does (256 → 224); `fit` scales it
    so that it fits in, and repeats its border over the rest. tiles: cut the image into frames instead; None for one.
    rois: what of an image is looked at; a bundle keeps them in a file of their own, not in this table. white: the value
    that is white in pictures of more than 8 bits which do not say it themselves; None where none was fitted to.
    """

    height: int
    width: int
    resize: str = "squash"
    cover: float = 1.0
    tiles: Tiling | None = None
    rois: Rois | None = None
    white: int | None = None

    @classmethod
    def paper_crop(cls, height: int, width: int) -> Preprocessing:
        """Shorter side to 256/224 of the input, then the centre (PANDA, §4.1)."""
        return cls(height, width, "crop", 256 / 224)

    @property
    def alone(self) -> View:
        """The view of a frame that is a picture by itself."""
        return View(
            (self.width, self.height),
            (0.0, 0.0, float(self.width), float(self.height)),
            (self.width, self.height),
            (self.height, self.width),
        )

    @property
    def frames(self) -> int:
        """Frames of every picture; 1 also where their number depends on the picture's size."""
        if self.tiles is None or self.tiles.height is None or self.tiles.width is None:
            return 1
        return replace(self, rois=None).view((self.tiles.width, self.tiles.height)).count

    def view(self, size: tuple[int, int]) -> View:
        """How pictures of (width, height) pixels become frames. Raises ImageError where they cannot be cut in tiles, or
        the roi does not lie on them."""
        return _view(self, *size)

    def box(self, image_width: int, image_height: int) -> tuple[float, float, float, float]:
        """The part of an image that the model sees: (left, top, right, bottom) in image pixels."""
        if self.resize != "crop":
            return 0.0, 0.0, float(image_width), float(image_height)
        scale = self.cover * max(self.width / image_width, self.height / image_height)
        seen_width, seen_height = self.width / scale, self.height / scale
        left, top = (image_width - seen_width) / 2, (image_height - seen_height) / 2
        return left, top, left + seen_width, top + seen_height

    def open(self, image: ImageLike) -> tuple[Image.Image, View]:
        """Decode an image as far as the frames need it, grey where it is; with its view. Raises ImageError."""
        opened = open_image(image, self.draft_size, keep_grey=True, white=self.white)
        try:
            return opened.image, self.view(opened.full_size)
        except ImageError as error:
            raise ImageError(f"{image}: {error}" if isinstance(image, str | os.PathLike) else str(error)) from None

    def decode(self, data: bytes, name: str) -> OpenedImage:
        """An image file's content, as `open` decodes it. name: what errors call it. Raises ImageError."""
        return open_image_bytes(data, name, self.draft_size, self.white)

    def apply(self, image: ImageLike) -> np.ndarray:
        """Frame: uint8 (height, width, 3) RGB; of tiles, the whole canvas. Raises ImageError."""
        return self.canvas(*self.open(image))

    def frame(self, image: Image.Image) -> np.ndarray:
        """`apply` for an RGB or grey image that `open_image` gave whole."""
        return self.canvas(image, self.view(image.size))

    def canvas(self, image: Image.Image, view: View) -> np.ndarray:
        """The scaled picture, padded to whole frames: uint8 (H, W, 3) RGB, of which `view.frames` are parts.

        image: RGB or grey, of the view's size or smaller where it was decoded so.
        """
        box = self.box(*image.size)
        if view.scaled != image.size or box != (0, 0, *image.size):
            image = image.resize(view.scaled, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
        scaled = np.asarray(to_rgb(image))
        height, width = view.canvas
        missing = height - view.scaled[1], width - view.scaled[0]
        return np.pad(scaled, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge") if any(missing) else scaled

    def apply_mask(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask, bool (H, W) on the image's pixels, to the heat map: bool (height, width), nearest pixel."""
        return self.view((mask.shape[1], mask.shape[0])).mask_on_map(mask)

    def to_image(self, heatmap: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Bring a heat map, float32 (height, width), back onto the image: float32 (H, W), NaN where the crop cut off.

        image_size: (width, height) in pixels.
        """
        return self.view(image_size).to_picture(heatmap)

    def draft_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) in pixels that a JPEG of `size` may be decoded down to without harm to the frames."""
        if self.tiles is not None:
            width, height = self.tiles.scaled(size)
            return width * _DRAFT_MARGIN, height * _DRAFT_MARGIN
        margin = _DRAFT_MARGIN * self.cover
        return round(self.width * margin), round(self.height * margin)


@lru_cache(maxsize=64)
def _view(preprocessing: Preprocessing, width: int, height: int) -> View:
    view = _geometry(preprocessing, width, height)
    if not preprocessing.rois:
        return view
    mask = RoiMask.of(preprocessing.rois, view.picture, view.box, view.scaled, view.canvas, view.step)
    return replace(view, roi_mask=mask)


def _geometry(preprocessing: Preprocessing, width: int, height: int) -> View:
    picture, side = (width, height), (preprocessing.height, preprocessing.width)
    box = preprocessing.box(width, height)
    if preprocessing.tiles is not None:
        tiles = preprocessing.tiles
        scaled = tiles.scaled(picture)
        tiles.check(picture, scaled, side, MAX_PIXELS)
        tops, lefts = tiles.starts(scaled[1], side[0]), tiles.starts(scaled[0], side[1])
        assert (tops[-1] + side[0], lefts[-1] + side[1]) == (padded(scaled[1], side[0]), padded(scaled[0], side[1]))
        return View(picture, box, scaled, side, tops, lefts, TILED_STEP)
    if preprocessing.resize == "fit":
        scale = min(side[1] / width, side[0] / height)
        scaled = (max(1, min(side[1], round(width * scale))), max(1, min(side[0], round(height * scale))))
        return View(picture, box, scaled, side)
    return View(picture, box, (side[1], side[0]), side)
