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
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from panda_edge.errors import ImageError, install
from panda_edge.images.depth import FULL, deep_values, eight_bits, is_deep, own_white
from panda_edge.images.formats import COMMON_FORMATS, HEIF_SUFFIXES, further_formats, heif_is_there
from panda_edge.images.given import Content, array_of_bytes, check_form, file_content
from panda_edge.system import open_for_reading

MIN_SIDE = 8  # pixels; below this a picture has no texture to judge
MAX_PIXELS = 100_000_000  # decoded RGB stays under 300 MB

_MAX_FILE_BYTES = 1 << 30  # no image within MAX_PIXELS needs more

_ORIENTATION = 0x0112  # the EXIF tag
_NEW_SUBFILE_TYPE = 254  # the TIFF tag
_MOST_PREVIEWS = 32  # smaller copies of its one page that a TIFF may hold
_FROM_A_SHELL = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")

_quiet = threading.Lock()  # what silences warnings is the whole process's, and images are read by several threads


@dataclass(frozen=True)
class OpenedImage:
    """An upright 8-bit image: RGB, or grey (L) where that was to be kept. full_size: (width, height) in pixels before
    any draft decoding."""

    image: Image.Image
    full_size: tuple[int, int]


# A path, a file's content, a file open for reading bytes, a PIL image, an array (H, W, 3), (H, W, 4), (H, W, 1) or
# (H, W) of uint8 or uint16, or what was opened before.
ImageLike: TypeAlias = str | os.PathLike[str] | Content | Image.Image | np.ndarray | OpenedImage

Decode: TypeAlias = Callable[[bytes, str], OpenedImage]
"""(a file's content, what errors call it) → the image, as far as a bundle needs it. Raises ImageError."""

Draft: TypeAlias = Callable[[tuple[int, int]], tuple[int, int]]
"""(width, height) of a JPEG, upright or not → (width, height) that it may be decoded down to."""


def open_image(
    source: ImageLike, draft_size: Draft | None = None, keep_grey: bool = False, white: int | None = None
) -> OpenedImage:
    """Decode an image; the source is never changed.

    EXIF rotation is applied, deeper values are scaled to 8 bits, transparency is laid on white.
    draft_size: to what a JPEG may be decoded down, which is faster; None decodes it whole.
    keep_grey: leave a grey image as it is instead of making it RGB; resizing one channel is faster than three.
    white: the value that is white in files of more than 8 bits which do not say it themselves; None: not known.
    Raises ImageError: missing, not an image, truncated, of several pages, of values that cannot be read rightly, or
    outside MIN_SIDE … MAX_PIXELS.
    """
    if isinstance(source, OpenedImage):
        opened = source
    elif isinstance(source, (np.ndarray, Image.Image)):
        image = _from_array(source, white) if isinstance(source, np.ndarray) else _from_pil(source, white)
        opened = OpenedImage(image, image.size)
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        opened = open_image_bytes(image_bytes(path), str(path), draft_size, white)
    else:
        opened = open_image_bytes(file_content(source), "image", draft_size, white)
    return opened if keep_grey else OpenedImage(to_rgb(opened.image), opened.full_size)


@dataclass(frozen=True)
class Header:
    """What an image file says before it is decoded. size: (width, height), upright. mode: Pillow's name of how pixels
    lie. deep: more than 8 bits a channel, of which nothing says what is white."""

    size: tuple[int, int]
    mode: str
    deep: bool


