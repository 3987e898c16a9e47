"""What taking off a match's own distance is worth: `python -m benchmarks.discount NAME DATA [SHARE…]`.

Exact banks of `panda-train fit`, pictures of more than 400 pixels a side with --smallest-defect 12; accuracy by
`panda-train evaluate --fpr 0.05`. Rows go into `benchmarks/results/discount.json`, and are shown in `discount.md`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.full_resolution import FIGURES, measured
from benchmarks.results_file import FOLDER, ResultsFile
from panda_edge.images.reading import image_size
from panda_train.data.folders import open_dataset

SHARES = ("0", "0.35", "0.5", "0.7")
HEADER = ("embedding", "map maximum", "top 1 %", "pixel AUROC", "PRO", "false alarms at .05", "found")
_LARGE = 400


def measure(name: str, data: Path, shares: list[str]) -> None:
    """Fill the rows of one data set that are not there yet."""
    rows = ResultsFile("discount")
    tiles = ["--smallest-defect", "12"] if max(image_size(open_dataset(data).train[0])) > _LARGE else []
    for share in shares or SHARES:
        key = f"{name}: {share}"
        if rows.get(key):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.update(key, **measured(data, Path(folder) / "x.panda", ["--discount", share, *tiles]))
        print(key, json.dumps(rows.get(key)), flush=True)
    write(rows)


def cells(row: dict[str, Any]) -> list[str]:
    """Under HEADER."""
    alarms = f"{row['false_alarms']} of {row['normal_images']}"
    return [*(f"{row[figure]:.3f}" for figure in FIGURES), alarms, f"{row['found']:.2f}"]


def write(rows: ResultsFile) -> None:
    """The rows as a table."""
    lines = []
    for key in rows.names():
        name, _, share = key.partition(": ")
        lines.append([name, share, *cells(rows.get(key))])
    header = ("", "--discount", *HEADER)
    text = [
        "# What is taken off for a match's own distance",
        "`python -m benchmarks.discount NAME DATA`; exact banks, EfficientNet-Lite0, 224 × 224; the boards in tiles, "
        "`--smallest-defect 12`. The first three figures are image AUROC by three scores.",
        tables.table(header, lines),
    ]
    (FOLDER / "discount.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
