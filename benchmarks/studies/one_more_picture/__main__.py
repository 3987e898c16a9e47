"""What one more picture does to a bundle's threshold: python -m benchmarks.studies.one_more_picture DATA WORK [SET…]

For each of eight sets the default bundle, and every good and every defective test picture that raises an alarm at .01
and at .05, each taken as if an operator had called it normal. `chance`: the share of normal alarms that score as high,
told from the calibration's scores alone. Below REFUSED `extend` refuses a picture, below ASKED it asks. The labels
judge these bounds, and chose nothing. Beside them the bound that was before, 1.3 times the threshold. Scores lie below
WORK, rows in benchmarks/studies/one_more_picture/results.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib import tables
from benchmarks.lib.commands import run_json
from benchmarks.lib.results_file import FOLDER, ResultsFile
from benchmarks.lib.subject import say
from benchmarks.studies.map_steps.settings import WHOLE, Setting, dataset_of
from panda_edge.decide.calibration import Calibration
from panda_edge.decide.joining import ASKED, REFUSED
from panda_edge.decide.tail import Tail
from panda_edge.detector import load

_BEFORE = 1.3
_RATES = 0.01, 0.05


def scores(setting: Setting, data: Path, work: Path) -> dict[str, Any]:
    """Scores of calibration and of test pictures, by the score that decides; kept below `work`."""
    kept = work / f"{setting.name}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text("utf-8")))
    dataset = dataset_of(setting, data, work)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "x.panda"
        run_json(["fit", str(dataset.root), "--out", str(bundle)])
        detector = load(bundle)
        assert detector.decider is not None
        found: dict[str, Any] = {"normal": detector.decider.calibration.normal_scores().tolist()}
        for name, anomalous in (("good", False), ("defects", True)):
            paths = [sample.path for sample in dataset.test if sample.anomalous == anomalous]
            decisions = [detector.segment(path).decision for path in paths]
            found[name] = [decision.score for decision in decisions if decision is not None]
    kept.write_text(json.dumps(found), "utf-8")
    return found


def judged(found: dict[str, Any], fpr: float) -> dict[str, Any]:
    """One row."""
    normal = np.array(found["normal"])
    names = dict.fromkeys(("max", "top1", "embedding", "local"), normal)
    threshold = Calibration("max", names).threshold(fpr)
    tail, row = Tail.of(normal), {"calibration_images": len(normal)}
    for name in ("good", "defects"):
        alarms = np.array([score for score in found[name] if score > threshold])
        chances = np.array([tail.chance(score - threshold) for score in alarms])
        row |= {
            name: len(found[name]),
            f"{name}_alarms": len(alarms),
            f"{name}_asked": int(((chances < ASKED) & (chances >= REFUSED)).sum()),
            f"{name}_refused": int((chances < REFUSED).sum()),
            f"{name}_refused_by_1.3": int((alarms > _BEFORE * threshold).sum()),
        }
    return row


def write(rows: ResultsFile) -> None:
    header = ("set, rate", "calibrated with", "good: alarms", "asked", "refused", "by 1.3", "defects: alarms", "asked",
              "refused", "by 1.3")  # fmt: skip
    keys = ("alarms", "asked", "refused", "refused_by_1.3")
    lines = []
    for name in rows.names():
        row = rows.get(name)
        counts = [str(row[f"{kind}_{key}"]) for kind in ("good", "defects") for key in keys]
        lines.append([name, str(row["calibration_images"]), *counts])
    for fpr in _RATES:
        found = [rows.get(name) for name in rows.names() if name.endswith(f", {fpr:g}")]
        sums = [str(sum(row[f"{kind}_{key}"] for row in found)) for kind in ("good", "defects") for key in keys]
        lines.append([f"all, {fpr:g}", "", *sums])
    text = f"# One more picture\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\n{tables.table(header, lines)}\n"
    (FOLDER / "studies/one_more_picture/README.md").write_text(text, encoding="utf-8")


def main() -> None:
    data, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    rows = ResultsFile("studies/one_more_picture/results")
    for setting in WHOLE:
        if sys.argv[3:] and setting.name not in sys.argv[3:]:
            continue
        found = scores(setting, data, work)
        for fpr in _RATES:
            rows.update(f"{setting.name}, {fpr:g}", **judged(found, fpr))
        say(setting.name)
    write(rows)


if __name__ == "__main__":
    main()
