"""Writing a bundle whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import glob
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from panda_edge.bundle.folder import sha256
from panda_edge.bundle.manifest import MAGIC, MANIFEST_NAME, FileEntry, Manifest
from panda_edge.bundle.sealed_json import read_text
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.bundle.space import NO_ROOM
from panda_edge.errors import BundleError, PandaError
from panda_edge.system import FolderClaim, sync_to_disk
from panda_edge.whole_folder import swap

SUFFIX = ".panda"
_TIME_TO_LOCK = 5.0  # seconds: a younger staging folder may be one that is about to be locked


@contextmanager
def staged_bundle(out: Path) -> Iterator[Path]:
    """A temporary sibling folder of `out`; it becomes `out` when the block ends well, and vanishes when it does not.

    A bundle that stands at `out` stays until the new one is whole, then is replaced. Raises PandaError: before the
    work begins, where `out` is something else or cannot be written; in it, where the disk is full.
    """
    check_target(out)
    out = Path(os.path.realpath(out))  # a link to a bundle stays a link, to the new one
    staging = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out)
        (staging / "bank").mkdir(parents=True)
        claim = FolderClaim(staging)
    except OSError as error:
        raise PandaError(f"{out}: cannot be written ({error.strerror or error}); choose another --out") from error
    try:
        yield staging
        for path in (*staging.rglob("*"), staging):
            sync_to_disk(path)
        _replace(staging, out)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise PandaError(f"{out}: cannot be written ({error.strerror}); make room or choose another --out") from error
    finally:
        claim.release()
        shutil.rmtree(staging, ignore_errors=True)


def check_target(out: Path) -> None:
    """Raise PandaError unless `out` is free, or a bundle that may be replaced."""
    if out.suffix != SUFFIX:
        raise PandaError(f"{out}: a bundle's name ends in {SUFFIX}; give --out NAME{SUFFIX}")
    try:
        exists = out.exists()
    except OSError as error:  # a name that no file system takes, a folder that may not be entered
        raise PandaError(f"{out}: cannot be written ({error.strerror or error}); choose another --out") from error
    if exists and not _is_bundle(out):
        raise PandaError(f"{out}: exists and is not a bundle; move it away or choose another --out")


def file_table(staging: Path) -> dict[str, FileEntry]:
    """Every file below a bundle's folder but the manifest and its signature, with its size and hash."""
    return {name: _entry_of(path) for name, path in _files(staging).items()}


def _files(staging: Path) -> dict[str, Path]:
    unlisted = (MANIFEST_NAME, SIGNATURE_NAME)
    files = sorted(p for p in staging.rglob("*") if p.is_file() and p.name not in unlisted)
    return {p.relative_to(staging).as_posix(): p for p in files}


def _entry_of(path: Path) -> FileEntry:
    return FileEntry(path.stat().st_size, sha256(path))


def write_manifest(staging: Path, manifest: Manifest) -> Manifest:
    """Write manifest.json with the table of the files that are there now; returns what was written."""
    manifest = dataclasses.replace(manifest, files=file_table(staging))
    (staging / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8", newline="\n")
    return manifest


def with_new_files(staging: Path, manifest: Manifest) -> Manifest:
    """The manifest with files that it does not list yet, or no longer stand there; nothing that it lists is read."""
    listed = {name: entry for name, entry in manifest.files.items() if (staging / name).exists()}
    new = {name: _entry_of(path) for name, path in _files(staging).items() if name not in listed}
    return dataclasses.replace(manifest, files=dict(sorted({**listed, **new}.items())))


def _remove_leftovers(out: Path) -> None:
    """Remove what killed processes left beside `out`: staging folders that no living one has locked."""
    for leftover in out.parent.glob(f".{glob.escape(out.name)}.*.part"):
        with suppress(OSError):  # its process may be just finishing
            process = leftover.name.split(".")[-2]
            own = process == str(os.getpid())  # of a dead process with our number
            if not own and time.time() - leftover.stat().st_mtime < _TIME_TO_LOCK:
                continue
            if own or not FolderClaim.is_held(leftover, process):
                shutil.rmtree(leftover, ignore_errors=True)


def _is_bundle(path: Path) -> bool:
    try:
        return MAGIC in read_text(path / MANIFEST_NAME)
    except BundleError:
        return False


def _replace(staging: Path, out: Path) -> None:
    """Put the new folder in the old one's place, so that at every moment a whole bundle stands at `out`."""
    if _renamed(staging, out):
        sync_to_disk(out.parent)
    else:
        swap(out, staging)


def _renamed(staging: Path, out: Path) -> bool:
    """Rename to a free place; False where another bundle stands there, which another process may just have written."""
    if out.exists():
        return False
    try:
        os.rename(staging, out)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
