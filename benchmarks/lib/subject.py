"""What is measured: a data set, and bundles fitted on it.

Real data where PANDA_DATA names a folder that holds `tile` (Magnetic Tile Defects in MVTec layout), otherwise the
pictures that `panda-train sample` makes; every table says which.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from panda_edge.bundle.folder import open_bundle
from panda_edge.errors import BundleError
from panda_train.data.folders import Dataset, open_dataset
from panda_train.data.sample import make_sample

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / "build" / "benchmarks"  # bundles and made data: nothing that is worth keeping


@dataclass(frozen=True)
class Subject:
    """name: `tile` or `sample`; root: the data set's folder."""

    name: str
    root: Path

    @cached_property
    def dataset(self) -> Dataset:
        return open_dataset(self.root)

    @property
    def in_words(self) -> str:
        sizes = f"{len(self.dataset.train)} normal images, {len(self.dataset.test)} test images"
        if self.name == "sample":
            return f"the pictures that `panda-train sample` makes ({sizes}); real data was not given (PANDA_DATA)"
        return f"Magnetic Tile Defects ({sizes})"

    def images(self, count: int) -> list[Path]:
        """Test images spread evenly over all kinds, in an order that mixes them."""
        paths = [sample.path for sample in self.dataset.test]
        mixed = sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())
        return [mixed[i % len(mixed)] for i in range(count)]

    def bundle(self, args: Sequence[str], fresh: bool = False) -> Path:
        """The bundle of `panda-train fit DATA ARGS`, fitted unless an earlier run left a readable one."""
        name = "-".join(arg.strip("-") for arg in args) or "default"
        path = CACHE / self.name / f"{name}.panda"
        if not fresh and _readable(path):
            return path
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        fit = [sys.executable, "-m", "panda_train", "fit", str(self.root), "--out", str(path), "--device", "cpu"]
        done = subprocess.run([*fit, *args], capture_output=True, text=True, check=False)
        if done.returncode:
            raise FitError(" ".join(done.stderr.split())[-300:])
        return path


class FitError(Exception):
    """`panda-train fit` did not take these options, or failed."""


def open_subject() -> Subject:
    """The data that the environment gives."""
    given = os.environ.get("PANDA_DATA")
    if given and (Path(given) / "tile" / "train" / "good").is_dir():
        return Subject("tile", Path(given).resolve() / "tile")
    root = CACHE / "sample-data"
    if not (root / "train" / "good").is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        make_sample(root)
    return Subject("sample", root)


def say(message: str) -> None:
    """A line of progress, with the time of day, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def _readable(bundle: Path) -> bool:
    try:
        open_bundle(bundle)
    except BundleError:
        return False
    return True
