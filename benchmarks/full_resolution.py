"""What each piece of full resolution is worth: `python -m benchmarks.full_resolution NAME DATA [CONFIGURATION…]`.

Every configuration is a line of `panda-train fit` options; it is fitted on all normal pictures and evaluated on all
test pictures through the device's code, at --fpr 0.05. Rows are kept in `benchmarks/results/full_resolution.json`,
so that a run takes up where it stopped, and shown in `full_resolution.md` beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.results_file import FOLDER, ResultsFile

ASKED = "--smallest-defect 12"
CONFIGURATIONS = {
    "as asked": ASKED,
    "nothing taken off": f"{ASKED} --discount 0",
    "overlap 1/16": f"{ASKED} --overlap 0.0625",
    "overlap 0": f"{ASKED} --overlap 0",
    "K = 10": f"{ASKED} --neighbors 10",
    "K = 50": f"{ASKED} --neighbors 50",
    "average 1": f"{ASKED} --average 1",
    "average 5": f"{ASKED} --average 5",
    "same place": f"{ASKED} --compare place",
    "near": f"{ASKED} --compare near",
    "window 4": f"{ASKED} --compare place --window 4",
    "scale 0.5": "--smallest-defect 24",
    "scale 0.75": "--smallest-defect 16",
    "scale 1.5": "--smallest-defect 8",
    "standardised": f"{ASKED} --standardise",
    "all three levels": f"{ASKED} --level-weights 1,1,1",
    "at most 100 MB": f"{ASKED} --max-bank-mb 100",
    "at most 30 MB": f"{ASKED} --max-bank-mb 30",
    "gaussian": f"{ASKED} --bank gaussian",
    "coreset 5000": f"{ASKED} --bank coreset",
    "k-means 50": f"{ASKED} --bank kmeans",
    "panda-ewc": f"{ASKED} --method panda-ewc --pyramid adapted --steps 200",
    "whole pictures, 224²": "--tiles none",
    "whole pictures, 448²": "--tiles none --input-size 448",
}

# What was measured before: 9 tiles a picture, and nothing taken off.
_EARLIER = "--smallest-defect 12 --overlap 0.0625 --discount 0"
EARLIER = {
    "earlier: as asked": _EARLIER,
    "earlier: average 1": f"{_EARLIER} --average 1",
    "earlier: K = 10": f"{_EARLIER} --neighbors 10",
    "earlier: K = 50": f"{_EARLIER} --neighbors 50",
    "earlier: same place": f"{_EARLIER} --compare place",
    "earlier: overlap 1/4": "--smallest-defect 12 --discount 0",
    "earlier: scale 0.75": "--smallest-defect 16 --overlap 0.0625 --discount 0",
    "earlier: standardised": f"{_EARLIER} --standardise",
    "earlier: all three levels": f"{_EARLIER} --level-weights 1,1,1",
    "earlier: at most 100 MB": f"{_EARLIER} --max-bank-mb 100",
    "earlier: at most 30 MB": f"{_EARLIER} --max-bank-mb 30",
    "earlier: whole pictures, 224²": "--tiles none --discount 0",
}
FIGURES = ("image_auroc", "image_auroc_embedding", "image_auroc_map", "image_auroc_top1", "pixel_auroc", "pro")
_HEADER = (
    "", "`panda-train fit DATA …`", "embedding", "map maximum", "top 1 %", "pixel AUROC", "PRO", "false alarms at .05",
    "found", "fit s", "picture ms", "bundle MB", "compared",
)  # fmt: skip


def measure(name: str, data: Path, wanted: list[str]) -> None:
    """Fill the rows of one data set that are not there yet."""
    rows = ResultsFile("full_resolution")
    every = CONFIGURATIONS | EARLIER
    for configuration in wanted or CONFIGURATIONS:
        key = f"{name}: {configuration}"
        if rows.get(key):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.update(key, **measured(data, Path(folder) / "x.panda", every[configuration].split()))
        print(key, rows.get(key), flush=True)
        write(rows, FOLDER / "full_resolution.md")


def measured(data: Path, bundle: Path, options: list[str]) -> dict[str, Any]:
    """A row: the bundle of `panda-train fit DATA OPTIONS`, evaluated."""
    started = time.perf_counter()
    fitted = run_json(["fit", str(data), "--out", str(bundle), *options])
    seconds = time.perf_counter() - started
    found = run_json(["evaluate", str(bundle), str(data), "--fpr", "0.05"])
    at = found["at_threshold"]
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    return {
        **{figure: round(found[figure], 4) for figure in FIGURES},
        "intervals": {key: [round(edge, 3) for edge in span] for key, span in found["intervals"].items() if span},
        "false_alarms": at["false_alarms"],
        "normal_images": at["normal_images"],
        "fpr_interval": [round(edge, 3) for edge in at["fpr_interval"]],
        "found": round(at["tpr"], 3),
        "fit_s": round(seconds, 1),
        "picture_ms": fitted.get("picture_ms"),
        "tiles": fitted.get("tiles", 1),
        "bundle_mb": round(fitted["bytes"] / 1e6, 1),
        "compared": manifest["segmentation"].get("compare", "anywhere"),
    }


def run_json(arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "panda_train", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return dict(json.loads(done.stdout))


def write(rows: ResultsFile, file: Path) -> None:
    """The rows as tables, one data set after another."""
    parts = [
        "# Full resolution",
        "`python -m benchmarks.full_resolution NAME DATA`; EfficientNet-Lite0, frames of 224 × 224. "
        "The first three figures are image AUROC by three scores; pixel figures at the heat map's resolution; masks of "
        "the boards are boxes. False alarms among the normal test pictures with the 95 % interval of their rate. "
        "Seconds and milliseconds were taken on a machine that other work shared.",
    ]
    for name in dict.fromkeys(key.partition(":")[0] for key in rows.names()):
        lines = [
            [c, f"`{options}`", *_cells(row)]
            for c, options in (CONFIGURATIONS | EARLIER).items()
            if (row := rows.get(f"{name}: {c}"))
        ]
        parts += [f"## {name}", tables.table(_HEADER, lines)]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["fpr_interval"]
    return [
        *(f"{row[figure]:.3f}" for figure in FIGURES),
        f"{row['false_alarms']} of {row['normal_images']} ({low:.3f}–{high:.3f})",
        f"{row['found']:.2f}",
        f"{row['fit_s']:.0f}",
        tables.number(row["picture_ms"], 0),
        tables.number(row["bundle_mb"], 0),
        row["compared"] if row["tiles"] > 1 else "–",
    ]


if __name__ == "__main__":
    measure(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
