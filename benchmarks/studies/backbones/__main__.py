"""What other networks, inputs and numbers buy: `python -m benchmarks.studies.backbones DATA WORK [CONFIGURATION…]`.

Every bundle is fitted and evaluated by the commands. What a configuration does not name is `fit`'s default. Rows go
into `results.json` beside this file, so that a run takes up where it stopped; the table is written to `README.md`.
The sets with the fewest pictures come first. `python -m benchmarks.studies.backbones speed` times the networks, in
turns.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lib.commands import run_json
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.backbones import speed, table
from benchmarks.studies.backbones.configurations import CONFIGURATIONS, FPR, HERE, Configuration
from benchmarks.studies.map_steps.settings import WHOLE, Setting, dataset_of
from panda_edge.bundle.model import default_threads


def measure(setting: Setting, configuration: Configuration, data: Path, work: Path) -> dict[str, Any]:
    """One row: figures of a bundle fitted so, and its size."""
    dataset = dataset_of(setting, data, work)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "x.panda"
        fitted = run_json(["fit", str(dataset.root), "--out", str(bundle), *configuration.of(list(dataset.train))])
        found = run_json(["evaluate", str(bundle), str(dataset.root), "--fpr", str(FPR)])
        network = (bundle / "model.onnx").stat().st_size
    at = found["at_threshold"]
    return {
        "image": round(found["image_auroc"], 4),
        "pixel": round(found["pixel_auroc"], 4) if setting.masks else None,
        "pro": round(found["pro"], 4) if setting.masks else None,
        "false_alarms": at["false_alarms"],
        "good": at["normal_images"],
        "found": round(at["tpr"], 3),
        "mb": round(fitted["bytes"] / 1e6, 1),
        "network_mb": round(network / 1e6, 1),
    }


def main() -> None:
    if sys.argv[1] == "speed":
        speed.measure()
        table.write()
        return
    data, work, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    work.mkdir(parents=True, exist_ok=True)
    rows = ResultsFile("results", HERE)
    if not rows.get("conditions"):
        rows.update("conditions", **conditions(default_threads()))
    for setting in sorted(WHOLE, key=lambda setting: len(dataset_of(setting, data, work).train)):
        for name, configuration in CONFIGURATIONS.items():
            key = f"{setting.name}: {name}"
            if rows.get(key) or (wanted and name not in wanted):
                continue
            rows.update(key, **measure(setting, configuration, data, work))
            say(f"{key} {rows.get(key)}")
            table.write()


if __name__ == "__main__":
    main()
