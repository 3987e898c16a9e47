"""How well few normal pictures do: `python -m benchmarks.studies.few_pictures DATA WORK [SET…]`.

DATA holds the sets, in MVTec layout. Of each set 1 to 32 normal pictures are drawn, five times each (seeds 0 to 4), out
of 48 that are drawn once. Whole pictures at 224 × 224, EfficientNet-Lite0. Three ways to fit: the default, the default
with `--augment auto`, and PatchCore 10 % on the same features (`--bank coreset --vectors` a tenth of the descriptors).
Test pictures: at most 40, half of them normal, drawn once. Rows go to `WORK/SET.jsonl` as they come; what is there is
not measured again. At the end rows and table are written beside this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.lib.conditions import measured
from benchmarks.studies.few_pictures.table import written
from benchmarks.studies.few_pictures.trial import KINDS, Bench
from panda_train.data.folders import Dataset, Sample, open_dataset

T = TypeVar("T")

SETS = ("metal-nut", "cookies", "pcb-44000", "kolektor", "tile")
COUNTS = (1, 2, 4, 8, 16, 32)
DRAWS = 5
_POOL, _TEST, _SEED = 48, 40, 0


def main(data: Path, work: Path, names: Sequence[str]) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for name in names:
        _measure(name, open_dataset(data / name), work / f"{name}.jsonl")
    rows = [row for name in SETS for row in _rows(work / f"{name}.jsonl")]
    written(rows, SETS, Path(__file__).parent)


def _measure(name: str, dataset: Dataset, file: Path) -> None:
    pool = _drawn(dataset.train, _POOL, _SEED)
    bench = Bench(_test_pictures(dataset))
    done = {(row["kind"], row["pictures"], row["draw"]) for row in _rows(file)}
    for draw in range(DRAWS):
        for count in COUNTS:
            images = _drawn(pool, count, draw)
            if len(images) < count:
                continue
            for kind in KINDS:
                if (kind.name, count, draw) in done:
                    continue
                row = {"set": name, "kind": kind.name, "pictures": count, "draw": draw, **bench.row(kind, images, draw)}
                row["measured"] = measured()
                with file.open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
                print(row, file=sys.stderr)


def _rows(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _test_pictures(dataset: Dataset) -> list[Sample]:
    normal = [sample for sample in dataset.test if not sample.anomalous]
    odd = [sample for sample in dataset.test if sample.anomalous]
    return [*_drawn(normal, _TEST // 2, _SEED), *_drawn(odd, _TEST // 2, _SEED)]


def _drawn(of: Iterable[T], count: int, seed: int) -> list[T]:
    every = list(of)
    return [every[i] for i in sorted(np.random.default_rng(seed).permutation(len(every))[:count])]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or SETS)
