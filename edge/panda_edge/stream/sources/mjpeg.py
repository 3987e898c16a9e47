"""HTTP addresses: cameras that send JPEG after JPEG (multipart/x-mixed-replace), or one picture a request."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from threading import Event
from urllib.parse import urlsplit

from panda_edge.images.reading import Decode
from panda_edge.stream.frame import Picture, Source, SourceLost
from panda_edge.stream.passwords import basic_authorization
from panda_edge.stream.sources.encoded import decoded

_SECONDS = 10.0  # a camera that says nothing for so long is lost
_MAX_BYTES = 64 << 20
_MAX_BETWEEN = 1 << 20  # bytes before a picture: of its header, and what may stand before the first one
_SNAPSHOT_PAUSE = 0.1  # seconds between two requests where an address gives one picture each


class HttpSource:
    """Pictures of an HTTP address, decoded as files are, without PyAV. What is neither JPEGs in a row nor a picture,
    such as MP4 or HLS, is left to FFmpeg."""

    live = True
    endless = True

    def __init__(self, address: str, name: str, decode: Decode, other: Callable[[], Source]) -> None:
        """name: the address without its password. other: makes the source for what is no row of pictures."""
        self.name = name
        self._address = address
        self._decode = decode
        self._other = other

    def pictures(self, stop: Event) -> Generator[Picture]:
        """Pictures until the connection ends. Raises SourceLost."""
        try:
            yield from self._pictures(stop)
        except http.client.InvalidURL:  # its text may hold a key
            raise SourceLost(f"{self.name}: not an address that can be asked for") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceLost(f"{self.name}: {str(error) or type(error).__name__}") from error

    def _pictures(self, stop: Event) -> Iterator[Picture]:
        while not stop.is_set():
            connection, path, headers = self._connection()
            with closing(connection):
                connection.request("GET", path, headers=headers)
                with connection.getresponse() as response:
                    if response.status != 200:
                        raise SourceLost(f"{self.name}: answers {response.status} {response.reason}")
                    kind = response.headers.get_content_type()
                    if kind.startswith("multipart/"):
                        yield from self._parts(response, stop)
                        raise SourceLost(f"{self.name}: the stream ended")
                    if kind.startswith("image/"):
                        yield self._decoded(response.read(_MAX_BYTES))
                        stop.wait(_SNAPSHOT_PAUSE)
                        continue
            yield from self._other().pictures(stop)

    def _parts(self, response: http.client.HTTPResponse, stop: Event) -> Iterator[Picture]:
        while not stop.is_set():
            length = _next_length(response)
            if length is None:
                return
            data = response.read(length) if length else _until_end_of_jpeg(response)
            if not data or len(data) < length:
                return
            yield self._decoded(data)

    def _decoded(self, data: bytes) -> Picture:
        return decoded(data, self._decode, time.monotonic(), name=self.name)

    def _connection(self) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        parts = urlsplit(self._address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        headers = {"User-Agent": "panda-edge", **basic_authorization(parts)}
        return connection, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers


def _next_length(response: http.client.HTTPResponse) -> int | None:
    """Bytes of the next part by its header, 0 where that does not say; None at the end."""
    length, in_header, passed = 0, False, 0
    while line := response.readline(65536):
        passed += len(line)
        if passed > _MAX_BETWEEN:
            raise ValueError(f"no picture in {passed} bytes")
        line = line.strip()
        if line.startswith(b"--"):
            if in_header and line.endswith(b"--"):
                return None
            in_header = True
        elif not line and in_header:
            return length
        elif found := re.fullmatch(rb"content-length:\s*(\d{1,9})", line, re.IGNORECASE):
            length, in_header = int(found[1]), True
            if length > _MAX_BYTES:
                raise ValueError(f"a picture of {length} bytes")
    return None


def _until_end_of_jpeg(response: http.client.HTTPResponse) -> bytes:
    """A JPEG of unknown length, line by line up to its end marker."""
    data = bytearray()
    while line := response.readline(65536):
        data += line
        if line.rstrip(b"\r\n").endswith(b"\xff\xd9"):
            return bytes(data)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"a picture of more than {_MAX_BYTES} bytes")
    return b""
