"""Pictures of more than 8 bits a channel: which value is white, and their values as 8 bits."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

from panda_edge.errors import ImageError

FULL = 65535  # white of 16 bits
LEAST_WHITE, MOST_WHITE = 255, 2**31 - 1
_FEW_BITS = 4095  # values up to here in 16 bits are those of a camera of 10 or 12, unless something says otherwise
_BEYOND = 0.01  # share of pixels that may lie above white, as glints do
_MAX_SAMPLE_VALUE = 281  # the TIFF tag
_SCALED_BY_FORMAT = ("PPM", "JPEG2000")  # whose files say themselves what is white, and are decoded to 0 … 65535
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def is_deep(image: Image.Image) -> bool:
    """Whether an image, not decoded yet, has more than 8 bits a channel that are whole numbers."""
    return image.mode.startswith("I") or _wide_mode(image) is not None


def own_white(image: Image.Image) -> int | None:
    """The value that an image file says is white; None where it does not say."""
    if image.format in _SCALED_BY_FORMAT:
        return FULL
    if image.format == "TIFF":
        said = image.tag_v2.get(_MAX_SAMPLE_VALUE)  # type: ignore[attr-defined]
        said = max(said) if isinstance(said, tuple) and said else said
        # A statistic by TIFF's own words; cameras write 2ⁿ - 1 into it, which no statistic is by chance.
        if isinstance(said, int) and LEAST_WHITE < said <= MOST_WHITE and said & (said + 1) == 0:
            return said
    return None


def deep_values(image: Image.Image, again: Callable[[], Image.Image] | None) -> np.ndarray | None:
    """The values of a deep image: whole numbers (H, W), or of colours uint16 (H, W, 3) or (H, W, 4). Decodes it.

    again: opens the same file once more; None where that cannot be done. None of an image that is not deep. Pillow
    keeps of 16-bit colours the upper byte only; read as if their bytes were the other way round, it is the lower one.
    """
    if image.mode.startswith("I"):
        return np.asarray(image)
    mode = _wide_mode(image)
    if mode is None:
        return None
    upper: np.ndarray = np.asarray(image).astype(np.uint16)
    if again is not None and len(image_tiles(other := again())) == 1 and mode[:-1] in ("RGB;16", "RGBA;16"):
        (tile,) = image_tiles(other)
        swapped = mode[:-1] + _OTHER_ORDER[mode[-1]]
        arguments = swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:])
        other.tile = [tile._replace(args=arguments)]  # type: ignore[attr-defined]
        lower: np.ndarray = np.asarray(other)
        both: np.ndarray = upper << 8 | lower
        return both
    return upper * 257  # to 8 bits exact enough, if white is at 16


def eight_bits(values: np.ndarray, white: int | None) -> np.ndarray:
    """Deep values as uint8: 0 … white becomes 0 … 255. white: None where nothing is known of it.

    Raises ImageError where the values do not fit what is known, or cannot be read rightly without knowing.
    """
    colours = values[..., :3] if values.ndim == 3 else values
    lowest, top = int(colours.min()), int(colours.max())
    if lowest < 0:
        raise ImageError(f"values from {lowest}; save it with 8 or 16 bits, from 0")
    if white is None:
        if top > FULL:
            raise ImageError(f"32-bit values up to {top}, and nothing says what is white; save it with 8 or 16 bits")
        if 0 < top <= _FEW_BITS:
            raise ImageError(
                f"16 bits with values up to {top} only, {top.bit_length()} bits it seems, and nothing says so; "
                "fit to pictures of this camera, or save with 8 bits"
            )
        white = FULL
    elif top > white and float((colours > white).mean()) > _BEYOND:
        raise ImageError(
            f"values up to {top} where {white} ({white.bit_length()} bits) is white; "
            "save it with as many bits as the pictures that were fitted"
        )
    scaled: np.ndarray = np.rint(np.minimum(values, white).astype(np.float32) * np.float32(255 / white)).astype(
        np.uint8
    )
    if values.ndim == 3 and values.shape[2] == 4:
        scaled[..., 3] = values[..., 3] >> 8  # transparency is of 16 bits, whatever the camera has
    return scaled


def white_above(top: int) -> int:
    """White of pictures whose largest value is `top`: the least 2ⁿ - 1 that is not below, 255 or more."""
    return int(min(max(LEAST_WHITE, 2 ** int(top).bit_length() - 1), MOST_WHITE))


def image_tiles(image: Image.Image) -> list[Image.core.ImagingCore]:  # type: ignore[name-defined]
    return list(getattr(image, "tile", []))


def _wide_mode(image: Image.Image) -> str | None:
    """Pillow's name of how 16-bit colours lie in a file; None of other images, and of those that are decoded."""
    for tile in image_tiles(image):
        arguments = tile.args if isinstance(tile.args, str) else tile.args[0] if tile.args else ""
        if isinstance(arguments, str) and ";16" in arguments and image.mode in ("RGB", "RGBA", "LA", "L"):
            return arguments
    return None
