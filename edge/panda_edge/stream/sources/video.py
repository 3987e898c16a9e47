"""Cameras, video files and network streams, decoded by PyAV (FFmpeg)."""

from __future__ import annotations

import io
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from threading import Event
from typing import Any

from PIL import Image

from panda_edge.errors import ImageError, PandaError, missing
from panda_edge.images.reading import MAX_PIXELS, MIN_SIDE, Decode, OpenedImage, to_rgb
from panda_edge.stream.frame import Picture, SourceLost

_OPEN_SECONDS, _READ_SECONDS = 10.0, 10.0  # a source that says nothing for so long is lost
_LONGEST_PIXEL = 8  # times as long as wide, or as wide as long
_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
_DAMAGED_PACKETS = 300  # in a row, after which a stream is given up

# What FFmpeg does by itself is to collect before it shows; a camera's picture is wanted at once.
_AT_ONCE = {"fflags": "nobuffer", "flags": "low_delay", "probesize": "500000", "analyzeduration": "1000000"}


class VideoSource:
    """Frames of a camera (`/dev/video0`), a video file, or an RTSP or HTTP address."""

    def __init__(self, address: str, name: str, decode: Decode, live: bool, camera: bool = False) -> None:
        """decode: makes images of grey frames of 16 bits, in which a camera may use fewer. live: frames come when they
        come, and the end is a loss; otherwise a file. Raises PandaError without PyAV."""
        self.name = name
        self.live = live
        self.endless = live
        self._address = address
        self._decode = decode
        self._format = "video4linux2" if camera else None
        self._av = _imported()

    def pictures(self, stop: Event) -> Generator[Picture]:
        """Frames in their order. Raises SourceLost (live), PandaError (a file that cannot be decoded)."""
        container = self._opened()
        try:
            stream = self._video_stream(container)
            # Threads over frames would hold back as many frames as there are threads.
            stream.thread_type = "SLICE" if self.live else "AUTO"
            yield from self._decoded(container, stream, stop)
        finally:
            with suppress(Exception):
                container.close()
        if self.live and not stop.is_set():
            raise SourceLost(f"{self.name}: the stream ended")

    def _opened(self) -> Any:
        options: dict[str, str] = dict(_AT_ONCE) if self.live else {}
        if self._address.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        timeouts = (_OPEN_SECONDS, _READ_SECONDS) if self.live else None
        try:
            return self._av.open(self._address, format=self._format, options=options, timeout=timeouts)
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise self._failed("cannot be opened", error) from error

    def _video_stream(self, container: Any) -> Any:
        if not container.streams.video:
            raise self._failed("has no video in it")
        stream = container.streams.video[0]
        codec = stream.codec_context
        if min(codec.width, codec.height) < MIN_SIDE or codec.width * codec.height > MAX_PIXELS:
            raise self._failed(f"{codec.width}×{codec.height} pixels, outside {MIN_SIDE} a side … {MAX_PIXELS}")
        pixel = _pixel(stream)
        longer = max(pixel, 1 / pixel)
        if longer > _LONGEST_PIXEL or codec.width * codec.height * longer > MAX_PIXELS:
            raise self._failed(f"pixels {pixel:.3g} times as wide as high")
        return stream

    def _decoded(self, container: Any, stream: Any, stop: Event) -> Iterator[Picture]:
        packets, pixel = container.demux(stream), _pixel(stream)
        damaged = 0
        while not stop.is_set():
            try:
                packet = next(packets, None)
                arrived = time.monotonic()
                if packet is None:
                    return
                frames = packet.decode()
                damaged = 0 if frames else damaged
            except self._av.error.InvalidDataError as error:
                damaged += 1
                if damaged > _DAMAGED_PACKETS:
                    raise self._failed("damaged", error) from error
                yield Picture(None, time.monotonic(), problem=f"{self.name}: a damaged frame")
                continue
            except (self._av.FFmpegError, OSError) as error:
                raise self._failed("broke off", error) from error
            for frame in frames:
                yield self._picture(frame, arrived, pixel)

    def _picture(self, frame: Any, arrived: float, pixel: float) -> Picture:
        """The frame as a player shows it: upright, with square pixels."""
        where = None if self.live or frame.time is None else f"{frame.time:.3f} s"
        try:
            image = self._image(frame)
        except ImageError as error:
            return Picture(None, arrived, where=where, problem=str(error))
        image = image if image.mode == "L" else to_rgb(image)
        if pixel != 1:
            width, height = image.size
            size = (round(width * pixel), height) if pixel > 1 else (width, round(height / pixel))
            image = image.resize(size, Image.Resampling.BILINEAR)
        if (turn := round(frame.rotation / 90) * 90 % 360) in _TURNS:  # counterclockwise
            image = image.transpose(_TURNS[turn])
        return Picture(OpenedImage(image, image.size), arrived, (time.monotonic() - arrived) * 1e3, where=where)

    def _image(self, frame: Any) -> Image.Image:
        if frame.format.name.startswith("gray16"):
            deep = io.BytesIO()
            Image.fromarray(frame.to_ndarray()).save(deep, "TIFF")
            return self._decode(deep.getvalue(), self.name).image
        if frame.format.name.startswith("gray"):
            frame = frame.reformat(format="gray")
        image: Image.Image = frame.to_image()
        return image

    def _failed(self, what: str, error: BaseException | None = None) -> PandaError:
        why = "" if error is None else f" ({getattr(error, 'strerror', None) or error})"
        text = f"{self.name}: {what}{why}"
        return SourceLost(text) if self.live else PandaError(f"{text}; give a video that FFmpeg can read")


def _pixel(stream: Any) -> float:
    """How many times as wide as high a pixel of a stream is."""
    return float(stream.sample_aspect_ratio or 1) or 1.0


def _imported() -> Any:
    try:
        import av
    except ImportError as error:
        raise missing("cameras, video files and RTSP need PyAV", "video") from error
    av.logging.set_level(None)  # its remarks on stderr; ours say what came of it
    return av
