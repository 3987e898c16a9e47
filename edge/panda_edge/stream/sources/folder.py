"""Pictures from a folder that is being filled: each file once, when it is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from panda_edge.errors import ImageError
from panda_edge.images.inputs import is_image_name, natural_key
from panda_edge.images.reading import Draft, image_bytes
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.sources.encoded import decoded

_LOOK = 0.2  # seconds between two looks
_SETTLED = 3.0  # seconds that a folder is listed on after it last changed: a file system's times may be coarse
_TRIED_EVERY = 1.0  # seconds between two tries to decode a file that may still be on its way
_PATIENCE = 30.0  # seconds after which a file that still cannot be decoded is no longer thought to be on its way

_Signature = tuple[int, int, int]  # size, time of change, inode: of a file that was not touched in between


@dataclass
class _Pending:
    signature: _Signature
    since: float
    tried: float = 0.0


class FolderSource:
    """The image files of a folder and its subfolders, hidden ones left out, in natural order; then those that come.

    A file is whole when two looks found it unchanged and it decodes; one that does not decode is waited for up to 30
    seconds after its last change, then given as a picture with a problem. A name counts again when the file is
    replaced. Memory holds the names that are in the folder.
    """

    live = False

    def __init__(self, path: Path, once: bool, draft: Draft, new_only: bool = False) -> None:
        """once: end when what is there has been given. new_only: pass over what is there at the first look."""
        self.name = str(path)
        self.endless = not once
        self._path = path
        self._draft = draft
        self._pass_over = new_only
        self._done: dict[str, dict[str, _Signature]] = {}  # of each folder, its files that were given
        self._changed: dict[str, tuple[int, float]] = {}  # of each folder, its time of change and when that was seen

    def pictures(self, stop: Event) -> Generator[Picture]:
        """Pictures until `stop` is set; with `once` until none is left. Raises SourceLost."""
        pending: dict[str, _Pending] = {}
        while not stop.is_set():
            self._look(pending)
            if self._pass_over:
                for file, entry in pending.items():
                    self._done[os.path.dirname(file)][os.path.basename(file)] = entry.signature
                pending.clear()
                self._pass_over = False
            for file in sorted(pending, key=lambda name: natural_key(Path(name))):
                if stop.is_set():
                    return
                picture = self._if_whole(file, pending)
                if picture is not None:
                    yield picture
            if not pending and not self.endless:
                return
            stop.wait(_LOOK)

    def _look(self, pending: dict[str, _Pending]) -> None:
        """Add the files that are new or replaced; folders in which nothing changed are not listed again."""
        now = time.monotonic()
        if not self._path.is_dir():
            self._changed.clear()
            raise SourceLost(f"{self._path}: the folder is not there")
        folders = [str(self._path), *(known for known in self._changed if known != str(self._path))]
        for folder in folders:
            try:
                modified = os.stat(folder).st_mtime_ns
                seen, at = self._changed.get(folder, (None, now))
                if modified != seen:
                    at = now
                elif now - at > _SETTLED:
                    continue
                self._changed[folder] = (modified, at)
                folders += self._list(folder, pending, now)
            except OSError:  # it went while we looked
                self._changed.pop(folder, None)
                self._done.pop(folder, None)

    def _list(self, folder: str, pending: dict[str, _Pending], now: float) -> list[str]:
        """Look through one folder; returns the subfolders that were not known."""
        done = self._done.setdefault(folder, {})
        kept: dict[str, _Signature] = {}
        new_folders = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.path not in self._changed:
                        new_folders.append(entry.path)
                elif is_image_name(Path(entry.name)) and entry.is_file():
                    with suppress(OSError):
                        signature = _signature(entry.path)
                        if done.get(entry.name) == signature:
                            kept[entry.name] = signature
                        elif entry.path not in pending:
                            pending[entry.path] = _Pending(signature, now)
        self._done[folder] = kept
        return new_folders

    def _if_whole(self, file: str, pending: dict[str, _Pending]) -> Picture | None:
        """The picture of a pending file that is whole or will not become so; it is then no longer pending."""
        entry, now = pending[file], time.monotonic()
        try:
            signature = _signature(file)
        except OSError:  # taken away again
            del pending[file]
            return None
        if signature != entry.signature:
            entry.signature, entry.since = signature, now
            return None
        if now - entry.since < _LOOK and not self._old(signature):
            return None
        if now - entry.tried < _TRIED_EVERY:
            return None
        entry.tried = now
        picture = self._read(file)
        if picture.problem and now - entry.since < _PATIENCE and not self._old(signature):
            return None
        del pending[file]
        self._done.setdefault(os.path.dirname(file), {})[os.path.basename(file)] = signature
        return picture

    def _read(self, file: str) -> Picture:
        arrived = time.monotonic()
        try:
            data = image_bytes(Path(file))
        except ImageError as error:
            return Picture(None, arrived, where=file, problem=str(error))
        return decoded(data, self._draft, arrived, file, file)

    def _old(self, signature: _Signature) -> bool:
        """Whether a file was last changed so long ago that it is not on its way. A clock that was set back says no."""
        return time.time() - signature[1] / 1e9 > _PATIENCE


def _signature(file: str) -> _Signature:
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns, status.st_ino
