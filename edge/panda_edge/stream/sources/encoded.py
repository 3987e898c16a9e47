"""From a picture's own bytes to a Picture: as `segment` would read the file, to the pixel."""

from __future__ import annotations

import time

from panda_edge.errors import ImageError
from panda_edge.images.reading import Draft, open_image_bytes
from panda_edge.stream.frame import Picture


def decoded(
    data: bytes, draft: Draft, arrived: float | None = None, where: str | None = None, name: str = ""
) -> Picture:
    """Decode a picture. One that cannot be decoded is a Picture with a `problem`, as a camera may send the odd one.

    draft: to what a JPEG may be decoded down. name: what an error calls it.
    """
    started = time.monotonic()
    arrived = started if arrived is None else arrived
    try:
        opened = open_image_bytes(data, name or "picture", draft)
    except ImageError as error:
        return Picture(None, arrived, encoded=data, where=where, problem=str(error))
    milliseconds = (time.monotonic() - started) * 1e3
    return Picture(opened, arrived, milliseconds, data, where)
