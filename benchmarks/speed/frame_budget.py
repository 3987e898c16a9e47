"""What a frame costs beside the bare backbone: `python -m benchmarks.speed.frame_budget DATA [BUNDLE]`.

DATA: a folder in MVTec's layout. BUNDLE: fitted on it by `panda-train fit`; without one, the default is fitted, and
kept under build/. Backbone alone, a normal and a defective frame take turns: another program's load falls on all. What
is left of it, where two threads wait for each other, one thread's processor time does not have: it is measured, too.
The row goes into `benchmarks/speed/results/frame_budget.json`, the table into `frame_budget.md`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import panda_edge
from benchmarks.lib import tables
from benchmarks.lib.conditions import conditions, in_words
from benchmarks.lib.results_file import FOLDER, ResultsFile
from benchmarks.lib.subject import Subject, say
from panda_edge import _kernel, kernel
from panda_edge.detector import Detector

THREADS = 2
_PAIRS, _ALONE = 60, 20  # of a normal and a defective frame, on THREADS threads and on one
_STARTS = 7  # fresh processes
_EXACT = 1e-5

# Run in a fresh interpreter: one line when the first heat map is there, one with the memory after a few more.
_FRESH = """\
import sys
import panda_edge
detector = panda_edge.load(sys.argv[1], threads=int(sys.argv[2]))
detector.segment(sys.argv[3])
print(flush=True)
for path in sys.argv[3:]:
    detector.segment(path)
from panda_edge.system import memory_mb
print(memory_mb()["own"])
"""

# name of a figure: what it is, its mark, digits shown
_MARKS = {
    "normal": ("frame of a normal picture, backbones", 2.0, 2),
    "defective": ("frame of a defective picture, backbones", 3.0, 2),
    "normal_search": ("of it search, normal, backbones", 1.0, 2),
    "defective_search": ("of it search, defective, backbones", None, 2),
    "normal_alone": ("frame of a normal picture by one thread's processor time, backbones", None, 2),
    "defective_alone": ("frame of a defective picture, the same, backbones", None, 2),
    "first_map_s": ("first heat map after the process's start, s", 0.4, 2),
    "own_mb": ("memory beyond mapped files, MB", 120, 0),
}


def measured(bundle: Path, normal: list[Path], defective: list[Path]) -> dict[str, Any]:
    """The figures of one bundle. A frame, from file to heat map, over the backbone alone in the same turn; medians."""
    detector, alone = panda_edge.load(bundle, threads=THREADS), panda_edge.load(bundle, threads=1)
    for path in (normal[0], defective[0]):
        _check(detector, path)
    pairs = [
        {"normal": normal[i % len(normal)], "defective": defective[i % len(defective)]}
        for i in range(max(_PAIRS, _ALONE))
    ]
    backbone, frames = _in_turns(detector, pairs[:_PAIRS], time.perf_counter)
    found: dict[str, Any] = {"backbone_ms": round(float(np.median(backbone)), 2)}
    for kind, (whole, search) in frames.items():
        found[f"{kind}_ms"] = round(float(np.median(whole)), 2)
        found[kind] = round(float(np.median(whole / backbone)), 3)
        found[f"{kind}_search"] = round(float(np.median(search / backbone)), 3)
    backbone, frames = _in_turns(alone, pairs[:_ALONE], time.process_time)
    for kind, (whole, _) in frames.items():
        found[f"{kind}_alone"] = round(float(np.median(whole / backbone)), 3)
    return {**found, **_fresh(bundle, [*normal[:2], *defective[:2]])}


def _in_turns(
    detector: Detector, pairs: list[dict[str, Path]], clock: Callable[[], float]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Milliseconds by this clock of the backbone alone, (N,), and of each kind's frames: whole, and (by the wall's
    clock) search, (2, N)."""
    backbone: list[float] = []
    frames: dict[str, list[tuple[float, float]]] = {kind: [] for kind in pairs[0]}
    for pair in pairs:
        backbone.append(_backbone_ms(detector, pair["normal"], clock))
        for kind, path in pair.items():
            started = clock()
            result = detector.segment(path)
            frames[kind].append(((clock() - started) * 1e3, result.stages_ms["search"]))
    return np.array(backbone), {kind: np.array(times).T for kind, times in frames.items()}


