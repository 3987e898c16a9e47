"""Our banks beside models of two peers on three data sets: `python -m benchmarks.peers.three_sets [--prepare]`.

Needs PANDA_DATA (a folder with `tile`, `pcb-13000` and `pcb-44000` in MVTec's layout) and PANDA_PEERS_VENV (see
benchmarks/peers/make_venv.sh). Fits and accuracies are kept between runs; --prepare stops after these, so that the
timing, which is of all models in turns, can have a quiet machine. Rows go into
`benchmarks/peers/results/three_sets.json`; the table into `three_sets.md` beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib import tables
from benchmarks.lib.conditions import conditions, in_words
from benchmarks.lib.results_file import FOLDER, ResultsFile
from benchmarks.lib.subject import Subject
from benchmarks.peers import anomalib_run
from benchmarks.speed.bank_table import measure_accuracy
from panda_edge.bundle.model import default_threads

SETS = ("tile", "pcb-13000", "pcb-44000")
OURS = ("exact, K=50", "coreset, 5000", "gaussian", "k-means, M=50")
_DEFAULT = OURS[0]
_FIGURES = ("image_auroc_map", "pixel_auroc", "pro")


def measure(data: Path, python: Path, rows: ResultsFile, prepare: bool) -> None:
    """All models on all sets. prepare: without the timing that counts."""
    threads = min(2, default_threads())
    subjects = [Subject(name, (data / name).resolve()) for name in SETS]
    for subject in subjects:
        measure_accuracy(subject, rows, threads, only=OURS)
        if any("p50_ms" not in rows.get(f"{subject.name}: {name}") for name in (*OURS, *anomalib_run.MODELS)):
            effort = anomalib_run.Effort(slow=True, images=1, rounds=1, processes=False)
            anomalib_run.compare(subject, rows, rows, threads, python, effort)  # accuracies; the times come below
    if prepare:
        return
    rows.update("conditions", **conditions(threads))
    for subject in subjects:
        effort = anomalib_run.Effort(slow=True, images=60, rounds=3, processes=False)
        anomalib_run.compare(subject, rows, rows, threads, python, effort)


def table(rows: ResultsFile) -> str:
    """A line a model, the default first, the others by their milliseconds on the first set."""
    names = [name for name in (*OURS, *anomalib_run.MODELS) if "p50_ms" in rows.get(f"{SETS[0]}: {name}")]
    names.sort(key=lambda name: (name != _DEFAULT, rows.get(f"{SETS[0]}: {name}")["p50_ms"]))
    header = ("", *(f"{name}: image / pixel AUROC, PRO" for name in SETS), "frame p50, ms", "MB")
    return tables.table(header, [_line(name, rows) for name in names])


def _line(name: str, rows: ResultsFile) -> list[str]:
    of_sets = [rows.get(f"{subject}: {name}") for subject in SETS]
    title = of_sets[0]["title"] + (", the default" if name == _DEFAULT else "")
    return [
        title,
        *(_accuracy(row["accuracy"]) for row in of_sets),
        _each(of_sets, "p50_ms", 1),
        _each(of_sets, "mb", 0),
    ]


def _accuracy(found: dict[str, Any]) -> str:
    image, pixel, pro = (tables.number(found[figure], 3) for figure in _FIGURES)
    return f"{image} / {pixel}, {pro}"


def _each(rows: Sequence[dict[str, Any]], figure: str, digits: int) -> str:
    return ", ".join(tables.number(row[figure], digits) for row in rows)


def write(rows: ResultsFile) -> None:
    """The table as a page."""
    said = f"Whole pictures at 224 × 224; image AUROC by map maximum. {in_words(rows.get('conditions'))}"
    page = f"# Three sets beside anomalib and anomavision\n\n{table(rows)}\n\n{said}\n"
    (FOLDER / "peers/results/three_sets.md").write_text(page, encoding="utf-8")


def main() -> None:
    python, data = anomalib_run.peers_python(), os.environ.get("PANDA_DATA")
    if python is None or data is None:
        sys.exit("PANDA_DATA and PANDA_PEERS_VENV are needed: see the first lines of benchmarks/peers/three_sets.py")
    rows = ResultsFile("peers/results/three_sets")
    prepare = sys.argv[1:] == ["--prepare"]
    measure(Path(data), python, rows, prepare)
    if not prepare:
        write(rows)


if __name__ == "__main__":
    main()
