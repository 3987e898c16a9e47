"""Industrial cameras (GigE Vision, USB3 Vision, …) through their maker's GenTL producer, by harvesters."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
from PIL import Image

from panda_edge.errors import PandaError, missing
from panda_edge.images.reading import MAX_PIXELS, MIN_SIDE, Decode, OpenedImage
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.why import why

_FOLDERS = "GENICAM_GENTL64_PATH"  # where the standard lets makers say where their producers are
_KNOWN = ("producer", "pixels")
_TURN = 0.5  # seconds after which one who waits for a picture looks whether he may still
_COLOURS = {"RGB8": "RGB", "BGR8": "BGR", "RGBa8": "RGBX", "BGRa8": "BGRX"}


class GenicamSource:
    """Frames of one camera, as it is set: pixel format, exposure, region and hardware trigger are the camera's own."""

    live = endless = True

    def __init__(self, given: str, decode: Decode) -> None:
        """given: `genicam://[CAMERA][?producer=FILE.cti&pixels=Mono8]`; without a camera, the only one there is.
        decode: makes images of grey frames of more than 8 bits. Raises PandaError: not such an address, no producer,
        or the extra is missing."""
        parts = urlsplit(given)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := options.keys() - set(_KNOWN):
            raise PandaError(f"{given}: {sorted(unknown)[0]}= is not known; known are {', '.join(_KNOWN)}")
        self.name = f"genicam://{parts.netloc}"
        self._camera = unquote(parts.netloc)
        self._pixels = options.get("pixels")
        self._decode = decode
        self._producers = _producers(given, options.get("producer"))
        self._core = _imported()
        self._broken = 0  # pictures that did not come whole, and are not told yet

    def pictures(self, stop: Event) -> Generator[Picture]:
        """Frames as they come. Raises SourceLost; PandaError where the camera's pixels cannot be read."""
        harvester = self._core.Harvester()
        camera: Any = None
        try:
            camera = self._opened(harvester)
            camera.start()
            while not stop.is_set():
                yield from self._next(camera)
        except PandaError:
            raise
        except Exception as error:  # what a producer raises is its maker's business
            raise SourceLost(f"{self.name}: broke off ({why(error)})") from error
        finally:
            for close in (() if camera is None else (camera.stop, camera.destroy)) + (harvester.reset,):
                with suppress(Exception):
                    close()

    def _opened(self, harvester: Any) -> Any:
        for producer in self._producers:
            harvester.add_file(producer)
        harvester.update()
        found = harvester.device_info_list
        wanted = [one for one in found if self._camera in ("", *_names(one))]
        if len(wanted) != 1:
            there = ", ".join(_names(one)[0] for one in found) or "none"
            what = "several cameras answer; name one" if wanted else "no such camera answers"
            raise SourceLost(f"{self.name}: {what} (there: {there})")
        try:
            camera = harvester.create(wanted[0])
        except Exception as error:
            raise SourceLost(
                f"{self.name}: cannot be opened, as where another program has it ({why(error)})"
            ) from error
        camera.add_callback(camera.Events.INCOMPLETE_BUFFER, _Told(self._count_broken))
        if self._pixels is not None:
            self._set_pixels(camera)
        return camera

    def _set_pixels(self, camera: Any) -> None:
        node = camera.remote_device.node_map.PixelFormat
        try:
            node.value = self._pixels
        except Exception as error:
            with suppress(Exception):
                camera.destroy()
            raise PandaError(
                f"{self.name}: pixels={self._pixels} is refused; the camera has {', '.join(node.symbolics)}"
            ) from error

    def _count_broken(self) -> None:
        self._broken += 1

    def _next(self, camera: Any) -> Generator[Picture]:
        try:
            buffer = camera.fetch(timeout=_TURN)
        except self._core.TimeoutException:
            buffer = None
            # A camera that waits for its trigger is silent, too; one that is gone does not answer.
            camera.remote_device.node_map.Width.get_value(False, True)
        arrived = time.monotonic()
        for _ in range(self._broken):
            yield Picture(None, arrived, problem=f"{self.name}: a picture that did not come whole")
        self._broken = 0
        if buffer is not None:
            with buffer:
                image = self._image(buffer.payload.components[0])
            yield Picture(OpenedImage(image, image.size), arrived, (time.monotonic() - arrived) * 1e3)

    def _image(self, component: Any) -> Image.Image:
        width, height, kind = component.width, component.height, component.data_format
        if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
            raise PandaError(
                f"{self.name}: {width} × {height}: {MIN_SIDE} pixels a side to {MAX_PIXELS // 10**6} megapixels are "
                "allowed; set the camera's region"
            )
        rows = component.represent_pixel_location()[:height]  # behind a row and a picture there may be padding
        if kind.startswith("Mono"):
            grey = np.ascontiguousarray(rows[:, :width])
            return Image.fromarray(grey) if grey.dtype == np.uint8 else self._deep(grey)
        if kind not in _COLOURS:
            raise PandaError(
                f"{self.name}: pixels are {kind}; set the camera to Mono or {', '.join(_COLOURS)} (pixels=RGB8)"
            )
        raw, channels = _COLOURS[kind], len(_COLOURS[kind])
        data = np.ascontiguousarray(rows[:, : width * channels])
        return Image.frombytes("RGB", (width, height), data.tobytes(), "raw", raw)

    def _deep(self, grey: np.ndarray) -> Image.Image:
        stream = io.BytesIO()
        Image.fromarray(grey.astype(np.uint16)).save(stream, "TIFF")
        return self._decode(stream.getvalue(), self.name).image


class _Told:
    """As harvesters asks for what it calls back."""

    def __init__(self, tell: Any) -> None:
        self._tell = tell

    def emit(self, context: Any) -> None:
        self._tell()


def _names(device: Any) -> tuple[str, ...]:
    """What a camera may be called: its serial number first."""
    found = []
    for name in ("serial_number", "user_defined_name", "id_"):
        with suppress(Exception):  # a producer raises for what its camera does not have
            found.append(str(getattr(device, name)))
    return tuple(filter(None, found)) or ("without a name",)


def _producers(given: str, file: str | None) -> list[str]:
    if file is not None:
        if not file.endswith(".cti") or not Path(file).is_file():
            raise PandaError(f"{given}: producer={file}: no such file; give the camera maker's GenTL producer (.cti)")
        return [file]
    folders = filter(None, os.environ.get(_FOLDERS, "").split(os.pathsep))
    found = [str(path) for folder in folders for path in sorted(Path(folder).glob("*.cti"))]
    if not found:
        raise PandaError(
            f"{given}: no GenTL producer; install the camera maker's, and give producer=FILE.cti or set {_FOLDERS}"
        )
    return found


def _imported() -> Any:
    try:
        from harvesters import core
    except ImportError as error:
        raise missing("genicam:// needs harvesters", "genicam") from error
    logging.getLogger("harvesters").setLevel(logging.CRITICAL + 1)  # ours say what came of it
    return core
