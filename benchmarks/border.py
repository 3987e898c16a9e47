"""What is done about a frame's border, and what averages are worth: `python -m benchmarks.border NAME DATA [OPTIONS…]`.

Exact banks of `panda-train fit`, whole pictures at 224 × 224; accuracy by `panda-train evaluate --fpr
0.05`. OPTIONS: some of CONFIGURATIONS. Rows go into `benchmarks/results/border.json`, and are shown in `border.md`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks import tables
from benchmarks.discount import HEADER, cells
from benchmarks.full_resolution import measured
from benchmarks.results_file import FOLDER, ResultsFile

CONFIGURATIONS = (
    "",
    "--average 3",
    "--border zeros",
    "--border inside",
)


def measure(name: str, data: Path, wanted: list[str]) -> None:
    """Fill the rows of one data set that are not there yet."""
    rows = ResultsFile("border")
    for options in wanted or CONFIGURATIONS:
        key = f"{name}: {options}"
        if rows.get(key):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.update(key, **measured(data, Path(folder) / "x.panda", ["--tiles", "none", *options.split()]))
        print(key, json.dumps(rows.get(key)), flush=True)
        write(rows)


def write(rows: ResultsFile) -> None:
    """The rows as a table, a data set after the other."""
    lines = []
    for key in sorted(rows.names(), key=lambda key: key.partition(": ")[0]):
        name, _, options = key.partition(": ")
        lines.append([name, f"`{options}`" if options else "default", *cells(rows.get(key))])
    text = [
        "# What is done about a frame's border",
        "`python -m benchmarks.border NAME DATA`; exact banks, EfficientNet-Lite0, whole pictures at 224 × 224. The "
        "first three figures are image AUROC by three scores.",
        tables.table(("", "`panda-train fit` …", *HEADER), lines),
    ]
    (FOLDER / "border.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
