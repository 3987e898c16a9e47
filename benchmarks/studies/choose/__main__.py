"""How good `panda-train choose` chooses: `python -m benchmarks.studies.choose NAME DATA [LOOK…]`.

Of class folders NAME is `<name>-<class>`, and the class is the normal one.

A row a candidate, which is fitted to the normal pictures and judged through the device's own search: on the labelled
test pictures, and on held-out normal pictures with painted defects, as `choose` does when nothing is said of sizes
(`painted`) and when it is told that they span between a quarter of a picture and nearly all of it (`large`). Rows are
kept in `benchmarks/studies/choose/results.json`, so that a run takes up where it stopped; `python -m
benchmarks.studies.choose table` writes `README.md` beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.lib import tables
from benchmarks.lib.results_file import FOLDER, ResultsFile
from benchmarks.lib.subject import say
from panda_edge import kernel
from panda_edge.bundle.model import default_threads
from panda_export.features import torch_features
from panda_export.graph import DeviceGraph, ExportableBackbone
from panda_train import backbones
from panda_train.adapt.whitening import RIDGES, before_whitening, whiten
from panda_train.choosing.candidates import candidates, looks
from panda_train.choosing.halving import DOUBT
from panda_train.choosing.judge import Figures, are_lost, best_rule, figures
from panda_train.choosing.pictures import judged
from panda_train.choosing.trial import OpenLook, Shown
from panda_train.data.folders import Dataset, Sample, open_dataset
from panda_train.data.held_out import split_normal
from panda_train.data.mask_pixels import read_masks
from panda_train.evaluation import metrics

FPR = 0.05
_FITTED, _PAINTED = 400, 140  # normal pictures of a bank; painted ones
_MOST_TESTED = 300  # test pictures, spread evenly over all
_BANK_MB = 100.0
_USUAL = "224²: exact"
ROOTED = "rooted embeddings"


def measure(name: str, data: Path, wanted: list[str]) -> None:
    """Fill the rows of one data set that are not there yet."""
    rows = ResultsFile("studies/choose/results")
    dataset = open_dataset(data, name.rpartition("-")[2] if not (data / "train" / "good").is_dir() else None)
    kept, held_out = split_normal(dataset.train)
    painted = judged(held_out, None, _PAINTED, seed=0)
    size, short = painted.size, min(painted.size)
    large = judged(held_out, short / 4, _PAINTED, seed=0, largest_defect=short)
    backbone = backbones.load(backbones.DEFAULT, None)
    for look in looks(None, size):
        todo = [c for c in candidates([look], _BANK_MB) if "large" not in (rows.get(f"{name}: {c.name}") or {})]
        rooted = dataset.layout == "classes" and look.usual and not rows.get(f"{name}: {ROOTED}")
        if not (todo or rooted) or (wanted and look.name not in wanted):
            continue
        with OpenLook(look, backbone, kept) as opened:
            if rooted:
                rows.update(f"{name}: {ROOTED}", image=round(by_rooted_embeddings(backbone, opened, kept, dataset), 4))
            for candidate in todo:
                parts = [painted.normal, painted.painted, large.painted]
                key, counts = f"{name}: {candidate.name}", [len(part) for part in parts]
                if rows.get(key):  # before large ones were painted
                    tried = opened.try_out(candidate, _FITTED, [*parts[0], *parts[2]])
                    rows.update(key, large=_plain(figures(tried.seen, FPR)))
                    continue
                tried = opened.try_out(
                    candidate, _FITTED, [one for part in parts for one in part] + [*_tested(dataset)]
                )
                normal, end, own = counts[0], counts[0] + counts[1], sum(counts)
                real = figures(tried.seen[own:], FPR)
                rows.update(
                    key,
                    real=real["all"].plain(),
                    painted=_plain(figures(tried.seen[:end], FPR)),
                    large=_plain(figures(tried.seen[:normal] + tried.seen[end:own], FPR)),
                    ms=round(tried.ms, 1),
                    megabytes=round(tried.megabytes, 1),
                    normal=[normal, sum(one.kind is None for one in tried.seen[own:])],
                )
                say(f"{key}: {real['all'].plain()} {tried.ms:.0f} ms")


def by_rooted_embeddings(
    backbone: ExportableBackbone, opened: OpenLook, kept: Sequence[Path], dataset: Dataset
) -> float:
    """Image AUROC of what `choose` asks of `fit` where painted defects are lost: `--score embedding --embedding
    rooted`. Fitted to as many pictures as the candidates, and judged on the same ones."""

    run = torch_features(DeviceGraph(backbone), "cpu")

    def rooted(paths: Sequence[Path]) -> np.ndarray:
        frames = [opened.preprocessing.apply(path).copy() for path in paths]
        found = [run(frame[None]).embedding for frame in frames]
        return before_whitening(torch.from_numpy(np.concatenate(found)), "rooted").numpy()

    tested = list(_tested(dataset))
    fitted = rooted([kept[number] for number in np.unique(np.linspace(0, len(kept) - 1, _FITTED).astype(int))])
    whitening = whiten(fitted, RIDGES["rooted"])
    bank, queries = (
        (found - whitening.mean) @ whitening.matrix
        for found in (fitted, rooted([Path(str(one.picture)) for one in tested]))
    )
    squared, _ = kernel.topk(queries, np.ascontiguousarray(bank), 2, default_threads())
    return metrics.auroc(squared.mean(axis=1), np.array([one.kind is not None for one in tested])) or 0.0


def _plain(by_family: Mapping[str, Figures]) -> dict[str, Any]:
    return {family: found.plain() for family, found in by_family.items()}


def _tested(dataset: Dataset) -> Iterator[Shown]:
    """Spread over all; of class folders, where few are normal, as many normal ones as others."""
    if dataset.layout == "classes":
        parts = [[one for one in dataset.test if one.anomalous == anomalous] for anomalous in (False, True)]
        tested = [one for part in parts for one in _spread(part, _MOST_TESTED // 2)]
    else:
        tested = _spread(dataset.test, _MOST_TESTED)
    for sample in tested:
        mask = read_masks(sample.masks) if sample.masks else None
        yield Shown(sample.path, sample.kind if sample.anomalous else None, mask)


def _spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    return [samples[number] for number in np.unique(np.linspace(0, len(samples) - 1, most).astype(int))]


def regret(
    rows: Mapping[str, dict[str, Any]],
    only: str | None = None,
    sizes: str = "painted",
    rooted: float | None = None,
) -> dict[str, Any]:
    """What choosing by painted defects costs. rows: candidate → its row; only: a family, None for the mean over all;
    sizes: `painted` or `large`; rooted: see `by_rooted_embeddings`.

    chosen, best: candidates by painted defects and by real labels, compared as `choose` does. image, pixel: how much
    AUROC the best candidate of each figure has before the chosen one; pixel is None where no true pixels are known.
    rank: Spearman's correlation over candidates.
    """
    painted = {name: _score(_families(row[sizes], only), (row["normal"][0], _PAINTED)) for name, row in rows.items()}
    real = {name: _score([row["real"]]) for name, row in rows.items()}
    chosen = max(painted, key=lambda name: painted[name][0] + (DOUBT if name == _USUAL else 0.0))
    best = max(real, key=lambda name: real[name][0])
    rule = painted[chosen][1]
    names = list(rows)
    pixel = [row["real"]["pixel"] for row in rows.values()]
    image = rows[chosen]["real"]["image"][rule]
    if rooted is not None and _lost(_families(rows[chosen][sizes], only), rows[chosen]["normal"][0]):
        image = rooted
    return {
        "chosen": chosen,
        "best": best,
        "rule": rule,
        "image": max(0.0, max(max(row["real"]["image"].values()) for row in rows.values()) - image),
        "pixel": None if None in pixel else max(pixel) - rows[chosen]["real"]["pixel"],
        "rank": float(stats.spearmanr([painted[n][0] for n in names], [real[n][0] for n in names]).statistic),
    }


def _families(painted: dict[str, Any], only: str | None) -> list[dict[str, Any]]:
    return [found for family, found in painted.items() if family == only or (only is None and family != "all")]


def _score(found: list[dict[str, Any]], counts: tuple[int, int] | None = None) -> tuple[float, str]:
    """Mean of image and pixel AUROC over kinds of defects (image AUROC alone where no pixels are known), and the score
    rule that found most. counts: normal and painted pictures, by which `choose` asks whether it found anything."""
    image = {rule: float(np.mean([one["image"][rule] for one in found])) for rule in found[0]["image"]}
    rule = max(image, key=lambda name: image[name]) if counts is None else best_rule(image, *counts)
    pixel, most = [one["pixel"] for one in found], max(image.values())
    return most if None in pixel else (most + float(np.mean(pixel))) / 2, rule


def _lost(found: list[dict[str, Any]], normal: int) -> bool:
    """Whether `choose` asks for embeddings, as it finds nothing."""
    image = {rule: float(np.mean([one["image"][rule] for one in found])) for rule in found[0]["image"]}
    return are_lost(image, normal, _PAINTED)


def write(rows: ResultsFile, file: Path) -> None:
    """Regret and rank correlation of every data set, by all families together and by each alone."""
    lines = []
    for name in dict.fromkeys(key.partition(":")[0] for key in rows.names()):
        own = {key.partition(": ")[2]: rows.get(key) for key in rows.names() if key.startswith(f"{name}: ")}
        rooted = own.pop(ROOTED, {}).get("image")
        kinds = [kind for kind in next(iter(own.values()))["painted"] if kind != "all"]
        for sizes, family in (("painted", None), ("large", None), *(("painted", kind) for kind in kinds)):
            if any(sizes not in row for row in own.values()):
                continue
            found = regret(own, family, sizes, rooted)
            shown = ["–" if found[key] is None else f"{found[key]:.3f}" for key in ("image", "pixel", "rank")]
            said = family or ("all, large" if sizes == "large" else "all")
            lines.append([name, said, str(len(own)), found["chosen"], found["rule"], found["best"], *shown])
    header = ("", "painted", "candidates", "chosen", "by", "best", "image regret", "pixel regret", "rank correlation")
    text = (
        "`python -m benchmarks.studies.choose NAME DATA`, `python -m benchmarks.studies.choose table`: no time limit. "
        "*Large*: told that defects span between a quarter of a picture and nearly all of it (`--smallest-defect`, "
        "`--largest-defect`). Where painted defects are lost, the figure is that of rooted embeddings, which the "
        "command then asks for."
    )
    file.write_text(f"# What choosing costs\n\n{text}\n\n{tables.table(header, lines)}\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        write(ResultsFile("studies/choose/results"), FOLDER / "studies/choose/README.md")
    else:
        measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
