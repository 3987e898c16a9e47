"""Anomalous frames as files, and some that nearly are, under a disk quota: the oldest go first."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from panda_edge.bundle.manifest import Segmentation
from panda_edge.errors import FullDiskError, PandaError
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.lines import outcome_line
from panda_edge.stream.sinks.jsonl import json_bytes
from panda_edge.stream.sinks.nearly import Nearly
from panda_edge.stream.sinks.worker import Room, Worker, WorkerSink
from panda_edge.stream.weight import lightened, outcome_bytes
from panda_edge.visualise.files import make_results_folder, png_bytes, remove_leftovers, write_whole
from panda_edge.visualise.overlay import MAX_OVERLAY_SIDE, color_scale, overlay

_MOST_BYTES = 64_000_000  # of frames that wait while the disk is full or slow
_OURS = re.compile(r"(\d{9})_[\w.-]*\.\w+")
_SUFFIXES = {b"\x89P": ".png", b"\xff\xd8": ".jpg", b"BM": ".bmp", b"II": ".tif", b"MM": ".tif", b"RI": ".webp"}


class SavedFrames(WorkerSink[Outcome]):
    """For each frame that is saved NUMBER_SOURCE_FRAME.png (or the source's own file), _overlay.png and .json.

    Numbers go on from what the folder holds, so that they tell the order whatever the clock says.
    """

    def __init__(
        self,
        folder: Path,
        quota_bytes: int,
        segmentation: Callable[[], Segmentation],
        say: Callable[[str], None],
        tell: Callable[[str, str], None] = lambda identity, name: None,
        nearly: Nearly | None = None,
    ) -> None:
        """quota_bytes: of the files that are ours. segmentation: of the bundle at work. tell: is told a frame's id and
        its picture's name once it is saved. nearly: says which normal frames are saved, too. Raises PandaError."""
        if quota_bytes < 1_000_000:
            raise PandaError("--quota-mb: at least 1 is needed")
        with suppress(FullDiskError):  # there may be room when the first frame is saved
            make_results_folder(folder)
        remove_leftovers(folder)
        self._folder = folder
        self._quota = quota_bytes
        self._segmentation = segmentation
        self._tell = tell
        self._nearly = nearly
        self._kept: deque[tuple[Path, int]] = deque()
        self._bytes = 0
        self._next = 1
        self._take_stock()
        self._worker = Worker("saved frames", self._save, say, outcome_bytes, room=Room(32, _MOST_BYTES, batch=1))

    def outcome(self, outcome: Outcome) -> None:
        if outcome.anomalous or (self._nearly is not None and self._nearly.takes(outcome)):
            # A picture that came as a file is saved as that file: its pixels are for the overlay alone.
            filed = outcome.frame.picture.encoded is not None
            self._worker.put(lightened(outcome, MAX_OVERLAY_SIDE, keep_file=True) if filed else outcome)

    def notice(self, notice: Notice) -> None:
        pass

    def _save(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            picture, result = outcome.frame.picture, outcome.result
            if picture.opened is None or result is None:
                continue
            source = re.sub(r"[^\w.-]+", "-", outcome.source).strip("-.")[-60:]
            base = f"{self._next:09d}_{source}_{outcome.frame.number}"
            original = picture.encoded or png_bytes(picture.opened.image)
            shown = overlay(picture.opened, result, color_scale(self._segmentation()))
            files = {
                self._folder / f"{base}{_SUFFIXES.get(original[:2], '.png')}": original,
                self._folder / f"{base}_overlay.png": png_bytes(shown),
                self._folder / f"{base}.json": json_bytes(outcome_line(outcome)) + b"\n",
            }
            self._make_room(sum(map(len, files.values())))
            try:
                make_results_folder(self._folder)
                for path, data in files.items():
                    write_whole(path, data)
            except PandaError:
                for path in files:  # all three or none
                    with suppress(OSError):
                        path.unlink()
                raise
            for path, data in files.items():
                self._kept.append((path, len(data)))
                self._bytes += len(data)
            self._next += 1
            self._tell(outcome.id, next(iter(files)).name)

    def _make_room(self, needed: int) -> None:
        while self._kept and self._bytes + needed > self._quota:
            path, size = self._kept.popleft()
            with suppress(OSError):
                path.unlink()
            self._bytes -= size

    def _take_stock(self) -> None:
        for path in sorted(self._folder.glob("*")):
            if found := _OURS.fullmatch(path.name):
                size = path.lstat().st_size
                self._kept.append((path, size))
                self._bytes += size
                self._next = max(self._next, int(found[1]) + 1)
