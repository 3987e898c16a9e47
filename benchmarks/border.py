"""What is done about a frame's border, and what averages are worth: `python -m benchmarks.border NAME DATA [OPTIONS…]`.

Exact banks of `panda-train fit --wide 0 --fill 0`, whole pictures at 224 × 224; accuracy by `panda-train evaluate --fpr
0.05`. OPTIONS: some of CONFIGURATIONS. Rows go into `benchmarks/results/border.json`, and are shown in `border.md`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
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


def measure(stem: str, about: tuple[str, str], configurations: Sequence[str], always: Sequence[str] = ()) -> None:
    """Fill the rows `NAME: OPTIONS` of the command line's data set that are not there yet, and write them as a table.

    stem: of the files of results. about: title, and what the rows are of. always: options of every row.
    """
    name, data, wanted = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    rows = ResultsFile(stem)
    for options in wanted or configurations:
        key = f"{name}: {options}"
        if rows.get(key):
            continue
        asked = ["--tiles", "none", *always, *options.split()]
        with tempfile.TemporaryDirectory() as folder:
            rows.update(key, **measured(data, Path(folder) / "x.panda", asked))
        print(key, json.dumps(rows.get(key)), flush=True)
        text = "\n\n".join([f"# {about[0]}", about[1], table_of(rows)])
        (FOLDER / f"{stem}.md").write_text(text + "\n", encoding="utf-8")


def table_of(rows: ResultsFile) -> str:
    """A data set after the other."""
    lines = []
    for key in sorted(rows.names(), key=lambda key: key.partition(": ")[0]):
        name, _, options = key.partition(": ")
        lines.append([name, f"`{options}`" if options else "default", *cells(rows.get(key))])
    return tables.table(("", "`panda-train fit` …", *HEADER), lines)


if __name__ == "__main__":
    measure(
        "border",
        (
            "What is done about a frame's border",
            "`python -m benchmarks.border NAME DATA`; exact banks, EfficientNet-Lite0, whole pictures at 224 × 224, "
            "`--wide 0 --fill 0`. The first three figures are image AUROC by three scores.",
        ),
        CONFIGURATIONS,
        _NEAR,
    )
