"""What is done about a frame's border, and what averages are worth: `python -m benchmarks.border NAME DATA [OPTIONS…]`.

Exact banks of `panda-train fit --wide 0 --fill 0`, whole pictures at 224 × 224; accuracy by `panda-train evaluate --fpr
0.05`. OPTIONS: some of CONFIGURATIONS. Rows go into `benchmarks/results/border.json`, and are shown in `border.md`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
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


_NEAR = ("--wide", "0", "--fill", "0")  # both came later, and are not in these rows


def measure(name: str, data: Path, wanted: list[str]) -> None:
    rows = ResultsFile("border")
    for _ in fit_each(rows, name, data, wanted or CONFIGURATIONS, _NEAR):
        write(rows)


def fit_each(
    rows: ResultsFile, name: str, data: Path, configurations: Sequence[str], always: Sequence[str] = ()
) -> Iterator[str]:
    """Fill the rows of one data set that are not there yet, `NAME: OPTIONS`, and give their keys."""
    for options in configurations:
        key = f"{name}: {options}"
        if rows.get(key):
            continue
        asked = ["--tiles", "none", *always, *options.split()]
        with tempfile.TemporaryDirectory() as folder:
            rows.update(key, **measured(data, Path(folder) / "x.panda", asked))
        print(key, json.dumps(rows.get(key)), flush=True)
        yield key


def table_of(rows: ResultsFile) -> str:
    """A data set after the other."""
    lines = []
    for key in sorted(rows.names(), key=lambda key: key.partition(": ")[0]):
        name, _, options = key.partition(": ")
        lines.append([name, f"`{options}`" if options else "default", *cells(rows.get(key))])
    return tables.table(("", "`panda-train fit` …", *HEADER), lines)


def write(rows: ResultsFile) -> None:
    text = [
        "# What is done about a frame's border",
        "`python -m benchmarks.border NAME DATA`; exact banks, EfficientNet-Lite0, whole pictures at 224 × 224, "
        "`--wide 0 --fill 0`. The first three figures are image AUROC by three scores.",
        table_of(rows),
    ]
    (FOLDER / "border.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
