"""The eight sets, large ones evenly thinned: every configuration is fitted to and judged on the same pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.studies.map_steps.settings import Setting, dataset_of
from panda_edge.builder.spread import evenly_spread
from panda_train.data.folders import Dataset, open_dataset

MOST_NORMAL, MOST_TEST = 150, 200


def few_of(setting: Setting, data: Path, work: Path) -> Dataset:
    """The set; where it has more pictures than that, links below `work` to so many, evenly spread over its list."""
    whole = dataset_of(setting, data, work)
    if len(whole.train) <= MOST_NORMAL and len(whole.test) <= MOST_TEST:
        return whole
    root = work / f"{setting.name}-few"
    if not root.exists():
        test = [sample.path for sample in whole.test]
        for path in (*_spread(whole.train, MOST_NORMAL), *_spread(test, MOST_TEST)):
            link = root / path.relative_to(whole.root)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path.resolve(), link)
        if (masks := whole.root / "ground_truth").is_dir():
            os.symlink(masks.resolve(), root / "ground_truth")
    return open_dataset(root, setting.normal)


def _spread(paths: Sequence[Path], most: int) -> list[Path]:
    return [paths[number] for number in evenly_spread(len(paths), most)]
