"""What a device asks of the workstation: labelled pictures and a wish, in one zip file."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from panda_edge.bundle.fields import rows, table, text
from panda_edge.bundle.sealed_json import parsed
from panda_edge.errors import PandaError
from panda_edge.images.labelled import DEFECT, LABEL_FOLDERS, NORMAL, labelled_pictures
from panda_edge.whole_file import whole_file

_ABOUT = "request.json"
_MOST_FILES, _MOST_BYTES, _MOST_ABOUT = 10_000, 8_000_000_000, 4_000_000


@dataclass(frozen=True)
class Request:
    """bundle: the name and identity of the bundle at work there. normal: pictures that are to join it. labelled: by
    kind, `normal` (not to join) and `defects`. who: asked for it."""

    bundle: str
    identity: str
    who: str
    normal: tuple[Path, ...]
    labelled: dict[str, Sequence[Path]]


@dataclass(frozen=True)
class _About:
    bundle: str
    identity: str
    who: str
    add: tuple[str, ...]


_read = table(_About, bundle=text(), identity=text(), who=text(), add=rows(text()))


def write_request(path: Path, about: Mapping[str, Any], pictures: Mapping[str, Sequence[Path]]) -> None:
    """about: `bundle`, `identity`, `who` and `add`, the names of the pictures that are to join. pictures: by label.
    The file is there whole or not at all. Raises OSError."""
    with whole_file(path, sync=True) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_ABOUT, json.dumps(dict(about), indent=1, ensure_ascii=False))
        for label, paths in pictures.items():
            for one in paths:
                archive.write(one, (LABEL_FOLDERS[label] / one.name).as_posix())


@contextmanager
def opened_request(path: Path) -> Iterator[Request]:
    """What a zip asks for, unpacked while the block runs. Raises PandaError: not one of `write_request`'s, too large,
    or a name in it that leads out of it."""
    with tempfile.TemporaryDirectory(prefix="panda-edge-") as folder:
        root = Path(folder)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(path, archive, root)
                about = _read(parsed(archive.read(_ABOUT).decode(), path), f"{path}: {_ABOUT}")
        except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise PandaError(
                f"{path}: not a request ({error}); expected the zip that a device's page exports"
            ) from error
        found = labelled_pictures(root)
        wanted = {root / LABEL_FOLDERS[NORMAL] / name for name in about.add}
        if missing := wanted - set(found["normal"]):
            raise PandaError(f"{path}: {min(missing).name} is to join and not in it; export the request again")
        rest = [one for one in found["normal"] if one not in wanted]
        joining = tuple(one for one in found["normal"] if one in wanted)
        yield Request(about.bundle, about.identity, about.who, joining, {**found, "normal": rest})


def _unpack(path: Path, archive: zipfile.ZipFile, root: Path) -> None:
    entries = archive.infolist()
    if len(entries) > _MOST_FILES or sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise PandaError(f"{path}: more than {_MOST_FILES} files or {_MOST_BYTES / 1e9:g} GB; export fewer pictures")
    folders = {folder.as_posix(): folder for folder in (LABEL_FOLDERS[NORMAL], LABEL_FOLDERS[DEFECT])}
    for folder in folders.values():
        (root / folder).mkdir(parents=True, exist_ok=True)
    for entry in entries:
        where = PurePosixPath(entry.filename)
        if entry.filename == _ABOUT:
            if entry.file_size > _MOST_ABOUT:
                raise PandaError(f"{path}: {_ABOUT} has {entry.file_size} bytes; export the request again")
            continue
        into = folders.get(where.parent.as_posix())
        if into is None or where.name in ("", ".", "..") or "\\" in where.name:
            raise PandaError(f"{path}: {entry.filename!r} is no labelled picture; export the request again")
        left = entry.file_size
        with archive.open(entry) as source, (root / into / where.name).open("wb") as target:
            while chunk := source.read(min(io.DEFAULT_BUFFER_SIZE * 16, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise PandaError(f"{path}: {entry.filename!r} is longer than it says; export the request again")
                target.write(chunk)
