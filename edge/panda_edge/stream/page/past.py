"""Frames that are no longer in memory: from the history and the saved pictures."""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.reading import open_image_bytes
from panda_edge.images.shrunk import shrunk
from panda_edge.stream.history.reader import HistoryReader, Wanted
from panda_edge.stream.history.row import Row

MOST = 100  # frames of one answer
_SMALL_SIDE = 160  # pixels
_SMALL_KEPT = 500
_LONGEST = 40 * 86_400.0  # seconds of the chart


class Past:
    """Reads; every method may be called by any thread."""

    def __init__(self, reader: HistoryReader, folder: Path | None) -> None:
        """folder: of `--save`; None where pictures are not saved."""
        self._reader = reader
        self._folder = folder
        self._lock = Lock()
        self._small: OrderedDict[str, bytes] = OrderedDict()

    def frames(self, wanted: Wanted, most: int, worst_first: bool, skip: int) -> list[dict[str, Any]]:
        """As `Row.facts`, with `picture`: whether there is one, and `seq`. Raises PandaError."""
        return [self._facts(row) for row in self._reader.page(wanted, min(most, MOST), worst_first, skip)]

    def frame(self, identity: str) -> dict[str, Any] | None:
        """One of them. Raises PandaError."""
        row = self._reader.frame(identity)
        return None if row is None else self._facts(row)

    def minutes(self, source: str, since: float, until: float) -> list[dict[str, Any]]:
        """See HistoryReader. Raises PandaError."""
        return self._reader.minutes(source, max(since, until - _LONGEST), until)

    def shift(self, source: str, minutes: int) -> list[tuple[float, int, int, int]]:
        """What `Tally.fill` takes, of the last minutes. Raises PandaError."""
        now = time.time()
        found = self._reader.minutes(source, now - 60 * minutes, now)
        return [(one["at"], one["ok"], one["ng"], one["not_judged"]) for one in found]

    def picture(self, identity: str, plain: bool) -> bytes | None:
        """A frame's saved picture, JPEG, under its heat map or plain; None where there is none. Raises PandaError."""
        file = self._of(identity)
        if file is None:
            return None
        try:
            shown = file if plain else file.with_name(f"{file.stem}_overlay.png")
            opened = open_image_bytes(shown.read_bytes(), shown.name)
        except (OSError, PandaError):  # the quota has just taken it
            return None
        return jpeg(opened.image)

    def small(self, identity: str) -> bytes | None:
        """The same under its heat map for a list, drawn once. Raises PandaError."""
        with self._lock:  # one at a time: a crowd must not take the processors from judging
            if identity in self._small:
                self._small.move_to_end(identity)
                return self._small[identity]
            data = self.picture(identity, plain=False)
            if data is None:
                return None
            with Image.open(io.BytesIO(data)) as image:
                self._small[identity] = data = jpeg(shrunk(image, _SMALL_SIDE))
            while len(self._small) > _SMALL_KEPT:
                self._small.popitem(last=False)
            return data

    def original(self, identity: str) -> tuple[str, bytes] | None:
        """A frame's saved file, its name and content; None where there is none. Raises PandaError."""
        file = self._of(identity)
        try:
            return None if file is None else (file.name, file.read_bytes())
        except OSError:
            return None

    def _facts(self, row: Row) -> dict[str, Any]:
        return {**row.facts(), "seq": row.seq, "picture": self._file(row.saved) is not None}

    def _of(self, identity: str) -> Path | None:
        row = self._reader.frame(identity)
        return None if row is None else self._file(row.saved)

    def _file(self, saved: str | None) -> Path | None:
        if saved is None or self._folder is None or Path(saved).name != saved:
            return None
        file = self._folder / saved
        return file if file.is_file() else None


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=85)
    return stream.getvalue()


def plain_jpeg(file: Path, side: int | None) -> bytes:
    """A picture's file as a JPEG, with sides of at most so many pixels. Raises OSError, PandaError."""
    image = open_image_bytes(file.read_bytes(), file.name).image
    return jpeg(image if side is None else shrunk(image, side))
