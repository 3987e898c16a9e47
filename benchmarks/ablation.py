"""What descriptor options and image scores do: `python -m benchmarks.ablation NAME DATA EVERY`, a row each.

Fitted on every EVERYth normal image and evaluated on every EVERYth test image, through the device's code. Rows are
kept in `benchmarks/results/ablation.json`, so that a run takes up where it stopped, and shown in `ablation.md` beside
it; nothing is chosen by them.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
from panda_export.options import BankOptions, ExportOptions
from panda_train import backbones
from panda_train.data.folders import open_dataset
from panda_train.evaluate.evaluation import evaluate

CONFIGURATIONS: dict[str, BankOptions] = {
    "gaussian, average 3": BankOptions("gaussian"),
    "gaussian, average 5": BankOptions("gaussian", average=5),
    "SPADE": BankOptions("exact"),
    "SPADE, standardised": BankOptions("exact", standardise=True),
    "gaussian, average 1": BankOptions("gaussian", average=1),
    "SPADE, average 3": BankOptions("exact", average=3),
    "SPADE, standardised, average 3": BankOptions("exact", standardise=True, average=3),
    "SPADE, coarse two levels": BankOptions("exact", level_weights=(1, 1, 0)),
    "gaussian, average 5, standardised": BankOptions("gaussian", average=5, standardise=True),
}
_OVERALL = ("image_auroc", "image_auroc_map", "image_auroc_top1", "pixel_auroc", "pro")
_IN_WORDS = ("embedding", "map maximum", "top 1 % of pixels", "pixel AUROC", "PRO")
_OF_KIND = ("image_auroc_map", "pixel_auroc", "pro")


def measure(name: str, data: Path, every: int, threads: int) -> None:
    """Fill the rows of one data set that are not there yet. every: only each so-many-th image, to save time."""
    rows = ResultsFile("ablation")
    whole = open_dataset(data)
    dataset = dataclasses.replace(whole, train=whole.train[::every], test=whole.test[::every])
    backbone = backbones.load(backbones.DEFAULT, None)
    for configuration, options in CONFIGURATIONS.items():
        key = f"{name}: {configuration}"
        if rows.get(key):
            continue
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "x.panda"
            export_bundle(
                bundle, backbone, dataset.train, Preprocessing(224, 224), ExportOptions({"name": "dn2"}, options)
            )
            found = evaluate(bundle, dataset, threads)
        row = {figure: round(found[figure], 4) for figure in _OVERALL}
        spans = {figure: [round(edge, 3) for edge in found["intervals"][figure]] for figure in _OVERALL}
        kinds = {kind: {figure: round(of[figure], 3) for figure in _OF_KIND} for kind, of in found["kinds"].items()}
        images = {"normal_images": len(dataset.train), "test_images": found["images"]}
        rows.update(key, **row, intervals=spans, kinds=kinds, **images)
        print(key, row, flush=True)
        write(rows, FOLDER / "ablation.md")


def write(rows: ResultsFile, file: Path) -> None:
    """The rows as tables, one set after another."""
    parts = [
        "# Descriptor options and image scores",
        "`python -m benchmarks.ablation tile TILE 1`, `python -m benchmarks.ablation sample SAMPLE 1`; "
        "EfficientNet-Lite0, 224 × 224 squash, DN2 with 2 neighbours, all normal images in the bank (none held out for "
        "calibration), 95 % intervals by bootstrap over images. The first three columns are image AUROC by three "
        "scores.",
    ]
    for name in ("tile", "sample"):
        found = {c: row for c in CONFIGURATIONS if (row := rows.get(f"{name}: {c}"))}
        if not found:
            continue
        overall = [[c, *(_with_interval(row, figure) for figure in _OVERALL)] for c, row in found.items()]
        kinds = list(dict.fromkeys(kind for row in found.values() for kind in row["kinds"]))
        by_kind = [[c, *(_of_kind(row["kinds"][kind]) for kind in kinds)] for c, row in found.items()]
        parts += [
            f"## {name}",
            tables.table(("", *_IN_WORDS), overall),
            "By kind: image AUROC by the map's maximum / pixel AUROC / PRO",
            tables.table(("", *kinds), by_kind),
        ]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _with_interval(row: dict[str, Any], figure: str) -> str:
    low, high = row["intervals"][figure]
    return f"{row[figure]:.3f} ({low:.3f}–{high:.3f})"


def _of_kind(found: dict[str, float]) -> str:
    return " / ".join(f"{found[figure]:.3f}" for figure in _OF_KIND)


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), threads=1)
