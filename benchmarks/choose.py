"""How good `panda-train choose` chooses: `python -m benchmarks.choose NAME DATA [LOOK…]`, rows of every candidate.

Every candidate is fitted to the normal pictures and judged twice through the device's own search: on the labelled test
pictures, and on held-out normal pictures with painted defects. Rows are kept in `benchmarks/results/choose.json`, so
that a run takes up where it stopped; `python -m benchmarks.choose table` writes `choose.md` beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.results_file import ResultsFile
from benchmarks.subject import say
from panda_train import backbones
from panda_train.choose.candidates import candidates, looks
from panda_train.choose.judge import figures
from panda_train.choose.pictures import judged
from panda_train.choose.trial import OpenLook, Shown
from panda_train.data.folders import Dataset, open_dataset, read_mask
from panda_train.data.held_out import split_normal

FPR = 0.05
_FITTED, _PAINTED = 400, 140  # normal pictures of a bank; painted ones
_MOST_TESTED = 300  # test pictures, spread evenly over all
_BANK_MB = 100.0


def measure(name: str, data: Path, wanted: list[str]) -> None:
    """Fill the rows of one data set that are not there yet."""
    rows = ResultsFile("choose")
    dataset = open_dataset(data)
    kept, held_out = split_normal(dataset.train)
    painted = judged(held_out, None, _PAINTED, seed=0)
    size = painted.normal[0].picture.shape[1::-1]  # type: ignore[union-attr]
    backbone = backbones.load(backbones.DEFAULT, None)
    for look in looks(None, size):
        todo = [c for c in candidates([look], _BANK_MB) if not rows.get(f"{name}: {c.name}")]
        if not todo or (wanted and look.name not in wanted):
            continue
        with OpenLook(look, backbone, kept) as opened:
            for candidate in todo:
                shown = [*painted.normal, *painted.painted, *_tested(dataset)]
                tried = opened.try_out(candidate, _FITTED, shown)
                own = len(painted.normal) + len(painted.painted)
                real, by_family = figures(tried.seen[own:], FPR), figures(tried.seen[:own], FPR)
                rows.update(
                    f"{name}: {candidate.name}",
                    real=real["all"].plain(),
                    painted={family: found.plain() for family, found in by_family.items()},
                    ms=round(tried.ms, 1),
                    megabytes=round(tried.megabytes, 1),
                    normal=[len(painted.normal), sum(one.kind is None for one in tried.seen[own:])],
                )
                say(f"{name}: {candidate.name}: {real['all'].plain()} {by_family['all'].plain()} {tried.ms:.0f} ms")


def _tested(dataset: Dataset) -> Iterator[Shown]:
    numbers = np.unique(np.linspace(0, len(dataset.test) - 1, _MOST_TESTED).astype(int))
    for number in numbers:
        sample = dataset.test[number]
        mask = None if sample.mask is None else read_mask(sample.mask)
        yield Shown(sample.path, sample.kind if sample.anomalous else None, mask)


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
