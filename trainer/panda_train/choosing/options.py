"""What `panda-train choose` is asked for, and what can be refused of it before torch is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import DataError, PandaError
from panda_train import backbones
from panda_train.choosing.device_speed import read_speed
from panda_train.data.folders import open_dataset

CHART_SUFFIXES = (".png", ".svg")
LEAST = 12  # normal pictures: 8 for a bank, 4 to judge by


@dataclass(frozen=True)
class ChooseOptions:
    """ms: most milliseconds of a picture on the device. bank_mb: most megabytes of the bank; None for as many as it
    needs, as `fit` does. device_speed: what `panda-edge bench --json` printed there; None where this machine is the
    device. smallest_defect, largest_defect: in pixels of the pictures. fpr: false-alarm rate at which finds are
    counted. state: file to go on from, or None. also: networks that are tried beside `backbone`."""

    ms: float = 30.0
    bank_mb: float | None = None
    device_speed: Path | None = None
    smallest_defect: float | None = None
    fpr: float = DEFAULT_FPR
    normal: str | None = None
    backbone: str = backbones.DEFAULT
    weights: Path | None = None
    seed: int = 0
    state: Path | None = None
    largest_defect: float | None = None
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("--ms", self.ms), ("--bank-mb", self.bank_mb)):
            if value is not None and not value > 0:
                raise PandaError(f"{name} {value:g}: expected a number above 0")
        if not 0 < self.fpr < 1:
            raise PandaError(f"--fpr {self.fpr:g}: expected a false-alarm rate above 0 and below 1")
        smallest = self.smallest_defect
        if smallest is not None and not (math.isfinite(smallest) and smallest > 0):
            raise PandaError(f"--smallest-defect {smallest:g}: expected a number of pixels above 0")
        if self.largest_defect is not None and not self.largest_defect > (smallest or 0):
            least = f"more than --smallest-defect {smallest:g}" if smallest else "above 0"
            raise PandaError(f"--largest-defect {self.largest_defect:g}: expected pixels, {least}")


def check(data: Path, options: ChooseOptions) -> None:
    """Raises PandaError or DataError for a mistake in arguments, paths and data, in a moment."""
    backbones.check(options.backbone, options.weights)
    for name in options.also:
        backbones.check(name)
    if options.device_speed is not None:
        read_speed(options.device_speed)
    check_enough(data, len(open_dataset(data, options.normal).train))


def check_enough(data: Path, pictures: int) -> None:
    """Raises DataError where so many normal pictures are too few to choose by."""
    if pictures < LEAST:
        raise DataError(
            f"{data}: {pictures} normal pictures; choosing needs at least {LEAST}, to fit a bank to some and hold "
            "others out"
        )


def check_chart(path: Path) -> None:
    """Raises PandaError where no picture can be written by that name."""
    if path.suffix not in CHART_SUFFIXES:
        raise PandaError(f"--plot {path}: expected a name that ends in {' or '.join(CHART_SUFFIXES)}")
    if not path.parent.is_dir():
        raise PandaError(f"--plot {path}: there is no folder {path.parent}; make it, or choose another")
