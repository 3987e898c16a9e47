"""What visitors said of pictures: files in a folder a label, as `panda-train evaluate` and `extend` read them.

A picture's label is the folder that its file lies in, so that a crash leaves it with the label before or the new one. A
journal beside the folders remembers the label before, for undo, and who changed it when.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import Any

from panda_edge.bundle.space import NO_ROOM
from panda_edge.errors import PandaError
from panda_edge.images.labelled import JOINED, LABEL_FOLDERS, LABELS, NORMAL
from panda_edge.stream.why import why
from panda_edge.whole_file import remove_parts, whole_file

JOURNAL = "journal.jsonl"
_NAME = re.compile(r"([0-9a-f]{12}-\d{1,15})_[\w.-]*\.\w+")


@dataclass(frozen=True)
class Labelled:
    """A labelled picture. joined: it is in the bundle at work, and its label stays as long."""

    identity: str
    label: str
    file: Path
    joined: bool = False


class Labels:
    """Every method may be called by any thread; one process at a time uses a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises PandaError: it cannot be written."""
        self.folder = folder
        self._lock = RLock()
        self._known: dict[str, Labelled] = {}
        self._before: defaultdict[str, list[str | None]] = defaultdict(list)
        self.changes = 0
        """How often anything changed, so that a browser knows when to look again."""
        with _refused(folder):
            for label, below in (*LABEL_FOLDERS.items(), (NORMAL, JOINED)):
                place = folder / below
                _make(place)
                for file in place.glob("*"):
                    if found := _NAME.fullmatch(file.name):
                        self._known[found[1]] = Labelled(found[1], label, file, below == JOINED)
            for entry in _entries(folder / JOURNAL):
                self._remember(entry)

    def set(self, identity: str, label: str, who: str, picture: tuple[str, bytes] | None) -> str | None:
        """Label a frame; returns the label before. picture: its source's name with a suffix, and its file's content;
        needed the first time. Raises PandaError."""
        if label not in LABELS:
            raise PandaError(f"label {label!r}: expected one of {', '.join(LABELS)}")
        with self._lock:
            before = self._changed(identity, label, picture)
            self._note(identity, before, label, who, undo=False)
            return before

    def undo(self, identity: str, who: str) -> tuple[str | None, str | None]:
        """Take back the last change of a frame's label; returns the label that it had and the one it has now. Raises
        PandaError."""
        with self._lock:
            known = self._known.get(identity)
            if known is None:
                raise PandaError("nothing to undo: this picture has no label")
            past = self._before[identity]
            label = past[-1] if past else None
            self._changed(identity, label, None)
            self._note(identity, known.label, label, who, undo=True)
            return known.label, label

    def of(self, identity: str) -> Labelled | None:
        return self._known.get(identity)

    def all(self, label: str, joined: bool = False) -> list[Labelled]:
        """Those of a label whose files are there, the one that was labelled last first."""
        with self._lock:
            found = [one for one in self._known.values() if one.label == label and one.joined == joined]
        return [one for one in reversed(found) if one.file.is_file()]

    def counts(self) -> dict[str, int]:
        """By label; `joined`: those in the bundle at work."""
        with self._lock:
            found = Counter("joined" if one.joined else one.label for one in self._known.values())
        return {name: found[name] for name in (*LABELS, "joined")}

    def join(self, names: Iterable[str], joined: bool) -> None:
        """Say of pictures labelled normal, by their files' names, that they are in the bundle at work, or no longer."""
        wanted, place = set(names), self.folder / (JOINED if joined else LABEL_FOLDERS[NORMAL])
        with self._lock, _refused(self.folder):
            place.mkdir(parents=True, exist_ok=True)
            for one in list(self._known.values()):
                if one.file.name in wanted and one.label == NORMAL and one.joined != joined:
                    with suppress(FileNotFoundError):
                        os.replace(one.file, place / one.file.name)
                    self._known[one.identity] = replace(one, file=place / one.file.name, joined=joined)
            self.changes += 1

    def _changed(self, identity: str, label: str | None, picture: tuple[str, bytes] | None) -> str | None:
        known = self._known.get(identity)
        if known is not None and known.joined:
            raise PandaError("this picture is in the bundle at work; undo the bundle first")
        with _refused(self.folder):
            if label is not None:
                (self.folder / LABEL_FOLDERS[label]).mkdir(parents=True, exist_ok=True)
            if label is None:
                if known is not None:
                    known.file.unlink(missing_ok=True)
                    del self._known[identity]
            elif known is not None and known.file.is_file():
                file = self.folder / LABEL_FOLDERS[label] / known.file.name
                os.replace(known.file, file)
                self._known[identity] = Labelled(identity, label, file)
            elif picture is None:
                raise PandaError("this picture is no longer kept")
            else:
                file = self.folder / LABEL_FOLDERS[label] / f"{identity}_{picture[0]}"
                remove_parts(file)
                with whole_file(file, sync=True) as part:
                    part.write_bytes(picture[1])
                self._known[identity] = Labelled(identity, label, file)
        self.changes += 1
        return None if known is None else known.label

    def _note(self, identity: str, before: str | None, after: str | None, who: str, undo: bool) -> None:
        entry = {"at": time.time(), "who": who, "id": identity, "before": before, "after": after, "undo": undo}
        self._remember(entry)
        with _refused(self.folder), (self.folder / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _remember(self, entry: dict[str, Any]) -> None:
        past = self._before[str(entry["id"])]
        if not entry["undo"]:
            past.append(entry["before"])
        elif past:
            past.pop()


def _make(folder: Path) -> None:
    """A folder, but where the disk is full: it is made when there is something to put into it. Raises OSError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise


def _entries(journal: Path) -> Iterator[dict[str, Any]]:
    """The journal's lines; one that a crash cut short is passed over."""
    try:
        lines = journal.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and {"id", "before", "undo"} <= entry.keys():
                yield entry


class _refused:
    """The system's errors as ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise PandaError(f"{self._folder}: labels cannot be kept there ({why(error)})") from error
