"""What a larger input buys, on the eight sets: `python -m benchmarks.studies.input_size DATA WORK`.

Everything but the input's size is `panda-train fit`'s default. The 224 column is `benchmarks.peers.eight_sets`', which
must have been run. Rows go into `results.json` beside this file, so that a run takes up where it stopped; the table is
written to `README.md`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.lib import tables
from benchmarks.lib.commands import run_json
from benchmarks.lib.conditions import conditions, in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.map_steps.settings import WHOLE, Setting, dataset_of
from panda_edge.bundle.model import default_threads

HERE = Path(__file__).parent
SIZE = "320"
_OWN_SHAPE = {"kolektor": "512x192"}  # as many pixels in the shape that `fit` gives to its long pictures
FPR = 0.05
FIGURES = ("image", "pixel", "pro")


def measure(setting: Setting, data: Path, work: Path) -> dict[str, Any]:
    """One row: the figures of a bundle fitted at the larger input."""
    dataset = dataset_of(setting, data, work)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "x.panda"
        size = _OWN_SHAPE.get(setting.name, SIZE)
        run_json(["fit", str(dataset.root), "--out", str(bundle), "--input-size", size])
        found = run_json(["evaluate", str(bundle), str(dataset.root), "--fpr", str(FPR)])
    row = {"image": found["image_auroc"]}
    if setting.masks:
        row |= {"pixel": found["pixel_auroc"], "pro": found["pro"]}
    return {name: round(value, 4) for name, value in row.items()}


def gains(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """By how much each figure is higher at the larger input."""
    return {name: large[name] - small[name] for name in FIGURES if large.get(name) is not None}


def write(rows: ResultsFile, defaults: ResultsFile) -> None:
    """The table of what is measured, and what it says."""
    pairs = {
        setting.name: (defaults.get(f"{setting.name}: default"), rows.get(setting.name))
        for setting in WHOLE
        if rows.get(setting.name)
    }
    gained = [gains(*pair) for pair in pairs.values()]
    of = {name: [row[name] for row in gained if name in row] for name in FIGURES}
    lines = [[name, _triple(small), _triple(large)] for name, (small, large) in pairs.items()]
    lines.append(["mean gain", "", " / ".join(f"{mean(of[name]):+.3f}" for name in FIGURES)])
    lines.append(["worst", "", " / ".join(f"{min(of[name]):+.3f}" for name in FIGURES)])
    page = [
        "# What a larger input buys",
        "`python -m benchmarks.studies.input_size DATA WORK`. Image AUROC / pixel AUROC / PRO; all else is the "
        f"default. 320 × 320 has 2.04 times the pixels of 224 × 224. {in_words(rows.get('conditions'))}",
        tables.table(("set", "224", SIZE), lines),
    ]
    (HERE / "README.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")


def _triple(row: dict[str, Any]) -> str:
    return " / ".join(tables.number(row[name], 3) for name in FIGURES if row.get(name) is not None)


def main() -> None:
    data, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    rows, defaults = ResultsFile("results", HERE), ResultsFile("peers/results/eight_sets")
    if not rows.get("conditions"):
        rows.update("conditions", **conditions(default_threads()))
    for setting in WHOLE:
        if not rows.get(setting.name):
            rows.update(setting.name, **measure(setting, data, work))
            say(f"{setting.name} {rows.get(setting.name)}")
        write(rows, defaults)


if __name__ == "__main__":
    main()
