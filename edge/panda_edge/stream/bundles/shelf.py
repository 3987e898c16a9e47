"""The bundles beside the one at work: the next one, and those before it, so that one can go back."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from threading import RLock
from typing import Any

from panda_edge.bundle.manifest import MANIFEST_NAME, read_manifest
from panda_edge.bundle.sealed_json import parsed, read_text
from panda_edge.errors import BundleError, PandaError
from panda_edge.stream.why import why
from panda_edge.whole_file import whole_file
from panda_edge.whole_folder import remove_folder, swap

SUFFIX = ".bundles"
Stamp = tuple[int, int]
"""What changes when a file or a folder's list of names does: its number and time."""

_KEPT = re.compile(r"(\d{4,9})\.panda")


class Shelf:
    """A folder beside the bundle: `next.panda`, which was tried; `0001.panda` and on, which were at work before, each
    with what became of it in `0001.json`; `undone.panda`. A crash at any moment leaves a whole bundle at work, and the
    one before it on the shelf. Every method may be called by any thread."""

    def __init__(self, bundle: Path, keep: int) -> None:
        """bundle: at work. keep: how many of those before it stay. Nothing is written yet."""
        self.bundle = Path(os.path.realpath(bundle))  # a link to a bundle stays a link
        self.folder = self.bundle.with_name(self.bundle.name.removesuffix(".panda") + SUFFIX)
        self.next = self.folder / "next.panda"
        self._undone = self.folder / "undone.panda"
        self._keep = keep
        self._lock = RLock()
        self._known: tuple[Stamp | None, str] = (None, "")
        self._listed: tuple[Stamp | None, list[dict[str, Any]]] = (None, [])
        self._settle()

    @property
    def writable(self) -> bool:
        """Whether bundles can be kept beside the one at work, and take its place."""
        return os.access(self.bundle.parent, os.W_OK)

    def identity(self) -> str:
        """Of the bundle that stands there now. Raises BundleError."""
        with self._lock:
            stamp = _stamp(self.bundle / MANIFEST_NAME)
            if stamp is None or stamp != self._known[0]:  # browsers ask twice a second
                self._known = stamp, read_manifest(self.bundle).identity
            return self._known[1]

    def prepare(self) -> None:
        """Make the folder, and room for a next bundle in it. Raises PandaError."""
        try:
            self.folder.mkdir(exist_ok=True)
            for left in (self.next, self._undone):
                remove_folder(left)
        except OSError as error:
            raise PandaError(
                f"{self.folder}: no bundle can be kept there ({why(error)}); export a request instead"
            ) from error

    def kept(self) -> list[dict[str, Any]]:
        """What became of the bundles before, the last one first: `number`, and what `apply` was told."""
        with self._lock:
            stamp = _stamp(self.folder)
            if stamp != self._listed[0]:
                self._listed = stamp, [{"number": one, **self._facts(one)} for one in self._numbers()[::-1]]
            return self._listed[1]

    def apply(self, identity: str, facts: dict[str, Any]) -> None:
        """Put the next bundle at work. identity: of the bundle that it was tried against. facts: kept with the bundle
        before. Raises PandaError: there is none, or another one is at work by now."""
        with self._lock:
            if not self.next.is_dir():
                raise PandaError("nothing to apply; try again")
            if self.identity() != identity:
                raise PandaError(f"{self.bundle}: another bundle than the one that was tried against; try again")
            number = max(self._numbers(), default=0) + 1
            try:
                with whole_file(self._about(number), sync=True) as part:
                    part.write_text(json.dumps({**facts, "identity": identity}), "utf-8")
                swap(self.bundle, self.next)
                os.rename(self.next, self._place(number))
            except OSError as error:
                raise PandaError(f"{self.bundle}: cannot be replaced ({why(error)})") from error
            for old in self._numbers()[: -self._keep]:
                self._about(old).unlink(missing_ok=True)
                remove_folder(self._place(old))

    def undo(self) -> dict[str, Any]:
        """Put the bundle before at work again; returns what `apply` was told. Raises PandaError: none is kept."""
        with self._lock:
            numbers = self._numbers()
            if not numbers:
                raise PandaError("nothing to undo: no bundle before this one is kept")
            number, facts = numbers[-1], self._facts(numbers[-1])
            try:
                remove_folder(self._undone)
                swap(self.bundle, self._place(number))
                self._about(number).unlink(missing_ok=True)
                # It stays until the next try: the loop has it open until it has taken up the other.
                os.rename(self._place(number), self._undone)
            except OSError as error:
                raise PandaError(f"{self.bundle}: cannot be replaced ({why(error)})") from error
            return facts

    def _settle(self) -> None:
        """Finish what a crash has interrupted."""
        for number in self._numbers():  # undone, and not yet taken off
            about = self._facts(number).get("identity")
            if about is None or about != _identity(self._place(number)):
                self._about(number).unlink(missing_ok=True)
                remove_folder(self._place(number))
        for file in self.folder.glob("*.json"):
            place = file.with_suffix(".panda")
            if _KEPT.fullmatch(place.name) and not place.exists():
                if _identity(self.next) == self._facts(int(file.stem)).get("identity"):
                    os.rename(self.next, place)  # applied, and not yet numbered
                else:
                    file.unlink()

    def _numbers(self) -> list[int]:
        found = [_KEPT.fullmatch(path.name) for path in self.folder.glob("*.panda")]
        return sorted(int(one[1]) for one in found if one is not None)

    def _facts(self, number: int) -> dict[str, Any]:
        path = self._about(number)
        try:
            facts = parsed(read_text(path), path)
        except BundleError:
            return {}
        return facts if isinstance(facts, dict) else {}

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:04d}.panda"

    def _about(self, number: int) -> Path:
        return self.folder / f"{number:04d}.json"


def _identity(bundle: Path) -> str | None:
    try:
        return read_manifest(bundle).identity
    except BundleError:
        return None


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