def image_header(path: Path) -> Header:
    """What the header of an image file says; the rest of the file is not read. Raises ImageError."""
    with _file(path) as stream, _opened(stream, str(path)) as image:
        _check_size(image.size, str(path))
        try:
            deep = is_deep(image) and own_white(image) is None
            if image.format == "PNG" and not _words_follow(stream):
                # Pillow decodes a PNG before it says its EXIF, which may follow the pixels.
                return Header(_upright_size(image, Image.Image.getexif(image)), image.mode, deep)
            return Header(_upright_size(image), image.mode, deep)
        except Exception as error:  # as in `open_image_bytes`
            raise _damaged(str(path), error) from error


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) of an image file, upright, by its header. Raises ImageError."""
    return image_header(path).size


def largest_value(path: Path) -> int:
    """Of a file of more than 8 bits a channel, the largest value of any colour. Raises ImageError."""
    data = image_bytes(path)
    with _opened(io.BytesIO(data), str(path)) as image:
        _check(image, str(path))
        try:
            values = deep_values(image, lambda: _opened(io.BytesIO(data), str(path)))
        except Exception as error:  # as in `open_image_bytes`
            raise _damaged(str(path), error) from error
    return 0 if values is None else int(values[..., :3].max() if values.ndim == 3 else values.max())


def stored_image(path: Path, modes: Container[str] | None = None) -> Image.Image:
    """An image file's pixels in the mode that they are stored in, upright but not converted. Raises ImageError.

    modes: Pillow's names of those that are wanted; others are refused before they are decoded.
    """
    with _opened(io.BytesIO(image_bytes(path)), str(path)) as image:
        _check(image, str(path))
        if modes is not None and image.mode not in modes:
            raise ImageError(f"{path}: pixels of mode {image.mode}, which are not wanted here")
        try:
            return ImageOps.exif_transpose(image)
        except Exception as error:  # as in `open_image_bytes`
            raise _damaged(str(path), error) from error


def _from_array(array: np.ndarray, white: int | None) -> Image.Image:
    check_form(array)
    _check_size((array.shape[1], array.shape[0]), "array")
    return _to_rgb_or_grey(Image.fromarray(array_of_bytes(array, white)))


def _from_pil(source: Image.Image, white: int | None) -> Image.Image:
    _check_size(source.size, "image")
    try:
        deep = is_deep(source)
        if deep and source.mode in ("RGB", "RGBA", "LA") and white not in (None, FULL):
            raise ImageError("16-bit colours, of which Pillow keeps 8 bits; give the file's path")
        return _in_eight_bits(ImageOps.exif_transpose(source), own_white(source) or white)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"image: a PIL image that cannot be decoded ({_one_line(error)})") from error


def open_image_bytes(data: bytes, name: str, draft_size: Draft | None = None, white: int | None = None) -> OpenedImage:
    """Decode an image file's content, as `open_image` does with `keep_grey`. name: what errors call it.

    Raises ImageError.
    """
    with _opened(io.BytesIO(data), name) as image:
        _check(image, name)
        try:
            values = deep_values(image, lambda: _opened(io.BytesIO(data), name))
            if values is not None:
                shallow = Image.fromarray(eight_bits(values, own_white(image) or white))
                shallow.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
                upright = _to_rgb_or_grey(ImageOps.exif_transpose(shallow))
                return OpenedImage(upright, upright.size)
            full_size = _upright_size(image)
            if draft_size is not None:
                # A quarter turn swaps the sides; asking for the larger on both is right for either.
                needed = max(draft_size(full_size))
                image.draft(None, (needed, needed))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # a copy of a large picture would be its memory again
            return OpenedImage(_to_rgb_or_grey(image), full_size)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None
        except Exception as error:  # Pillow's decoders raise whatever the damage leads to: IndexError, struct.error, …
            raise _damaged(name, error) from error


def _upright_size(image: Image.Image, exif: Image.Exif | None = None) -> tuple[int, int]:
    width, height = image.size
    if hasattr(image, "_tile_size"):  # newer Pillow turns TIFFs by itself, and says their size upright
        return width, height
    quarter_turned = (image.getexif() if exif is None else exif).get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return (height, width) if quarter_turned else (width, height)


def _words_follow(stream: BinaryIO) -> bool:
    """Whether a PNG has anything but pixels after its first pixels. The stream stays where it is."""
    place, follow = stream.tell(), False
    stream.seek(8)
    pixels = False
    while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
        pixels |= head[4:] == b"IDAT"
        follow |= pixels and head[4:] != b"IDAT"
        stream.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    stream.seek(place)
    return follow


def _opened(stream: BinaryIO, name: str) -> Image.Image:
    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # _check_size says it more plainly
            try:
                return Image.open(stream, formats=COMMON_FORMATS)
            except UnidentifiedImageError:
                stream.seek(0)
                return Image.open(stream, formats=further_formats(name))
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: more than the {MAX_PIXELS // 10**6} megapixels allowed; scale it down") from None
    except Exception as error:  # as above; mostly UnidentifiedImageError
        if Path(name).suffix.lower() in HEIF_SUFFIXES and not heif_is_there():
            raise ImageError(f"{name}: HEIF pictures need an extra: {install('heif')}") from None
        raise ImageError(f"{name}: not an image that can be read (PNG, JPEG, TIFF, BMP, WebP, …)") from error


def image_bytes(path: Path) -> bytes:
    """The content of a file that may be an image. Raises ImageError."""
    with _file(path) as stream:
        try:
            # Python takes memory for all that is asked for, which at the limit costs more than reading a picture does.
            expected = min(os.fstat(stream.fileno()).st_size, _MAX_FILE_BYTES) + 1
            data = stream.read(expected)
            if len(data) == expected:  # a pipe, or a file that grows
                data += stream.read(_MAX_FILE_BYTES + 1 - expected)
        except OSError as error:
            raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data:
        raise ImageError(f"{path}: the file is empty")
    if len(data) > _MAX_FILE_BYTES:
        raise ImageError(f"{path}: more than {_MAX_FILE_BYTES / 1e9:.1f} GB is no image for this; scale it down")
    return data


def _file(path: Path) -> BinaryIO:
    """A file opened without waiting for anyone: a pipe that lies among pictures would be waited for for ever.

    A pipe is taken only where a shell made it (`<(…)`) or as stdin. Raises ImageError.
    """
    try:
        piped = str(path).startswith(_FROM_A_SHELL)
        stream = os.fdopen(open_for_reading(path, wait=piped), "rb")
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}); give an image file") from error
    except ValueError as error:  # a zero byte in the name
        raise ImageError(f"{path}: cannot be read ({error})") from error
    status = os.fstat(stream.fileno())
    if not (stat.S_ISREG(status.st_mode) or (piped and stat.S_ISFIFO(status.st_mode))):
        stream.close()
        raise ImageError(f"{path}: cannot be read (not a file); give an image file")
    if status.st_size > _MAX_FILE_BYTES:
        stream.close()
        raise ImageError(f"{path}: {status.st_size / 1e9:.1f} GB is no image for this; scale it down")
    return stream


def _check(image: Image.Image, name: str) -> None:
    _check_size(image.size, name)
    try:
        pages = _several_pages(image)
    except Exception as error:  # as in `open_image_bytes`
        raise _damaged(name, error) from error
    if pages:
        raise ImageError(f"{name}: several pages or frames, and each may show a defect; save each as a file of its own")


def _several_pages(image: Image.Image) -> bool:
    if image.format == "MPO":  # a phone's JPEG: what follows is a preview or the depth of the same picture
        return False
    if image.format != "TIFF":
        return bool(getattr(image, "is_animated", False))
    try:
        for page in range(1, _MOST_PREVIEWS + 2):
            image.seek(page)
            if not image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & 1:  # type: ignore[attr-defined]  # no smaller copy
                return True
        return True
    except EOFError:
        return False
    finally:
        image.seek(0)


def _damaged(name: str, error: Exception) -> ImageError:
    return ImageError(f"{name}: damaged or truncated image ({_one_line(error)}); replace the file")


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


def _in_eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(eight_bits(np.asarray(image), white))
    return _to_rgb_or_grey(image)


def _to_rgb_or_grey(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ImageError("got a floating-point image, whose range is not known; save it with 8 or 16 bits a channel")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _on_white(image.convert("RGBA"))
    try:
        return image.convert("RGB")
    except ValueError:
        raise ImageError(f"pixels of mode {image.mode}, which cannot become RGB; save it as RGB or grey") from None


def _on_white(image: Image.Image) -> Image.Image:
    """An RGBA image laid on white. An alpha that is the same everywhere shows nothing: then the colours count."""
    lowest, highest = image.getchannel("A").getextrema()
    if lowest == highest:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
