"""How well `panda-train choose` chooses: `python -m benchmarks.studies.choose DATA WORK [SET …]`.

The command chooses on each of eight sets, from normal pictures alone. What it prints is fitted by the command and
evaluated on the labelled pictures, beside the configurations that `benchmarks.peers.eight_sets` measures there. Rows go
into `results.json` beside this file, so that a run takes up where it stopped, and `README.md` shows them.
`--device-speed FILE`: what `panda-edge bench --json` printed when the machine was quiet, where it is busy now.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lib import tables
from benchmarks.lib.commands import run_json
from benchmarks.lib.conditions import conditions, in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from benchmarks.peers.eight_sets import fitted, triple
from benchmarks.studies.map_steps.settings import WHOLE, Setting, dataset_of
from panda_edge.bundle.model import default_threads

HERE = Path(__file__).parent
RIVALS = ("default", "coreset 10 %", "gaussian")
BOUNDS = {"image": 0.01, "pixel": 0.015}  # that a choice may lose on a set, at most
_MS = 30.0
_KEPT = ("name", "rung", "score", "image", "pixel", "pro", "ms", "left_out")  # of each candidate


def measure(setting: Setting, data: Path, work: Path, speed: list[str]) -> dict[str, Any]:
    """One row. speed: options of `choose` that say how fast the device is."""
    dataset = dataset_of(setting, data, work)
    started = time.perf_counter()
    chosen = run_json(["choose", str(dataset.root), "--ms", f"{_MS:g}", *speed])
    seconds = time.perf_counter() - started
    given = shlex.split(chosen["command"])
    options = given[given.index("--out") + 2 :]
    ms = chosen["chosen"]["ms"]
    return {
        "chosen": chosen["chosen"]["name"],
        "options": options,
        "seconds": round(seconds),
        "ms": ms,
        "tried": len(chosen["candidates"]),
        "candidates": [{key: one[key] for key in _KEPT} for one in chosen["candidates"]],
        **fitted(dataset, options, setting.masks),
    }


def regret(own: Mapping[str, Any], rivals: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """How much the best of the rivals, and of the choice itself, has before the choice, figure by figure.

    None where a set has no masks.
    """
    found: dict[str, float | None] = {}
    for figure in ("image", "pixel", "pro"):
        values = [row[figure] for row in (own, *rivals.values()) if row.get(figure) is not None]
        found[figure] = None if own[figure] is None else max(values) - own[figure]
    return found


def write(rows: ResultsFile, others: ResultsFile, file: Path) -> None:
    """The table, of the sets that were measured."""
    lines = []
    for setting in WHOLE:
        own = rows.get(setting.name)
        rivals = {name: row for name in RIVALS if (row := others.get(f"{setting.name}: {name}"))}
        if not own or not rivals:
            continue
        lost = regret(own, rivals)
        best = max(rivals, key=lambda name: rivals[name]["image"])
        lines.append(
            [
                setting.name, own["chosen"], str(own["tried"]), str(own["seconds"]), f"{own['ms']:.0f}", triple(own),
                f"{best}: {triple(rivals[best])}", *(tables.number(lost[key], 3) for key in ("image", "pixel", "pro")),
            ]
        )  # fmt: skip
    header = ("set", "chosen", "tried", "seconds", "ms a picture", "its figures", "most image AUROC")
    text = (
        f"`python -m benchmarks.studies.choose DATA WORK`. `choose --ms {_MS:g}` on normal pictures alone; then its "
        "command is fitted and judged by labels. Figures are image AUROC / pixel AUROC / PRO. Regret is what the best "
        f"of {', '.join(RIVALS)} (`benchmarks.peers.eight_sets`) has before the choice; asked are at most "
        f"{BOUNDS['image']:g} in image and {BOUNDS['pixel']:g} in pixel AUROC. {in_words(rows.get('conditions'))}"
    )
    table = tables.table((*header, "image regret", "pixel regret", "PRO regret"), lines)
    file.write_text(f"# What choosing costs\n\n{text}\n\n{table}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how well `panda-train choose` chooses.")
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("sets", nargs="*", choices=[setting.name for setting in WHOLE])
    parser.add_argument("--device-speed", metavar="FILE")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    speed = ["--device-speed", given.device_speed] if given.device_speed else []
    rows = ResultsFile("results", HERE)
    rows.update("conditions", **conditions(default_threads()))
    for setting in WHOLE:
        if rows.get(setting.name) or (given.sets and setting.name not in given.sets):
            continue
        rows.update(setting.name, **measure(setting, given.data, given.work, speed))
        say(f"{setting.name}: {rows.get(setting.name)}")
        write(rows, ResultsFile("peers/results/eight_sets"), HERE / "README.md")


if __name__ == "__main__":
    main()
