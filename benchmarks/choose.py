"""How good `panda-train choose` chooses: `python -m benchmarks.choose NAME DATA [LOOK…]`, rows of every candidate.

Every candidate is fitted to the normal pictures and judged twice through the device's own search: on the labelled test
pictures, and on held-out normal pictures with painted defects. Rows are kept in `benchmarks/results/choose.json`, so
that a run takes up where it stopped; `python -m benchmarks.choose table` writes `choose.md` beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile
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


def regret(rows: Mapping[str, dict[str, Any]], only: str | None = None) -> dict[str, Any]:
    """What choosing by painted defects costs. rows: candidate → its row; only: a family, None for the mean over all.

    chosen, best: candidates by painted defects and by real labels, compared as `choose` does. image, pixel: how much
    AUROC the best candidate of each figure has before the chosen one. rank: Spearman's correlation over candidates.
    """
    painted = {name: _score(_families(row, only)) for name, row in rows.items()}
    real = {name: _score([row["real"]]) for name, row in rows.items()}
    chosen, best = (max(scores, key=lambda name: scores[name][0]) for scores in (painted, real))
    rule = painted[chosen][1]
    names = list(rows)
    return {
        "chosen": chosen,
        "best": best,
        "rule": rule,
        "image": max(max(row["real"]["image"].values()) for row in rows.values()) - rows[chosen]["real"]["image"][rule],
        "pixel": max(row["real"]["pixel"] for row in rows.values()) - rows[chosen]["real"]["pixel"],
        "rank": float(stats.spearmanr([painted[n][0] for n in names], [real[n][0] for n in names]).statistic),
    }


def _families(row: dict[str, Any], only: str | None) -> list[dict[str, Any]]:
    return [found for family, found in row["painted"].items() if family == only or (only is None and family != "all")]


def _score(found: list[dict[str, Any]]) -> tuple[float, str]:
    """Mean of image and pixel AUROC over kinds of defects, and the score rule that found most."""
    image = {rule: float(np.mean([one["image"][rule] for one in found])) for rule in found[0]["image"]}
    rule = max(image, key=lambda name: image[name])
    return (image[rule] + float(np.mean([one["pixel"] for one in found]))) / 2, rule


def write(rows: ResultsFile, file: Path) -> None:
    """Regret and rank correlation of every data set, by all families together and by each alone."""
    lines = []
    for name in dict.fromkeys(key.partition(":")[0] for key in rows.names()):
        own = {key.partition(": ")[2]: rows.get(key) for key in rows.names() if key.startswith(f"{name}: ")}
        for family in (None, *(kind for kind in next(iter(own.values()))["painted"] if kind != "all")):
            found = regret(own, family)
            figures = [f"{found[key]:.3f}" for key in ("image", "pixel", "rank")]
            lines.append(
                [name, family or "all", str(len(own)), found["chosen"], found["rule"], found["best"], *figures]
            )
    header = ("", "painted", "candidates", "chosen", "by", "best", "image regret", "pixel regret", "rank correlation")
    text = "`python -m benchmarks.choose NAME DATA`, `python -m benchmarks.choose table`: no time limit."
    file.write_text(f"# What choosing costs\n\n{text}\n\n{tables.table(header, lines)}\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        write(ResultsFile("choose"), FOLDER / "choose.md")
    else:
        measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
