"""Overlays: outlines where the decision is, a caption that fits, and colours that are one scale for a run."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from panda_edge.decide.decision import Decision
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import OpenedImage
from panda_edge.result import Result
from panda_edge.visualise.overlay import color_scale, overlay, tinted

BLUE = np.array([86, 180, 233])


def result_of(side: int, decided: bool = True, width: int = 128, height: int = 96) -> Result:
    """A heat map whose square of so many cells, in the middle of 64 × 64, is above the pixel threshold."""
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[32 - side // 2 : 32 + side // 2, 32 - side // 2 : 32 + side // 2] = 3.0
    decision = Decision("max", 3.0, 2.0, 0.01, True, 0.05, 2.0, ()) if decided else None
    return Result(1.0, 1.0, heatmap, (width, height), Preprocessing(64, 64).view((width, height)), decision=decision)


def outlined(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture.astype(int) - BLUE).sum(axis=2) < 10


def test_the_outline_goes_around_the_region() -> None:
    image = np.full((96, 128, 3), 90, np.uint8)
    drawn = np.asarray(overlay(image, result_of(16), (0.0, 4.0)))[:96]
    ys, xs = np.nonzero(outlined(drawn))
    # 16 of 64 cells in the middle: columns 48 … 79 and rows 36 … 59, and the line lies just outside.
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == pytest.approx((47, 80, 35, 60), abs=2)
    assert not outlined(drawn)[40:56, 52:76].any(), "the inside shows the heat map"


def test_nothing_is_outlined_below_the_threshold() -> None:
    image = np.full((96, 128, 3), 90, np.uint8)
    faint = dataclasses.replace(result_of(16), heatmap=np.ones((64, 64), np.float32))
    assert not outlined(np.asarray(overlay(image, faint, (0.0, 4.0)))[:96]).any()


@pytest.mark.parametrize(("width", "height"), [(48, 300), (128, 96), (900, 64)])
def test_the_caption_lies_below_and_fits(width: int, height: int) -> None:
    image = np.full((height, width, 3), 90, np.uint8)
    drawn = np.asarray(overlay(image, result_of(8, width=width, height=height), (0.0, 4.0)))
    assert drawn.shape[1] == width
    assert drawn.shape[0] > height
    caption = drawn[height:]
    assert caption[:, -1].max() < 60, "the text runs out of the picture"


@pytest.mark.parametrize("width", range(120, 200, 8))
def test_a_long_caption_fits_too(width: int) -> None:
    image = np.full((96, width, 3), 90, np.uint8)
    decision = Decision("max", 102.4, 93.3, 0.01, True, 0.0055, 2.0, ())
    result = dataclasses.replace(result_of(8, width=width), decision=decision)
    caption = np.asarray(overlay(image, result, (0.0, 4.0)))[96:]
    assert caption.max() > 100
    assert caption[:, -2:].max() < 60, "the text runs out of the picture"


def test_a_picture_too_narrow_for_words_has_none() -> None:
    image = np.full((300, 12, 3), 90, np.uint8)
    assert overlay(image, result_of(8, width=12, height=300), (0.0, 4.0)).size == (12, 300)


def test_without_calibration_the_picture_keeps_its_size() -> None:
    image = np.full((96, 128, 3), 90, np.uint8)
    plain = np.asarray(overlay(image, result_of(16, decided=False), (0.0, 4.0)))
    assert plain.shape == image.shape
    assert not outlined(plain).any()
    assert (image == 90).all(), "the input is not drawn on"


def test_one_value_has_one_colour_whatever_else_is_in_the_image() -> None:
    image = np.full((64, 64, 3), 90, np.uint8)
    small, large = (result_of(side, decided=False, width=64, height=64) for side in (8, 40))
    colours = [np.asarray(overlay(image, result, (0.0, 4.0)))[32, 32] for result in (small, large)]
    assert np.array_equal(*colours)


def test_colours_are_those_of_the_scale() -> None:
    """Inferno's own numbers, mixed in by four fifths of the root of the level, within what bytes round to."""
    levels = np.linspace(0, 1, 2000, dtype=np.float32)[None]
    picture = np.full((1, 2000, 3), (10, 120, 250), np.uint8)
    inferno = [(85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10), (249, 201, 50),
               (252, 255, 164)]  # fmt: skip
    colour = np.stack([np.interp(levels, np.linspace(0, 1, 7), channel) for channel in zip(*inferno, strict=True)], -1)
    share = 0.8 * np.sqrt(levels)[..., None]
    wanted = (1 - share) * picture + share * colour
    assert np.abs(tinted(picture, levels * 3 + 1, (1.0, 4.0)) - wanted).max() <= 4


def test_what_nobody_looked_at_is_darkened() -> None:
    values = np.full((4, 4), np.nan, np.float32)
    values[2:] = 0
    shown = tinted(np.full((4, 4, 3), 100, np.uint8), values, (0.0, 1.0), 0.5)
    assert (shown[:2] == 40).all()
    assert (shown[2:] == 100).all()


def test_a_large_picture_stays_as_large_as_it_is() -> None:
    image = Image.new("RGB", (3000, 1000))
    drawn = overlay(OpenedImage(image, image.size), result_of(8, False, 3000, 1000), (0.0, 4.0))
    assert drawn.width == 2048
    assert image.size == (3000, 1000), "who is shown a picture must not shrink the one that is kept"


def test_a_scale_of_huge_numbers_divides_by_none() -> None:
    for low in (0.0, 1e-9, 1.0, 1e12):
        bottom, top = color_scale(SimpleNamespace(normal_low=low, normal_high=low))  # type: ignore[arg-type]
        values = np.full((4, 4), low, np.float32)
        assert tinted(np.zeros((4, 4, 3), np.uint8), values, (bottom, top)).shape == (4, 4, 3)
