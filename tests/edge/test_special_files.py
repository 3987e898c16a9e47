"""Pipes, devices, loops and endless files where a bundle's should be: refused in a line, at once, never waited for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import panda_edge
from panda_edge.builder.bundle_writer import check_target
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.regular import open_regular, read_regular
from panda_edge.bundle.sealed_json import read_text
from panda_edge.bundle.signature import SIGNATURE_NAME, read_public_key, read_signature
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import BundleError, PandaError
from panda_edge.stream.sinks.drift import _read as read_drift_state

KINDS: dict[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/ptmx"),
    "loop": lambda path: path.symlink_to(path.name),
    "folder": lambda path: path.mkdir(),
}

# A key's one line, of a key that nobody has.
LINE = "RWQl5b3dq2Y8NrPNajpNXrxwliI/DrlEy6mpueH2Vyi+Rnmrv14vHt9M"


@pytest.fixture(params=KINDS)
def special(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        if path.exists():
            path.unlink()
        KINDS[request.param](path)
        return path

    return make


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda path: open_regular(path).read(1), id="open"),
        pytest.param(lambda path: read_regular(path, 100), id="read"),
    ],
)
def test_it_is_not_opened(special: Callable[[Path], Path], tmp_path: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(OSError):  # noqa: PT011
        read(special(tmp_path / "file"))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (MANIFEST_NAME, lambda path: read_text(path)),
        (MANIFEST_NAME, lambda path: panda_edge.load(path.parent, threads=1)),
        (MANIFEST_NAME, lambda path: panda_edge.load(path.parent, threads=1, require_signature=LINE)),
        (MANIFEST_NAME, lambda path: check_target(path.parent.rename(path.parent.with_suffix(".panda")))),
        (SIGNATURE_NAME, lambda path: read_signature(path.parent)),
        ("key.pub", lambda path: read_public_key(path)),
        ("drift.json", lambda path: read_drift_state(path)),
    ],
)
def test_small_files(special: Callable[[Path], Path], tmp_path: Path, name: str, read: Callable[[Path], Any]) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    with pytest.raises(PandaError) as caught:
        read(special(folder / name))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [MODEL_FILE, "bank/embeddings.npy", "selftest.npz", "calibration.npy"])
def test_files_of_a_bundle(
    special: Callable[[Path], Path], calibrated_bundles: dict[str, Path], tmp_path: Path, name: str, example: Any
) -> None:
    bundle = Path(shutil.copytree(calibrated_bundles["exact"], tmp_path / "x.panda"))
    special(bundle / name)
    with pytest.raises(BundleError, match=name):
        panda_edge.load(bundle, threads=1)
    if name.endswith(".npy"):
        assert f"{name}: cannot be read" in example.refusal(bundle)
    special(bundle / MANIFEST_NAME)
    assert f"{MANIFEST_NAME}: " in example.refusal(bundle)


def test_more_than_a_small_file_is_not_read(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(BundleError, match="too many"):
        read_regular(sparse, 100)
    sparse.write_bytes(b"x" * 100)
    assert len(read_regular(sparse, 100)) == 100


def test_a_keys_line_is_never_a_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "RWQ" + "A" * 53
    assert read_public_key(other).text() == other
    monkeypatch.chdir(tmp_path)
    file = Path(LINE.replace("/", "-"))
    file.write_text(f"untrusted comment: planted\n{other}\n")
    line = file.name.replace("-", "+")  # a line whose characters a file's name may have
    Path(line).write_text(f"untrusted comment: planted\n{other}\n")
    assert read_public_key(line).text() == line
    assert read_public_key(Path(line)).text() == other  # a path is one
    assert read_public_key(f"./{line}").text() == other
