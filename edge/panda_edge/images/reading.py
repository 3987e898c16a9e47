"""Reading pictures: whatever a file holds becomes an upright 8-bit image, or one line that says why not."""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from panda_edge.errors import ImageError

MIN_SIDE = 8  # pixels; below this a picture has no texture to judge
MAX_PIXELS = 100_000_000  # decoded RGB stays under 300 MB

_MAX_FILE_BYTES = 1 << 30  # no image within MAX_PIXELS needs more

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"})

_quiet = threading.Lock()  # what silences warnings is the whole process's, and images are read by several threads


@dataclass(frozen=True)
class OpenedImage:
    """An upright 8-bit image: RGB, or grey (L) where that was to be kept. full_size: (width, height) in pixels before
    any draft decoding."""

    image: Image.Image
    full_size: tuple[int, int]


# A path, an open PIL image, an array (H, W, 3), (H, W, 4), (H, W, 1) or (H, W) of uint8, or what was opened before.
ImageLike: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray | OpenedImage

Draft: TypeAlias = Callable[[tuple[int, int]], tuple[int, int]]
"""(width, height) of a JPEG, upright or not → (width, height) that it may be decoded down to."""


def open_image(source: ImageLike, draft_size: Draft | None = None, keep_grey: bool = False) -> OpenedImage:
    """Decode an image; the source is never changed.

    EXIF rotation is applied, 16-bit values are scaled to 8 bits, transparency is laid on white.
    draft_size: to what a JPEG may be decoded down, which is faster; None decodes it whole.
    keep_grey: leave a grey image as it is instead of making it RGB; resizing one channel is faster than three.
    Raises ImageError: missing, not an image, truncated, or outside MIN_SIDE … MAX_PIXELS.
    """
    if isinstance(source, OpenedImage):
        opened = source
    elif isinstance(source, (np.ndarray, Image.Image)):
        image = _from_array(source) if isinstance(source, np.ndarray) else _from_pil(source)
        opened = OpenedImage(image, image.size)
    else:
        opened = _from_file(Path(source), draft_size)
    return opened if keep_grey else OpenedImage(to_rgb(opened.image), opened.full_size)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file, upright, by its header. Raises ImageError."""
    with _opened(image_bytes(path), str(path)) as image:
        _check_size(image.size, str(path))
        try:
            return _upright_size(image)
        except Exception as error:  # as in `_from_file`
            raise ImageError(f"{path}: damaged or truncated image ({_one_line(error)}); replace the file") from error


def stored_image(path: Path, modes: Container[str] | None = None) -> Image.Image:
    """An image file's pixels in the mode that they are stored in, neither turned nor converted. Raises ImageError.

    modes: Pillow's names of those that are wanted; others are refused before they are decoded.
    """
    with _opened(image_bytes(path), str(path)) as image:
        _check_size(image.size, str(path))
        if modes is not None and image.mode not in modes:
            raise ImageError(f"{path}: pixels of mode {image.mode}, which are not wanted here")
        try:
            image.load()
        except Exception as error:  # as in `_from_file`
            raise ImageError(f"{path}: damaged or truncated image ({_one_line(error)}); replace the file") from error
        return image


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"got an array of {array.dtype} with shape {array.shape}; give uint8 (H, W, 3), (H, W, 4) or (H, W)"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    _check_size((array.shape[1], array.shape[0]), "array")
    return _to_rgb_or_grey(Image.fromarray(np.ascontiguousarray(array)))


def _from_pil(source: Image.Image) -> Image.Image:
    _check_size(source.size, "image")
    try:
        return _to_rgb_or_grey(ImageOps.exif_transpose(source))
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"image: a PIL image that cannot be decoded ({_one_line(error)})") from error


def _from_file(path: Path, draft_size: Draft | None) -> OpenedImage:
    return open_image_bytes(image_bytes(path), str(path), draft_size)


def open_image_bytes(data: bytes, name: str, draft_size: Draft | None = None) -> OpenedImage:
    """Decode an image file's content, as `open_image` does with `keep_grey`. name: what errors call it.

    Raises ImageError.
    """
    with _opened(data, name) as image:
        _check_size(image.size, name)
        try:
            full_size = _upright_size(image)
            if draft_size is not None:
                # A quarter turn swaps the sides; asking for the larger on both is right for either.
                needed = max(draft_size(full_size))
                image.draft(None, (needed, needed))
            image.load()
            return OpenedImage(_to_rgb_or_grey(ImageOps.exif_transpose(image)), full_size)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None
        except Exception as error:  # Pillow's decoders raise whatever the damage leads to: IndexError, struct.error, …
            raise ImageError(f"{name}: damaged or truncated image ({_one_line(error)}); replace the file") from error


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    quarter_turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (height, width) if quarter_turned else (width, height)


def _opened(data: bytes, name: str) -> Image.Image:
    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # _check_size says it more plainly
            return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: more than the {MAX_PIXELS // 10**6} megapixels allowed; scale it down") from None
    except Exception as error:  # as above; mostly UnidentifiedImageError
        raise ImageError(f"{name}: not an image that can be read (PNG, JPEG, TIFF, BMP, WebP, …)") from error


def image_bytes(path: Path) -> bytes:
    """The content of a file that may be an image. Raises ImageError."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
                raise ImageError(f"{path}: cannot be read (not a file); give an image file")
            if status.st_size > _MAX_FILE_BYTES:
                raise ImageError(f"{path}: {status.st_size / 1e9:.1f} GB is no image for this; scale it down")
            data = stream.read()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a zero byte in the name
        raise ImageError(f"{path}: cannot be read ({error})") from error
    if not data:
        raise ImageError(f"{path}: the file is empty")
    return data


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name}: {width}×{height} pixels is too small; at least {MIN_SIDE} a side are needed")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: {width}×{height} is more than the {MAX_PIXELS // 10**6} megapixels allowed; scale it down"
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """The image as RGB; itself where it is."""
    return image if image.mode == "RGB" else image.convert("RGB")  # Pillow would copy


def _to_rgb_or_grey(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode == "F":
        raise ImageError("got a floating-point image, whose range is not known; save it with 8 or 16 bits a channel")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """16-bit grey values to uint8. The range is 0 … 65535, whatever this picture uses of it, so that they compare."""
    return np.clip(np.rint(values.astype(np.float32) / 257), 0, 255).astype(np.uint8)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
