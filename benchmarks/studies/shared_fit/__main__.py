"""What a fit's processes do when two share it: processor time by stage and process, beside one process alone.

    python -m benchmarks.studies.shared_fit [--banks exact gaussian coreset kmeans] [--images 240]

Rows of `benchmarks/studies/shared_fit/results.json`: DATA: BANK. Both bundles are compared byte for byte before a row
is written. Processor seconds, one thread a process, so that a machine that others use, too, hardly changes them;
waiting for another process counts as far as gloo spins. `imports` is what a process takes before it begins, once each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import panda_edge.builder.banks
import panda_export.export
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge.banks.settings import bank_settings
from panda_edge.builder import assemble
from panda_train.fitting import FitOptions, fit

BANKS = ("exact", "gaussian", "coreset", "kmeans")


class Stages:
    """Processor seconds of this process, by stage; a stage ends where the next begins."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = 0.0

    def end(self, name: str) -> None:
        now = time.process_time()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    def around(self, module: Any, name: str, stage: str, before: str = "other") -> None:
        """Count what a function takes as `stage`, and what came before it as `before`."""
        whole: Callable[..., Any] = getattr(module, name)

        def timed(*args: Any, **options: Any) -> Any:
            self.end(before)
            result = whole(*args, **options)
            self.end(stage)
            return result

        setattr(module, name, timed)

    def loop(self, module: Any, name: str, stage: str) -> None:
        """Count as `stage` everything from a generator's first item to its end, what is done with the items too."""
        whole: Callable[..., Iterator[Any]] = getattr(module, name)

        def timed(*args: Any, **options: Any) -> Iterator[Any]:
            self.end("other")
            yield from whole(*args, **options)
            self.end(stage)

        setattr(module, name, timed)


def run_one(data: Path, out: Path, bank: str) -> None:
    """Fit here, alone or under torchrun, and write this process's stages beside the bundle."""
    stages = Stages()
    stages.end("imports")
    stages.around(panda_export.export, "write_network", "network")
    stages.loop(panda_edge.builder.banks, "features_of", "features, sums")
    stages.around(assemble, "write_banks", "bank")  # what is left of it once features have been counted
    stages.around(assemble, "with_steps", "steps of the map")
    stages.around(panda_export.export, "calibrated", "calibration")
    fit(data, out, FitOptions(bank=bank_settings(bank), device="cpu"))
    stages.end("other")
    rank = os.environ.get("RANK", "0")
    out.with_suffix(f".{rank}.json").write_text(json.dumps(stages.seconds))


def measure(subject: Subject, bank: str, images: int, rows: ResultsFile) -> None:
    """The row of one bank, fitted to some of the normal images."""
    say(f"{subject.name}: {bank}")
    alone = [sys.executable]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    found: dict[str, list[dict[str, float]]] = {}
    bundles: dict[str, dict[str, bytes]] = {}
    with tempfile.TemporaryDirectory(prefix="panda-shared-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        normal = subject.dataset.train[:images]
        for path in normal:
            (data / path.name).symlink_to(path.resolve())
        for name, launcher, count in (("one", alone, 1), ("two", together, 2)):
            out = Path(folder) / f"{name}.panda"
            command = [*launcher, "-m", "benchmarks.shared_fit", "--fit-here", str(data), str(out), bank]
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            found[name] = [json.loads(out.with_suffix(f".{rank}.json").read_text()) for rank in range(count)]
            bundles[name] = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    if bundles["one"] != bundles["two"]:
        raise SystemExit(f"{bank}: the bundles differ")
    one, two = found["one"][0], found["two"]
    rounded = {
        stage: {"one": round(one[stage], 2), "two": [round(rank.get(stage, 0.0), 2) for rank in two]} for stage in one
    }
    own = [sum(seconds for stage, seconds in of.items() if stage != "imports") for of in (one, *two)]
    busiest = round(max(own[1:]) / own[0], 3)
    rows.update(
        f"{subject.name}: {bank}",
        bytes_equal=True,
        images=len(normal),
        seconds=rounded,
        whole={"one": round(own[0], 2), "two": [round(seconds, 2) for seconds in own[1:]]},
        busiest_of_one=busiest,
        conditions=conditions(1),
    )
    print(f"{bank}: bytes equal; the busier process takes {busiest} of one process's time; {rounded}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--banks", nargs="+", choices=BANKS, default=BANKS)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--fit-here", nargs=3, metavar=("DATA", "OUT", "BANK"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit_here:
        run_one(Path(asked.fit_here[0]), Path(asked.fit_here[1]), asked.fit_here[2])
        return
    subject, rows = open_subject(), ResultsFile("studies/shared_fit/results")
    for bank in asked.banks:
        measure(subject, bank, asked.images, rows)


if __name__ == "__main__":
    main()
