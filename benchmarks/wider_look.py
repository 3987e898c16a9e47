"""What a wider look and filled heat maps are worth: `python -m benchmarks.wider_look NAME DATA [OPTIONS…]`.

Exact banks of `panda-train fit`, whole pictures at 224 × 224; accuracy by `panda-train evaluate --fpr 0.05`. OPTIONS:
some of CONFIGURATIONS. Rows go into `benchmarks/results/wider_look.json`, and are shown in `wider_look.md`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.border import fit_each, table_of
from benchmarks.results_file import FOLDER, ResultsFile

CONFIGURATIONS = (
    "",
    "--wide 0 --fill 0",
    "--wide 0",
    "--fill 0",
    "--wide 0.25",
    "--wide 1",
    "--fill 24",
    "--fill 96",
)


def measure(name: str, data: Path, wanted: list[str]) -> None:
    rows = ResultsFile("wider_look")
    for _ in fit_each(rows, name, data, wanted or CONFIGURATIONS):
        write(rows)


def write(rows: ResultsFile) -> None:
    text = [
        "# What a wider look and filled heat maps are worth",
        "`python -m benchmarks.wider_look NAME DATA`; exact banks, EfficientNet-Lite0, whole pictures at 224 × 224. "
        "The first three figures are image AUROC by three scores.",
        table_of(rows),
    ]
    (FOLDER / "wider_look.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
