"""What SOURCE on a command line stands for."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from panda_edge.errors import PandaError
from panda_edge.images.formats import is_image_name
from panda_edge.images.reading import Decode, open_image_bytes
from panda_edge.stream.frame import Source
from panda_edge.stream.passwords import without_password
from panda_edge.stream.sources.folder import FolderSource
from panda_edge.stream.sources.genicam import GenicamSource
from panda_edge.stream.sources.mjpeg import HttpSource
from panda_edge.stream.sources.stdin import PipeSource
from panda_edge.stream.sources.video import VideoSource

_EXPECTED = (
    "give a camera (0, /dev/video0, genicam://), a video file, an rtsp:// or http:// address, a folder, or - for stdin"
)
_CAMERAS = ("/dev/video", "/dev/v4l/")  # one that is absent is waited for, as it may be plugged in later


def open_source(
    given: str,
    once: bool = False,
    raw: tuple[int, int, int] | None = None,
    decode: Decode = open_image_bytes,
    new_only: bool = False,
) -> Source:
    """The source that `given` names. once: a folder ends when it has been worked off. raw: see PipeSource.

    decode: makes images of what the source gives as files. new_only: of a folder, see FolderSource. Raises PandaError.
    """
    if given == "-":
        return PipeSource(raw, decode)
    shown = without_password(given)[:200]
    if given.isascii() and given.isdecimal():
        given = f"/dev/video{int(given)}"
    scheme = given.partition("://")[0].lower() if "://" in given else ""
    if scheme in ("rtsp", "rtsps", "http", "https"):
        return _network(given, scheme, decode, once)
    if scheme == "genicam":
        _refuse_once(shown, once)
        return GenicamSource(given, decode)
    if scheme:
        raise PandaError(f"{shown}: {scheme}:// is no source for this; {_EXPECTED}")
    if not given:
        raise PandaError(f"'': no such file or folder; {_EXPECTED}")
    path = Path(given)
    try:
        if path.is_dir():
            return FolderSource(path, once, decode, new_only)
        exists = path.exists()
        camera = path.is_char_device() or (not exists and given.startswith(_CAMERAS))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file's name"
        raise PandaError(f"{shown}: cannot be read ({why}); {_EXPECTED}") from error
    if camera:
        _refuse_once(given, once)
        return VideoSource(given, given, decode, live=True, camera=True)
    if not exists:
        raise PandaError(f"{shown}: no such file or folder; {_EXPECTED}")
    if is_image_name(path):
        raise PandaError(f"{given}: one picture; give its folder, or use `panda-edge segment`")
    return VideoSource(given, given, decode, live=False)


def _network(given: str, scheme: str, decode: Decode, once: bool) -> Source:
    try:
        parts = urlsplit(given)
        host, _ = parts.hostname, parts.port
    except ValueError:  # its text may hold a part of the password
        raise PandaError(f"{scheme}://…: not an address; {_EXPECTED}") from None
    if not host:
        raise PandaError(f"{scheme}://…: an address without a host; {_EXPECTED}")
    name = without_password(given)
    _refuse_once(name, once)
    if scheme in ("http", "https"):
        return HttpSource(given, name, decode, lambda: VideoSource(given, name, decode, live=True))
    return VideoSource(given, name, decode, live=True)


def _refuse_once(name: str, once: bool) -> None:
    if once:
        raise PandaError(f"{name}: has no end, so --once would never come to one; leave --once out")
