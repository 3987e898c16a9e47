"""From a picture's own bytes to a Picture: as `segment` would read the file, to the pixel."""

from __future__ import annotations

import time

from panda_edge.errors import ImageError
from panda_edge.images.reading import Decode
from panda_edge.stream.frame import Picture


def decoded(
    data: bytes, decode: Decode, arrived: float | None = None, where: str | None = None, name: str = ""
) -> Picture:
    """Decode a picture. One that cannot be decoded is a Picture with a `problem`, as a camera may send the odd one.

    decode: makes the image. name: what an error calls it.
    """
    started = time.monotonic()
    arrived = started if arrived is None else arrived
    try:
        opened = decode(data, name or "picture")
    except ImageError as error:
        return Picture(None, arrived, encoded=data, where=where, problem=str(error))
    milliseconds = (time.monotonic() - started) * 1e3
    return Picture(opened, arrived, milliseconds, data, where)
