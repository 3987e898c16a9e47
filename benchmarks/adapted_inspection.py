"""Does adaptation help where it is used? `python -m benchmarks.adapted_inspection NAME DATA [CONFIGURATION…]`.

Every configuration is a line of `panda-train fit` options, one setting for all data sets; it is fitted on all normal
pictures and evaluated on all test pictures through the device's code. Rows are kept in
`benchmarks/results/adapted_inspection.json`, so that a run takes up where it stopped, and shown in
`adapted_inspection.md` beside it; nothing is chosen by them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import tables
from benchmarks.full_resolution import measured
from benchmarks.results_file import FOLDER, ResultsFile

CONFIGURATIONS = {
    "unadapted, raw": "--tiles none",
    "unadapted, unit": "--tiles none --embedding unit",
    "unadapted, whitened": "--tiles none --embedding whitened",
    "panda-oe, outliers made": "--tiles none --method panda-oe --outliers made --steps 1",
    "panda-msc": "--tiles none --method panda-msc",
    "panda-msc, whitened": "--tiles none --method panda-msc --embedding whitened",
    "panda-msc, adapted pyramid": "--tiles none --method panda-msc --pyramid adapted",
}
_FIGURES = ("image_auroc", "image_auroc_map", "pixel_auroc", "pro")


def measure(name: str, data: Path, wanted: list[str]) -> None:
    """Fill the rows of one data set that are not there yet."""
    rows = ResultsFile("adapted_inspection")
    for configuration in wanted or CONFIGURATIONS:
        key = f"{name}: {configuration}"
        if rows.get(key):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.update(key, **measured(data, Path(folder) / "x.panda", CONFIGURATIONS[configuration].split()))
        print(key, rows.get(key), flush=True)
        write(rows)


def write(rows: ResultsFile) -> None:
    """The rows as one table."""
    lines = []
    for key in rows.names():
        found, options = rows.get(key), CONFIGURATIONS[key.split(": ", 1)[1]]
        lines.append([key, f"`{options}`", *(f"{found[figure]:.3f}" for figure in _FIGURES), f"{found['fit_s']:.0f}"])
    header = (
        "",
        "`panda-train fit DATA …`",
        "image AUROC, embedding",
        "by map maximum",
        "pixel AUROC",
        "PRO",
        "fit, s",
    )
    parts = [
        "# Does adaptation help inspection?",
        "`python -m benchmarks.adapted_inspection NAME DATA`; whole pictures at 224 × 224, seed 0, one run each. The "
        "first two figures are image AUROC by two scores. Seconds are of a busy machine.",
        tables.table(header, lines),
    ]
    (FOLDER / "adapted_inspection.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
