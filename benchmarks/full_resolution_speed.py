"""What large pictures cost: `python -m benchmarks.full_resolution_speed NAME DATA [PICTURES]`.

On a board's bundles of BUNDLES: frames a second of its 640² pictures, the time of a 2448 × 2048 picture
over that of the bare model on its tiles (both in turns, same workers and batches), and the memory of its own that a
process needs for a 20-megapixel JPEG; the large pictures are laid out of the board's normal test pictures. With
PICTURES: seconds and memory of a fit to so many 2448 × 2048 pictures. Rows go into
`benchmarks/results/full_resolution_speed.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import panda_edge
from benchmarks.conditions import conditions
from benchmarks.results_file import ResultsFile
from panda_edge.inspect.machine import memory_mb
from panda_train.data.folders import open_dataset

SIZES = {"640 × 640": None, "2448 × 2048": (2448, 2048), "5472 × 3648": (5472, 3648)}
_RUNS = {"640 × 640": 60, "2448 × 2048": 7, "5472 × 3648": 2}
# Options of fit, and the sizes that each is asked for.
BUNDLES = {
    "as asked": (("--smallest-defect", "12"), tuple(SIZES)),
    "3x3": (("--tiles", "3x3"), ("640 × 640",)),
    "1/16": (("--smallest-defect", "12", "--overlap", "0.0625"), ("640 × 640", "2448 × 2048")),
}


def laid_out(pictures: list[Path], size: tuple[int, int], first: int = 0) -> Image.Image:
    """A picture of (width, height) pixels, of others side by side, beginning with the one of that number."""
    whole, number = Image.new("RGB", size), first
    y = 0
    while y < size[1]:
        x = 0
        while x < size[0]:
            with Image.open(pictures[number % len(pictures)]) as part:
                whole.paste(part, (x, y))
                x, height = x + part.width, part.height
            number += 1
        y += height
    return whole


class _OwnMemory:
    """The most memory of its own, MB, that this process has had since it began to watch."""

    def __init__(self) -> None:
        self.peak, self._going = 0.0, True
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _OwnMemory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._going = False
        self._thread.join()

    def _watch(self) -> None:
        while self._going:
            self.peak = max(self.peak, memory_mb()["own"])
            time.sleep(0.005)


def one_size(bundle: Path, pictures: list[Path], runs: int) -> dict[str, Any]:
    """Milliseconds of a picture, of its tiles' bare model, their ratio, and own memory; run in a process of its own."""
    with _OwnMemory() as memory:
        detector = panda_edge.load(bundle, threads=2)
        detector.segment(pictures[0])
        found = []
        for picture in islice(cycle(pictures), runs):
            floor = detector.model_floor(picture)
            started = time.perf_counter()
            result = detector.segment(picture)
            found.append(((time.perf_counter() - started) * 1e3, floor))
    whole, floors = np.array(found, dtype=float).T
    return {
        "tiles": result.view.count,
        "p50_ms": round(float(np.median(whole)), 1),
        "per_second": round(1e3 / float(np.median(whole)), 2),
        "floor_ms": round(float(np.median(floors)), 1),
        "ratio": round(float(np.median(whole / floors)), 3),
        "ratio_least_most": [round(float(edge), 2) for edge in ((whole / floors).min(), (whole / floors).max())],
        "stages_ms": {stage: round(ms, 1) for stage, ms in result.stages_ms.items()},
        "own_mb": round(memory.peak),
    }


def fit_many(pictures: list[Path], count: int, folder: Path) -> dict[str, Any]:
    """Seconds and memory of a fit to `count` pictures of 5 megapixels, at most 1 GB of bank."""
    data = folder / "many"
    data.mkdir()
    for number in range(count):
        laid_out(pictures, (2448, 2048), 3 * number).save(data / f"{number:04d}.jpg", quality=90)
    options = ["--smallest-defect", "12", "--max-bank-mb", "1000", "--json"]
    command = [sys.executable, "-m", "panda_train", "fit", str(data), "--out", str(folder / "many.panda"), *options]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        own = 0.0
        while process.poll() is None:
            own = max(own, _own_mb(process.pid))
            time.sleep(0.05)
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    seconds = time.perf_counter() - started
    found = {key: value for key, value in json.loads(said).items() if key != "bundle"}
    return {"pictures": count, "seconds": round(seconds), "own_mb": round(own), **found}


def _own_mb(process: int) -> float:
    """Memory of a process, MB, that no file backs."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("RssAnon")), 0.0)


def measure(name: str, data: Path, count: int) -> None:
    rows = ResultsFile("full_resolution_speed")
    pictures = list(open_dataset(data).train)
    with tempfile.TemporaryDirectory() as made:
        folder, bundle = Path(made), Path(made) / "x.panda"
        if count:
            rows.update(f"{name}: fit to 5 megapixels", **fit_many(pictures, count, folder), conditions=conditions(2))
            print(rows.get(f"{name}: fit to 5 megapixels"))
            return
        new = [sample.path for sample in open_dataset(data).test if not sample.anomalous]
        for label, (options, titles) in BUNDLES.items():
            fit = [sys.executable, "-m", "panda_train", "fit", str(data), "--out", str(bundle), *options]
            subprocess.run(fit, check=True, stdout=subprocess.DEVNULL)
            for title in titles:
                size, paths = SIZES[title], new
                if size is not None:
                    paths = [folder / f"{title} {number}.jpg" for number in range(3)]
                    for number, path in enumerate(paths):
                        laid_out(new, size, 7 * number).save(path, quality=92)
                command = [sys.executable, "-m", "benchmarks.full_resolution_speed", "--one", str(bundle)]
                command += [str(_RUNS[title]), *map(str, paths)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.update(f"{name}, {label}: {title}", **json.loads(done.stdout), conditions=conditions(2))
                print(f"{name}, {label}: {title}", json.loads(done.stdout), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(one_size(Path(sys.argv[2]), [Path(path) for path in sys.argv[4:]], int(sys.argv[3]))))
    else:
        measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
