"""The sets of the study, each at one input setting, and the bundles that its searches read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from panda_edge.banks.settings import BankSettings, bank_settings
from panda_edge.bundle.folder import Bundle, open_bundle
from panda_edge.errors import BundleError
from panda_train.data.folders import Dataset, open_dataset
from panda_train.data.sample import make_sample
from panda_train.fitting import FitOptions, fit
from panda_train.resolution import Resolution

PLAIN = bank_settings("exact")
_CIFAR_TRAIN, _CIFAR_GOOD, _CIFAR_OTHERS = 300, 100, 200


@dataclass(frozen=True)
class Setting:
    """One set at one input. data: folder below DATA, or `sample` for made pictures. masks: whether there are any."""

    name: str
    data: str
    masks: bool = True
    resolution: Resolution = field(default_factory=Resolution)
    bank: BankSettings = PLAIN
    normal: str | None = None


def _tiles(name: str, data: str, defect: float, **bank: object) -> Setting:
    options = bank_settings("exact", **bank)  # type: ignore[arg-type]
    return Setting(name, data, True, Resolution(smallest_defect=defect), options)


WHOLE = (
    Setting("tile", "tile"),
    Setting("pcb-13000", "pcb-13000"),
    Setting("pcb-44000", "pcb-44000"),
    Setting("sample", "sample"),
    Setting("metal-nut", "metal-nut", False),
    Setting("cookies", "cookies"),
    Setting("kolektor", "kolektor"),
    Setting("solar", "solar", False),
)
CIFAR = (Setting("ship", "cifar10", False, normal="ship"), Setting("cat", "cifar10", False, normal="cat"))
LONG = (Setting("kolektor 352x128", "kolektor", resolution=Resolution(input_size="352x128")),)
_BOARDS = (("pcb-13000", 12.0), ("pcb-44000", 12.0), ("kolektor", 12.0), ("large", 24.0))
TILES = tuple(
    _tiles(f"{data} tiles{suffix}", data, defect, **bank)
    for suffix, bank in (
        ("", {}),
        (" 1,1,1", {"level_weights": (1.0, 1.0, 1.0)}),
        (" plain", {"level_weights": (1.0, 1.0, 1.0), "average": 1}),
    )
    for data, defect in _BOARDS
)
EIGHT = ("tile", "pcb-13000", "pcb-44000", "sample", "metal-nut", "cookies", "kolektor 352x128", "solar")
BOARD_TILES = tuple(f"{data} tiles" for data, _ in _BOARDS)
SETTINGS = {setting.name: setting for setting in (*WHOLE, *CIFAR, *LONG, *TILES)}


def dataset_of(setting: Setting, data: Path, work: Path) -> Dataset:
    """The pictures of a setting; made, or drawn evenly, below `work` where they do not lie in `data` as they are."""
    if setting.data == "sample":
        root = work / "sample"
        if not root.exists():
            make_sample(root)
    elif setting.data == "large":
        root = work / "large"
        if not root.exists():
            make_sample(root, size=1024)
    elif setting.normal is not None:
        root = work / f"cifar-{setting.normal}"
        if not root.exists():
            _draw_cifar(data / setting.data, setting.normal, root)
    else:
        root = data / setting.data
    return open_dataset(root, setting.normal)


def _draw_cifar(source: Path, normal: str, root: Path) -> None:
    every = open_dataset(source, normal)
    good = _evenly([s.path for s in every.test if not s.anomalous], _CIFAR_GOOD)
    others = _evenly([s.path for s in every.test if s.anomalous], _CIFAR_OTHERS)
    for path in (*_evenly(every.train, _CIFAR_TRAIN), *good, *others):
        target = root / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(path.resolve(), target)


def _evenly(paths: Sequence[Path], count: int) -> list[Path]:
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, count).astype(int))]


def bundle_of(setting: Setting, dataset: Dataset, work: Path) -> Bundle:
    """The setting's bundle below `work`, fitted unless it is there."""
    path = work / f"{setting.name.replace(' ', '_').replace(',', '')}.panda"
    try:
        return open_bundle(path)
    except BundleError:
        options = FitOptions(
            resolution=setting.resolution, bank=setting.bank, steps=(), normal=setting.normal, device="cpu"
        )
        fit(dataset.root, path, options)
        return open_bundle(path)
