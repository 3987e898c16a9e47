"""Processes that share a fit: the bundle of one to the byte, and a clean end where one of them ends early."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import shared_exports
from panda_train.adapt.distributed import Workers

PROGRAM = Path(shared_exports.__file__)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without torch.distributed"),
]


def under_torchrun(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", PROGRAM]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, timeout=900, check=False
    )


@pytest.fixture(scope="module")
def images(normal_images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 23 pictures, of which the tenth cannot be read; the others are 12, some of them twice."""
    folder = tmp_path_factory.mktemp("images")
    paths = [normal_images[number % len(normal_images)] for number in range(22)]
    broken = folder / "broken.png"
    broken.write_bytes(b"not a picture")
    paths.insert(9, broken)
    listed = folder / "images.json"
    listed.write_text(json.dumps([str(path) for path in paths]))
    return listed


def test_two_processes_write_the_bundle_of_one(images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = under_torchrun(tmp_path / "two", images)
    assert done.returncode == 0, done.stderr
    shared_exports.export_all(tmp_path / "one", [Path(path) for path in json.loads(images.read_text())], Workers())
    assert "broken.png" in done.stderr
    for name in shared_exports.EXPORTS:
        one, two = (
            {p.relative_to(f).as_posix(): p.read_bytes() for p in f.rglob("*") if p.is_file()}
            for f in (tmp_path / "one" / f"{name}.panda", tmp_path / "two" / f"{name}.panda")
        )
        assert sorted(one) == sorted(two)
        assert [file for file in one if one[file] != two[file]] == [], name


@pytest.mark.parametrize(
    ("how", "line"),
    [("killed", "error: another of the 2 processes has ended"), ("failed", "error: the second process found a fault")],
)
def test_a_process_that_ends_early_ends_the_other_with_one_line(
    how: str, line: str, images: Path, tmp_path: Path
) -> None:
    done = under_torchrun(tmp_path / "two", images, how)
    assert done.returncode != 0
    said = [part for part in done.stderr.splitlines() if part.startswith("error: ")]
    assert len(said) == 1, done.stderr
    assert said[0].startswith(line)
    assert "/panda_" not in done.stderr  # nor a traceback of ours beside the one of torchrun
    assert list((tmp_path / "two").iterdir()) == []
