"""Pictures that come through a pipe: PNG, JPEG, PPM and PGM files end to end, or raw frames of a known size."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Generator
from threading import Event

from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.reading import MAX_PIXELS, MIN_SIDE, Decode, OpenedImage
from panda_edge.stream.frame import Picture
from panda_edge.stream.sources.encoded import decoded
from panda_edge.stream.sources.files_in_a_pipe import read_file


class PipeSource:
    """Pictures on stdin. raw: (width, height, channels) of frames without a header, uint8, row by row; channels 3 is
    RGB, 1 grey. None: image files, each telling its own end."""

    name = "stdin"
    live = False
    endless = False

    def __init__(
        self,
        raw: tuple[int, int, int] | None,
        decode: Decode,
        pipe: io.BufferedReader | None = None,
    ) -> None:
        if pipe is None and (sys.stdin is None or sys.stdin.closed):
            raise PandaError("-: stdin is closed; pipe pictures into it")
        # A reader of our own: the interpreter cannot end while a thread waits in its sys.stdin.
        self._pipe = pipe or io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), 1 << 20)
        self._raw = raw
        self._decode = decode

    def pictures(self, stop: Event) -> Generator[Picture]:
        """Pictures until the pipe is closed. Raises PandaError where what comes is no picture's beginning."""
        read = self._read_file if self._raw is None else self._read_raw
        while not stop.is_set() and (picture := read()) is not None:
            yield picture
            del picture  # a large one must be gone before the next is decoded

    def _read_file(self) -> Picture | None:
        data = read_file(self._pipe)
        return None if data is None else decoded(data, self._decode, name="a picture on stdin")

    def _read_raw(self) -> Picture | None:
        assert self._raw is not None
        width, height, channels = self._raw
        data = self._pipe.read(width * height * channels)
        if not data:
            return None
        arrived = time.monotonic()
        if len(data) < width * height * channels:
            raise PandaError(f"stdin: ends in the middle of a raw frame of {width}×{height}×{channels} bytes")
        image = Image.frombytes("RGB" if channels == 3 else "L", (width, height), data)
        return Picture(OpenedImage(image, image.size), arrived, (time.monotonic() - arrived) * 1e3)


def parse_raw(text: str) -> tuple[int, int, int]:
    """`WIDTHxHEIGHT`, RGB, or `WIDTHxHEIGHTx1`, grey, as (width, height, channels). Raises PandaError."""
    parts = text.lower().split("x")
    if len(parts) == 3 and not parts[2].isdecimal():
        raise PandaError(
            f"--raw {text}: frames are RGB or grey of 8 bits; NV12, Bayer and packed 10 or 12 bits must be turned into "
            "RGB before (docs/pictures.md, Raw frames)"
        )
    numbers = [int(part) for part in parts if part.isascii() and part.isdecimal()]
    if len(numbers) != len(parts) or len(numbers) not in (2, 3) or (len(numbers) == 3 and numbers[2] not in (1, 3)):
        raise PandaError(f"--raw {text}: expected WIDTHxHEIGHT (RGB) or WIDTHxHEIGHTx1 (grey), such as 640x480")
    width, height = numbers[:2]
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        raise PandaError(f"--raw {text}: {MIN_SIDE} pixels a side to {MAX_PIXELS // 10**6} megapixels are allowed")
    return width, height, numbers[2] if len(numbers) == 3 else 3
