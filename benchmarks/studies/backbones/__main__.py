"""What other networks, inputs and numbers buy: `python -m benchmarks.studies.backbones DATA WORK [CONFIGURATION…]`.

Every bundle is fitted and evaluated as the commands do. What a configuration does not name is `fit`'s default. Rows go
into `results.json` beside this file, so that a run takes up where it stopped; the table is written to `README.md`.
`python -m benchmarks.studies.backbones speed DATA WORK` times networks and whole frames, in turns, on bundles that the
first command left in WORK; `… memory DATA WORK` says their peak memory. `… table` only writes the table.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.backbones import memory, speed, table
from benchmarks.studies.backbones.configurations import CONFIGURATIONS, FPR, HERE, Configuration
from benchmarks.studies.backbones.exported import exported_once, fit
from benchmarks.studies.backbones.few import few_of
from benchmarks.studies.map_steps.settings import WHOLE, Setting
from panda_edge.bundle.model import default_threads
from panda_train.evaluation.evaluation import figures
from panda_train.evaluation.scored import score_images


def measure(setting: Setting, configuration: Configuration, data: Path, work: Path, keep: Path) -> dict[str, Any]:
    """One row: figures of a bundle fitted so, and its size. The bundle of `speed.TIMED_ON` is kept as `keep`."""
    dataset = few_of(setting, data, work)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "x.panda"
        precision = fit(dataset.root, bundle, configuration.of(dataset.train))
        found = figures(score_images(bundle, dataset, None, FPR, native=False), FPR)
        size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
        network = (bundle / "model.onnx").stat().st_size
        if setting.name == speed.TIMED_ON:
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(bundle, keep)
    at = found["at_threshold"]
    return {
        "image": round(found["image_auroc"], 4),
        "pixel": round(found["pixel_auroc"], 4) if setting.masks else None,
        "pro": round(found["pro"], 4) if setting.masks else None,
        "false_alarms": at["false_alarms"],
        "good": at["normal_images"],
        "found": round(at["tpr"], 3),
        "mb": round(size / 1e6, 1),
        "network_mb": round(network / 1e6, 1),
        "precision": precision,
        "normal": len(dataset.train),
        "test": found["images"],
    }


def accuracy(data: Path, work: Path, wanted: list[str]) -> None:
    """Fill the rows that are not there yet, a configuration after the other."""
    work.mkdir(parents=True, exist_ok=True)
    rows = ResultsFile("results", HERE)
    for name, configuration in CONFIGURATIONS.items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder, exported_once(Path(folder)):
            for setting in WHOLE:
                key = f"{setting.name}: {name}"
                if rows.get(key):
                    continue
                if not rows.get("conditions"):
                    rows.update("conditions", **conditions(default_threads()))
                rows.update(key, **measure(setting, configuration, data, work, speed.bundle_of(name, work)))
                say(f"{key} {rows.get(key)}")
                table.write()


def main() -> None:
    if sys.argv[1] in ("speed", "memory"):
        (speed if sys.argv[1] == "speed" else memory).measure(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] != "table":
        accuracy(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    table.write()


if __name__ == "__main__":
    main()
