"""Cutting a pipe into image files: each format says itself where it ends."""

from __future__ import annotations

from io import BufferedReader

from panda_edge.errors import PandaError

_MAX_BYTES = 1 << 30
_PNG = b"\x89PNG\r\n\x1a\n"
_WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])  # JPEG markers that stand alone: TEM, RST0 … RST7, SOI
_END_OF_IMAGE = 0xD9


def read_file(pipe: BufferedReader) -> bytes | None:
    """The next whole PNG, JPEG, PPM (P6) or PGM (P5) file; None where the pipe has ended.

    Raises PandaError: another format, or the pipe ends within a file.
    """
    start = pipe.read(2)
    if not start:
        return None
    if start == _PNG[:2]:
        return _rest_of_png(pipe)
    if start == b"\xff\xd8":
        return _rest_of_jpeg(pipe)
    if start in (b"P5", b"P6"):
        return _rest_of_netpbm(pipe, start)
    raise PandaError(
        f"stdin: {start!r} begins no PNG, JPEG, PPM or PGM file; pipe such files, or raw frames with --raw WIDTHxHEIGHT"
    )


def _rest_of_png(pipe: BufferedReader) -> bytes:
    file = bytearray(_PNG[:2] + _exactly(pipe, 6))
    while True:
        head = _exactly(pipe, 8)
        file += head + _exactly(pipe, int.from_bytes(head[:4], "big") + 4)
        if head[4:] == b"IEND":
            return bytes(file)
        _check_length(file)


def _rest_of_jpeg(pipe: BufferedReader) -> bytes:
    file = bytearray(b"\xff\xd8")
    while True:
        marker = _next_marker(pipe, file)
        if marker == _END_OF_IMAGE:
            return bytes(file)
        if marker not in _WITHOUT_LENGTH:
            length = _exactly(pipe, 2)
            file += length + _exactly(pipe, max(int.from_bytes(length, "big") - 2, 0))
        _check_length(file)


def _next_marker(pipe: BufferedReader, file: bytearray) -> int:
    """Read up to the next marker, through a scan's data where one lies before it."""
    while True:
        ahead = pipe.peek(1)
        found = ahead.find(b"\xff")
        file += _exactly(pipe, found + 1 if found >= 0 else max(len(ahead), 1))
        if found < 0:
            _check_length(file)
            continue
        byte = b"\xff"
        while byte == b"\xff":  # any number of fill bytes may follow
            byte = _exactly(pipe, 1)
            file += byte
        if byte != b"\x00":  # a stuffed zero says that this was a scan's own 0xff
            return byte[0]


def _rest_of_netpbm(pipe: BufferedReader, magic: bytes) -> bytes:
    header = bytearray(magic)
    numbers: list[int] = []
    token = b""
    while len(numbers) < 3:
        byte = _exactly(pipe, 1)
        header += byte
        if byte == b"#" and not token:
            while byte != b"\n":
                byte = _exactly(pipe, 1)
                header += byte
        elif byte.isspace():
            if token:
                numbers.append(int(token))
                token = b""
        elif byte.isdigit() and len(token) < 9:
            token += byte
        else:
            raise PandaError("stdin: a PPM or PGM file with a damaged header")
    width, height, highest = numbers
    size = width * height * (3 if magic == b"P6" else 1) * (1 if highest < 256 else 2)
    if size > _MAX_BYTES:
        raise PandaError(f"stdin: a picture of {size / 1e9:.1f} GB is no image for this; scale it down")
    return bytes(header) + _exactly(pipe, size)


def _exactly(pipe: BufferedReader, count: int) -> bytes:
    if count > _MAX_BYTES:
        raise PandaError(f"stdin: a part of {count / 1e9:.1f} GB is no image for this; scale it down")
    data = pipe.read(count)
    if len(data) < count:
        raise PandaError("stdin: ends in the middle of a picture")
    return data


def _check_length(file: bytearray) -> None:
    if len(file) > _MAX_BYTES:
        raise PandaError(f"stdin: a picture of more than {_MAX_BYTES / 1e9:.1f} GB is no image for this; scale it down")
