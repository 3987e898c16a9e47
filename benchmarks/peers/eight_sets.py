"""Eight sets with what `panda-train fit` makes: `python -m benchmarks.peers.eight_sets DATA WORK [SET…]`.

The default beside plain SPADE and two banks of other methods on the same features: a coreset of a tenth (PatchCore) and
one Gaussian a cell (PaDiM). Every bundle is fitted by the command and evaluated by the command at a promised rate of
.05. Rows go into `benchmarks/peers/results/eight_sets.json`, so that a run takes up where it stopped, and are shown in
`eight_sets.md` beside it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.lib import tables
from benchmarks.lib.commands import run_json
from benchmarks.lib.conditions import conditions, in_words
from benchmarks.lib.results_file import FOLDER, ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.map_steps.settings import WHOLE, Setting, dataset_of
from panda_edge.bundle.model import default_threads
from panda_train.data.folders import Dataset

FPR = 0.05
_CELLS = 28 * 28  # of a coreset's grid, a picture
_SHARE = 0.1
CONFIGURATIONS = ("default", "plain SPADE", "coreset 10 %", "gaussian")


def options_of(configuration: str, pictures: int) -> list[str]:
    """Of `panda-train fit`."""
    return {
        "default": [],
        "plain SPADE": ["--plain", "--score", "max", "--input-size", "224"],
        "coreset 10 %": ["--bank", "coreset", "--vectors", str(round(_SHARE * _CELLS * pictures)), "--score", "max"],
        "gaussian": ["--bank", "gaussian", "--score", "max"],
    }[configuration]


def measure(setting: Setting, configuration: str, data: Path, work: Path) -> dict[str, Any]:
    """One row."""
    dataset = dataset_of(setting, data, work)
    return fitted(dataset, options_of(configuration, len(dataset.train)), setting.masks)


def fitted(dataset: Dataset, options: Sequence[str], masks: bool) -> dict[str, Any]:
    """Figures of what `panda-train fit` makes with these options, on the test pictures. masks: whether it has any."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "x.panda"
        made = run_json(["fit", str(dataset.root), "--out", str(bundle), *options])
        found = run_json(["evaluate", str(bundle), str(dataset.root), "--fpr", str(FPR)])
    at = found["at_threshold"]
    return {
        "image": round(found["image_auroc"], 4),
        "image_interval": [round(end, 4) for end in found["intervals"]["image_auroc"]],
        "pixel": round(found["pixel_auroc"], 4) if masks else None,
        "pro": round(found["pro"], 4) if masks else None,
        "false_alarms": at["false_alarms"],
        "good": at["normal_images"],
        "allowed": int(stats.binom.ppf(0.975, at["normal_images"], at["promised"])),
        "found": round(at["tpr"], 3),
        "mb": round(made["bytes"] / 1e6, 1),
    }


def write(rows: ResultsFile) -> None:
    parts = [
        "# Eight sets",
        "`python -m benchmarks.peers.eight_sets DATA WORK`. Image AUROC of the score that decides / pixel AUROC / PRO; "
        f"metal-nut and solar have no masks. EfficientNet-Lite0; {in_words(rows.get('conditions'))}",
        tables.table(("set", *CONFIGURATIONS), [_line(rows, setting.name, triple) for setting in WHOLE]),
        f"False alarms among normal test pictures at a promised rate of {FPR:g}, in brackets the 97.5 % quantile of a "
        "binomial; share of the anomalous ones found:",
        tables.table(("set", *CONFIGURATIONS), [_line(rows, setting.name, _alarms) for setting in WHOLE]),
    ]
    (FOLDER / "peers/results/eight_sets.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _line(rows: ResultsFile, name: str, cell: Any) -> Sequence[str]:
    found = [rows.get(f"{name}: {configuration}") for configuration in CONFIGURATIONS]
    return [name, *(cell(row) if row else "–" for row in found)]


def triple(row: Mapping[str, Any]) -> str:
    """Image AUROC / pixel AUROC / PRO, as far as a row has them."""
    return " / ".join(tables.number(row[key], 3) for key in ("image", "pixel", "pro") if row[key] is not None)


def _alarms(row: dict[str, Any]) -> str:
    return f"{row['false_alarms']} of {row['good']} ({row['allowed']}); {row['found']:.2f}"


def main() -> None:
    data, work, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    rows = ResultsFile("peers/results/eight_sets")
    rows.update("conditions", **conditions(default_threads()))
    for configuration in CONFIGURATIONS:
        for setting in WHOLE:
            key = f"{setting.name}: {configuration}"
            if rows.get(key) or (wanted and setting.name not in wanted):
                continue
            rows.update(key, **measure(setting, configuration, data, work))
            say(f"{key} {rows.get(key)}")
            write(rows)


if __name__ == "__main__":
    main()
