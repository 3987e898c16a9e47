"""The rows of `benchmarks.studies.adaptation` as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.lib import tables
from benchmarks.lib.intervals import difference, mean_and_half
from benchmarks.lib.results_file import FOLDER, ResultsFile

_RULES = ("unit", "whitened", "rooted", "added")
_JUDGED = ("validation", "test")
_SAYING = """What it says:
- Over ten classes, on test images, 30 steps gain 1.16 ± 0.56 on unit and 0.49 ± 0.25 on whitened embeddings, both
  beyond chance, and lose 0.18 ± 0.28 on rooted ones; validation images say the same.
- **Adapted, 2-NN has 92.07 (whitened) and 92.05 (rooted): the mark's 92.0, but below rooted embeddings of the same
  pictures before adaptation, 92.23.** The adapted rooted distance added to the pretrained one (*added*) gains nothing.
- The default 200 steps of a class (cat, seed 1, 4 views) took 204 s of one core, and gain nothing that 30 had not (unit
  82.96 after 30, 81.32 after 200, rooted 86.16 and 86.59, before 81.38 and 86.97; validation). Over
  three seeds of four classes the gain on rooted test images is −0.46 to +0.40 and a class's spread at most ± 0.10:
  classes differ, seeds do not.
- A class takes a minute of one core: views and 30 steps. Nothing was chosen by test images: the settings are defaults
  but for the number of steps and views, and neither number of steps gains on rooted validation images."""


def write(rows: ResultsFile) -> None:
    """The page beside the rows."""
    found = [rows.get(name) for name in rows.names()]
    parts = [
        "# panda-msc with 600 images a class",
        "`python -m benchmarks.studies.adaptation CIFAR10 WORK`; EfficientNet-Lite0, pictures whole at 224, k = 2, "
        "4 kept views, batches of 64, rate 0.001. Adapted to and stored: the first 600 training images of the class. "
        "AUROC in percent; validation: training images 1,000 to 1,200 of all classes, by which steps and rule would be "
        "chosen; test: the first 200 test images of each class. ± half of a 95 % interval (Student's t).",
        _SAYING,
        "## Over the classes, seed 0",
        tables.table(("", "steps", "classes", *_both("")), _over_classes(found)),
        "## Over seeds, 30 steps",
        tables.table(("", "seeds", *_both(", gain")), _over_seeds(found)),
        "## Every run",
        tables.table(("", "seed", "steps", *_both(""), "processor s", "s"), _single(found)),
    ]
    (FOLDER / "studies/adaptation/README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _both(more: str) -> list[str]:
    return [f"{rule}, {what}{more}" for rule in _RULES for what in _JUDGED]


def _over_classes(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in found):
        group = [row for row in found if row["variant"] == variant and row["seed"] == 0]
        for step in group[0]["after"] if group else ():
            cells = [variant, step, str(len(group))]
            for rule in _RULES:
                for what in _JUDGED:
                    now, before = ({row["normal"]: row["after"][at][what][rule] for row in group} for at in (step, "0"))
                    gain = "" if step == "0" else f" ({difference(now, before, digits=2)})"
                    cells.append(f"{np.mean(list(now.values())):.2f}{gain}")
            lines.append(cells)
    return lines


def _over_seeds(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = []
    for normal in dict.fromkeys(row["normal"] for row in found if row["seed"] > 0):
        group = list({row["seed"]: row for row in found if row["normal"] == normal}.values())
        cells = [normal, str(len(group))]
        for rule in _RULES:
            for what in _JUDGED:
                gains = [row["after"]["30"][what][rule] - row["after"]["0"][what][rule] for row in group]
                mean, half = mean_and_half(gains)
                cells.append(f"{mean:+.2f} ± {half:.2f}")
        lines.append(cells)
    return lines


def _single(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = []
    for row in found:
        for step, judged in row["after"].items():
            cells = [f"{judged[what][rule]:.2f}" for rule in _RULES for what in _JUDGED]
            last = step == list(row["after"])[-1]
            took = [f"{row['processor_s']:.0f}", f"{row['seconds']:.0f}"] if last else ["", ""]
            lines.append([row["normal"], str(row["seed"]), step, *cells, *took])
    return lines
