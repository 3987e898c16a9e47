"""What a program hands over as a picture: content of files, and arrays."""

from __future__ import annotations

import os
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from PIL import Image

from panda_edge.errors import ImageError, PandaError
from panda_edge.images.depth import eight_bits

ORDERS = ("RGB", "BGR")

_MOST_BYTES = (1 << 30) + 1  # no picture within the limits needs more
_EXPECTED = (
    "give a path, a file's bytes, a file open for reading bytes, a PIL image, or an array of uint8 or uint16: "
    "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
)


@runtime_checkable
class BinaryFile(Protocol):
    """A file open for reading bytes: `open(path, "rb")`, io.BytesIO, an upload."""

    def read(self, size: int, /) -> bytes: ...


Content: TypeAlias = bytes | bytearray | memoryview | BinaryFile


def file_content(source: Any) -> bytes:
    """An image file's content, from bytes or from where an open file stands. Raises ImageError."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, type) or not callable(getattr(source, "read", None)):
        raise ImageError(_unknown(source))
    try:
        data = source.read(_MOST_BYTES)
    except (OSError, ValueError) as error:  # not readable, or closed
        raise ImageError(f"got a file that cannot be read ({error}); open it with mode 'rb'") from error
    if isinstance(data, str):
        raise ImageError("got a file that gives text; open it with mode 'rb'")
    if not isinstance(data, bytes | bytearray):
        raise ImageError(f"got a file whose read() gives {type(data).__name__}, expected bytes; {_EXPECTED}")
    if not data:
        raise ImageError("got a file with nothing left to read; seek(0) where it was read before")
    return bytes(data)


def check_form(array: np.ndarray) -> None:
    """Raises ImageError where an array is of none of the forms of a picture."""
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not shaped or not (array.dtype == np.uint8 or _deep(array)):
        raise ImageError(_unknown(array))


def array_of_bytes(array: np.ndarray, white: int | None = None) -> np.ndarray:
    """An array that `check_form` takes, as uint8 (H, W), (H, W, 3) or (H, W, 4), C-contiguous.

    white: of uint16, the value that is white; None where nothing says so. Raises ImageError.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if _deep(array):
        try:
            array = eight_bits(array, white)
        except ImageError as error:
            raise ImageError(f"array: {error}") from None
    return np.ascontiguousarray(array)


def _deep(array: np.ndarray) -> bool:
    return array.dtype.kind == "u" and array.dtype.itemsize == 2  # of either order of bytes


def settled(source: Any, order: str = "RGB") -> Any:
    """A picture as it may be read more than once: an open file as its content, an array's colours in RGB.

    order: of the colours of an array, RGB or BGR (OpenCV's); files and PIL images say their own. Raises PandaError,
    ImageError.
    """
    check_order(order)
    if isinstance(source, np.ndarray):
        if order == "RGB" or source.ndim != 3 or source.shape[2] not in (3, 4):
            return source
        return source[:, :, [2, 1, 0, 3][: source.shape[2]]]
    if callable(getattr(source, "read", None)) and not isinstance(source, type):
        return file_content(source)
    return source


def check_order(order: str) -> None:
    """Raises PandaError where it is neither RGB nor BGR."""
    if order not in ORDERS:
        raise PandaError(f"color is {order!r}; give RGB, or BGR for arrays of OpenCV")


def refuse_single(images: Any, way: str) -> None:
    """Raise ImageError where what should be many images is one, or nothing to go through. way: the method called."""
    one = isinstance(images, str | bytes | bytearray | memoryview | os.PathLike | Image.Image)
    one |= isinstance(images, np.ndarray) and images.ndim < 4
    one |= callable(getattr(images, "read", None))
    if one or not hasattr(images, "__iter__"):
        raise ImageError(
            f"{way} got {_named(images)}, expected many images; give a list, or one image to {way.split('_')[0]}"
        )


def _named(source: Any) -> str:
    if isinstance(source, np.ndarray):
        return f"an array of {source.dtype} with shape {source.shape}"
    kind = type(source)
    return f"{kind.__name__}" if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"


def _unknown(source: Any) -> str:
    """What was got, what was expected, and what to do where that is plain."""
    advice = ""
    if isinstance(source, np.ndarray):
        if source.dtype.kind == "f":
            advice = "; floats have no known range: scale to 0 … 255 and use .astype(np.uint8)"
        elif source.ndim == 3 and source.shape[0] in (1, 3, 4):
            advice = "; channels come last: use .transpose(1, 2, 0)"
        elif source.ndim == 4:
            advice = "; give many images to detect_batch or segment_batch"
    elif type(source).__module__.partition(".")[0] in ("torch", "tensorflow", "jax", "cupy"):
        advice = "; a tensor of 0 … 255, channels first: .permute(1, 2, 0).to(torch.uint8).cpu().numpy()"
    return f"got {_named(source)}; {_EXPECTED}{advice}"
