"""Pictures from a folder that is being filled: each file once, when it is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from panda_edge.errors import ImageError
from panda_edge.images.listing import Entries, LeftOut, identity, look_into, natural_key, reason
from panda_edge.images.reading import Decode, image_bytes
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.sources.encoded import decoded

_LOOK = 0.2  # seconds between two looks
_SETTLED = 3.0  # seconds that a folder is listed on after it last changed: a file system's times may be coarse
_TRIED_EVERY = 1.0  # seconds between two tries to decode a file that may still be on its way
_NEVER = -1  # no folder was changed then: it is listed at the next look
_MOST_SUFFIXES = 100
_PATIENCE = 30.0  # seconds after which a file that still cannot be decoded is no longer thought to be on its way

_Signature = tuple[int, int, int]  # size, time of change, inode: of a file that was not touched in between


@dataclass
class _Pending:
    signature: _Signature
    since: float
    tried: float = 0.0


class FolderSource:
    """The pictures of a folder and of those below it, as `list_pictures` finds them; then those that come.

    A file is whole when two looks found it unchanged and it decodes; one that does not decode is waited for up to 30
    seconds after its last change, then given as a picture with a problem. A name counts again when the file is
    replaced. Memory holds the names that are in the folder.
    """

    live = False

    def __init__(self, path: Path, once: bool, decode: Decode, new_only: bool = False) -> None:
        """once: end when what is there has been given. new_only: pass over what is there at the first look."""
        self.name = str(path)
        self.endless = not once
        self.tell: Callable[[str], None] = lambda text: None
        """Is told, once, what is passed over."""
        self._path = path
        self._decode = decode
        self._pass_over = new_only
        self._looked = False
        self._done: dict[str, dict[str, _Signature]] = {}  # of each folder, its files that were given
        self._changed: dict[str, tuple[int, float]] = {}  # of each folder, its time of change and when that was seen
        self._real: dict[tuple[int, int], str] = {}  # folders by what tells them from others: links go in circles
        self._suffixes: set[str] = set()  # of files that are no pictures, those that were told of
        self._unreadable: dict[str, set[str]] = {}  # of each folder, what in it was told of

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
                    del picture  # a large one must be gone before the next is decoded
            if not pending and not self.endless:
                return
            stop.wait(_LOOK)

    def _look(self, pending: dict[str, _Pending]) -> None:
        """Add the files that are new or replaced; folders in which nothing changed are not listed again."""
        now, root = time.monotonic(), str(self._path)
        left_out = LeftOut()
        if not os.path.isdir(root):
            self._changed.clear()
            self._real.clear()
            raise SourceLost(f"{self._path}: the folder is not there")
        folders, links = [root, *(known for known in self._changed if known != root)], list[str]()
        while folders or links:
            folder = folders.pop(0) if folders else links.pop(0)
            try:
                status = os.stat(folder)
                seen, at = self._changed.get(folder, (None, now))
                if not self._is_first_of(status, folder):
                    continue
                if status.st_mtime_ns != seen:
                    at = now
                elif now - at > _SETTLED:
                    continue
                entries = look_into(folder, root=folder == root)
            except (FileNotFoundError, NotADirectoryError):  # it went while we looked
                for memory in (self._changed, self._done, self._unreadable):
                    memory.pop(folder, None)
                continue
            except OSError as error:  # a drive that may come back: what was given stays known
                self._changed[folder] = (_NEVER, now)
                self._note(folder, {folder: reason(error)})
                continue
            self._changed[folder] = (status.st_mtime_ns, at)
            self._take(folder, entries, pending, now)
            folders += (found for found in entries.folders if found not in self._changed)
            links += (found for found in entries.links if found not in self._changed)
            left_out.add(entries.left_out)
            self._note(folder, entries.left_out.unreadable)
        self._tell_of(left_out)

    def _is_first_of(self, status: os.stat_result, folder: str) -> bool:
        """Whether no other path leads to the same folder, of those that are looked into."""
        key = (status.st_dev, status.st_ino)
        other = self._real.setdefault(key, folder)
        if other == folder:
            return True
        try:
            if identity(other) == key:
                return False
        except OSError:
            pass
        self._real[key] = folder
        return True

    def _tell_of(self, left_out: LeftOut) -> None:
        """Tell of what is no picture, once a suffix."""
        left_out.unreadable.clear()  # told of already
        suffixes = left_out.others.keys() - self._suffixes
        if (suffixes and len(self._suffixes) < _MOST_SUFFIXES) or (not self._looked and left_out.lines()):
            self._suffixes |= suffixes
            for line in left_out.lines():
                self.tell(line)
        self._looked = True

    def _take(self, folder: str, entries: Entries, pending: dict[str, _Pending], now: float) -> None:
        """Look through one folder's pictures: those that were not given yet are pending."""
        done = self._done.get(folder, {})
        kept = {name: done[name] for path in entries.left_out.unreadable if (name := os.path.basename(path)) in done}
        for name in entries.pictures:
            path = os.path.join(folder, name)
            try:
                signature = _signature(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                entries.left_out.unreadable[path] = reason(error)
                if name in done:
                    kept[name] = done[name]
                continue
            if done.get(name) == signature:
                kept[name] = signature
            elif path not in pending:
                pending[path] = _Pending(signature, now)
        self._done[folder] = kept

    def _note(self, folder: str, unreadable: dict[str, str]) -> None:
        """Tell of what cannot be read in a folder, once as long as it is so."""
        told = self._unreadable.get(folder, set())
        for path, why in unreadable.items():
            if path not in told:
                self.tell(f"passed over, cannot be read: {path} ({why})")
        self._unreadable[folder] = set(unreadable)

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
        return decoded(data, self._decode, arrived, file, file)

    def _old(self, signature: _Signature) -> bool:
        """Whether a file was last changed so long ago that it is not on its way. A clock that was set back says no."""
        return time.time() - signature[1] / 1e9 > _PATIENCE


def _signature(file: str) -> _Signature:
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns, status.st_ino