def _check(detector: Detector, path: Path) -> None:
    """Raise unless the heat map is that of the scalar reference."""
    found = detector.segment(path).heatmap
    level = kernel.simd_level()
    _kernel.force_simd("scalar")
    wanted = detector.segment(path).heatmap
    _kernel.force_simd(level)
    assert found is not None
    assert wanted is not None
    np.testing.assert_allclose(found, wanted, rtol=_EXACT, atol=_EXACT * float(wanted.max()))


def _backbone_ms(detector: Detector, path: Path, clock: Callable[[], float]) -> float:
    frame = detector.preprocessing.apply(path)[None]
    detector.features(frame)  # the search that came before has its caches
    started = clock()
    detector.features(frame)
    return (clock() - started) * 1e3


def _fresh(bundle: Path, images: list[Path]) -> dict[str, float]:
    """Medians over fresh processes. They find our modules compiled, as pip leaves them on a device: an environment that
    forbids Python to keep bytecode would have each process compile them again."""
    seconds, own = [], []
    command = [sys.executable, "-c", _FRESH, str(bundle), str(THREADS), *map(str, images)]
    with tempfile.TemporaryDirectory() as compiled:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = compiled
        for start in range(_STARTS + 1):
            started = time.perf_counter()
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
                assert process.stdout is not None
                process.stdout.readline()
                taken, memory = time.perf_counter() - started, float(process.stdout.readline())
            if start > 0:  # the first one compiles
                seconds.append(taken)
                own.append(memory)
    return {"first_map_s": round(float(np.median(seconds)), 3), "own_mb": round(float(np.median(own)), 1)}


def table_of(row: dict[str, Any]) -> str:
    """A line a figure, beside its mark."""
    lines = [
        [what, tables.number(row[name], digits), "–" if mark is None else f"≤ {mark:g}"]
        for name, (what, mark, digits) in _MARKS.items()
    ]
    milliseconds = ", ".join(f"{kind} {row[f'{kind}_ms']:g}" for kind in ("backbone", "normal", "defective"))
    return "\n\n".join(
        [
            f"## {row['name']}",
            f"K = {row['neighbors']} of {row['images']} normal pictures. Medians in ms: {milliseconds}.",
            tables.table(("", "median", "mark"), lines),
            in_words(row["conditions"]),
        ]
    )


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    subject = Subject(root.name, root)
    bundle = Path(sys.argv[2]) if len(sys.argv) > 2 else subject.bundle(())
    facts = conditions(THREADS)
    paths = subject.images(len(subject.dataset.test))
    normal = [path for path in paths if path.parent.name == "good"]
    defective = [path for path in paths if path.parent.name != "good"]
    found = measured(bundle, normal, defective)
    maps = panda_edge.load(bundle).bundle.manifest.segmentation
    rows = ResultsFile("speed/results/frame_budget")
    name = f"{subject.name}, K = {maps.neighbors}"
    rows.update(name, name=name, neighbors=maps.neighbors, images=maps.count, conditions=facts, **found)
    say(f"{name}: {found}")
    about = (
        "# What a frame costs beside the bare backbone\n\n`python -m benchmarks.speed.frame_budget DATA "
        "[BUNDLE]`; a frame goes from its file to its heat map. Backbone and frames took turns; a figure in "
        "backbones is the median of "
        "the turns' ratios. Heat maps equal the scalar reference's to 1e-5."
    )
    text = "\n\n".join([about, *(table_of(rows.get(name)) for name in rows.names())])
    (FOLDER / "speed/results/frame_budget.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
