"""anomalib's PatchCore and PaDiM with its Tiler and at larger inputs, beside ours, on pictures with small defects.

    PANDA_DATA=DATA PANDA_PEERS_VENV=FOLDER python -m benchmarks.peers.anomalib_tiles [NAME...] [--threads N]

DATA/pcb-13000 is a folder in MVTec layout (640 × 640 pixels). FOLDER is made by make_venv.sh; without it only our
rows are measured. NAME: rows of RUNS to measure, all if none is given. Rows are kept in `results/anomalib_tiles.json`,
so that a run takes up where it stopped, and shown in `results/full_resolution_peers.md`.

A run has 20 GB of address space and 20 minutes of processor time (10 minutes of two cores). What ends it is its row.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import panda_edge
from benchmarks import tables
from benchmarks.accuracy import accuracy
from benchmarks.peers.anomalib_run import peers_python
from benchmarks.results_file import FOLDER, ResultsFile
from benchmarks.subject import CACHE, REPOSITORY, Subject, say
from panda_edge.images.preprocessing import Preprocessing

DATA = "pcb-13000"
SIDE = 640  # of the pictures, where pixel figures are made
MEMORY_GB, CPU_SECONDS = 20, 1200


@dataclass(frozen=True)
class Theirs:
    """model: of anomalib_fit.py; size: pixels a side of its input; stride of tiles of 224 pixels, 0 for no tiles."""

    model: str
    size: int
    stride: int = 0


RUNS: dict[str, Theirs | tuple[str, ...]] = {
    "PaDiM 224": Theirs("padim", 224),
    "PatchCore 1 % 224": Theirs("patchcore-1", 224),
    "PaDiM tiles": Theirs("padim", 640, 208),
    "PatchCore 1 % tiles": Theirs("patchcore-1", 640, 208),
    "PaDiM 448": Theirs("padim", 448),
    "PatchCore 1 % 448": Theirs("patchcore-1", 448),
    "PaDiM 640": Theirs("padim", 640),
    "PatchCore 1 % 640": Theirs("patchcore-1", 640),
    "PatchCore 10 % 224": Theirs("patchcore-10", 224),
    "PatchCore 10 % tiles": Theirs("patchcore-10", 640, 208),
    "ours": (),
    "ours --input-size 448": ("--input-size", "448"),
    "ours --tiles 3x3": ("--tiles", "3x3", "--neighbors", "20"),
    "ours --smallest-defect 12": ("--smallest-defect", "12"),
    "ours --tiles 3x3 --bank coreset": ("--tiles", "3x3", "--bank", "coreset"),
}


def measure(names: list[str], threads: int) -> None:
    """Fill the rows that are not there yet, and write the table. Frames and anomalib's fits take so many threads."""
    subject = Subject(DATA, Path(os.environ["PANDA_DATA"]).resolve() / DATA)
    rows, python = ResultsFile("anomalib_tiles"), peers_python()
    for name in names or list(RUNS):
        run = RUNS[name]
        if rows.get(name) or (isinstance(run, Theirs) and python is None):
            continue
        say(name)
        load = os.getloadavg()[0]
        if isinstance(run, Theirs):
            assert python
            row = _theirs(subject, run, python, threads)
        else:
            row = _ours(subject, run, threads)
        rows.update(name, **row, threads=threads, load=round((load + os.getloadavg()[0]) / 2, 1))
        write(rows)


def _theirs(subject: Subject, run: Theirs, python: Path, threads: int) -> dict[str, Any]:
    folder = CACHE / subject.name / "peers-tiles"
    folder.mkdir(parents=True, exist_ok=True)
    frames = [_frames(subject, run.size, part, folder) for part in ("train", "test")]
    out = folder / f"{run.model}-{run.size}-{run.stride}"
    out.with_suffix(".json").unlink(missing_ok=True)
    script = Path(__file__).with_name("anomalib_tiles_run.py")
    command = [python, script, *frames, _backbone(subject, folder), out, run.model, run.stride, threads]
    done = _limited([str(part) for part in command], {"PYTHONPATH": str(REPOSITORY / "edge")})
    facts = json.loads(out.with_suffix(".json").read_text()) if out.with_suffix(".json").exists() else {}
    if done.returncode:
        return {**facts, "failed": _why(done)}
    scores, maps = facts.pop("scores"), np.load(out.with_suffix(".npy"), mmap_mode="r")
    number = {sample.path: i for i, sample in enumerate(subject.dataset.test)}

    def method(path: Path) -> tuple[float, np.ndarray]:
        image = Image.fromarray(maps[number[path]]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return scores[number[path]], np.asarray(image)

    found = accuracy(method, subject.dataset.test, Preprocessing(SIDE, SIDE))
    out.with_suffix(".npy").unlink()
    return {**facts, "accuracy": found}


def _ours(subject: Subject, args: tuple[str, ...], threads: int) -> dict[str, Any]:
    bundle = CACHE / subject.name / ("-".join(["peers-tiles", *(arg.strip("-") for arg in args)]) + ".panda")
    fit = [
        sys.executable,
        "-m",
        "panda_train",
        "fit",
        str(subject.root),
        "--out",
        str(bundle),
        "--device",
        "cpu",
        *args,
    ]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = _limited(fit, {})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return {"failed": _why(done)}
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts: dict[str, Any] = {"fit_s": round(time.perf_counter() - started, 1), "fit_cpu_s": round(cpu, 1)}
    facts["fit_peak_mb"] = int(_last_line(done.stdout, "peak_kb")) // 1024
    detector = panda_edge.load(bundle, threads)
    wall, processor = [], []

    def method(path: Path) -> tuple[float, np.ndarray]:
        picture = Image.open(path).convert("RGB")
        picture.load()
        before = time.perf_counter(), time.process_time()
        result = detector.segment(np.asarray(picture))
        wall.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
        return result.score, result.heatmap_on_image()

    found = accuracy(method, subject.dataset.test, Preprocessing(SIDE, SIDE))
    facts |= {"frame_ms": round(float(np.median(wall)) * 1e3, 1), "least_ms": round(min(wall) * 1e3, 1)}
    facts |= {"frame_cpu_ms": round(float(np.median(processor)) * 1e3, 1)}
    return {**facts, "accuracy": found}


def _backbone(subject: Subject, folder: Path) -> Path:
    """The graph of our backbone for 224 × 224 pixels, which anomalib's is checked against."""
    few = folder / "few"
    if not few.exists():
        few.mkdir()
        for path in subject.dataset.train[:8]:
            (few / path.name).symlink_to(path)
    return Subject(f"{subject.name}/backbone", few).bundle(()) / "model.onnx"


def _frames(subject: Subject, size: int, part: str, folder: Path) -> Path:
    file = folder / f"{part}-{size}.npy"
    if not file.exists():
        dataset = subject.dataset
        paths = dataset.train if part == "train" else [sample.path for sample in dataset.test]
        np.save(file, np.stack([Preprocessing(size, size).apply(path) for path in paths]))
    return file


def _limited(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run under the limits; the last line of stdout is the largest memory a process of it took."""
    code = (
        "import resource, subprocess, sys\n"
        f"resource.setrlimit(resource.RLIMIT_AS, [{MEMORY_GB} * 10**9] * 2)\n"
        f"resource.setrlimit(resource.RLIMIT_CPU, [{CPU_SECONDS}] * 2)\n"
        "done = subprocess.run(sys.argv[1:])\n"
        "print('peak_kb', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)\n"
    )
    whole = [sys.executable, "-c", code, *command]
    return subprocess.run(whole, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def _last_line(text: str, word: str) -> str:
    return next(line for line in reversed(text.splitlines()) if line.startswith(word)).split()[-1]


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode in (256 - signal.SIGKILL, 256 - signal.SIGXCPU):
        return f"{CPU_SECONDS // 60} minutes of processor time"
    lines = done.stderr.strip().splitlines()
    return lines[-1][:200] if lines else f"exit {done.returncode}"


def write(rows: ResultsFile) -> None:
    """The rows as a table."""
    lines = []
    for name in RUNS:
        row = rows.get(name)
        if not row:
            continue
        title = f"anomalib {name}" if isinstance(RUNS[name], Theirs) else name.replace("ours", "panda-train fit")
        found = row.get("accuracy", {})
        figures = [tables.number(found.get(f), 3) for f in ("image_auroc", "image_auroc_map", "pixel_auroc", "pro")]
        costs = [
            tables.number(row.get(k), 0) for k in ("fit_s", "fit_cpu_s", "fit_peak_mb", "frame_ms", "frame_cpu_ms")
        ]
        work = [tables.number(row.get(key), 0) for key in ("threads", "load")]
        lines.append([title, *figures, *costs, *work, row.get("failed", "")])
    header = ("", "image AUROC", "by map maximum", "pixel AUROC", "PRO", "fit s", "of processor", "fit's peak MB",
              "frame p50 ms", "of processor", "threads", "load", "ended by")  # fmt: skip
    text = [
        "# Full resolution, beside anomalib",
        f"`PANDA_DATA=DATA PANDA_PEERS_VENV=FOLDER python -m benchmarks.peers.anomalib_tiles`; {DATA}: 129 normal "
        "pictures, 87 + 87 to test, 640 × 640 pixels, masks are boxes. One backbone, EfficientNet-Lite0; its features "
        "in anomalib differ from ours by less than 0.001 of the largest. 224, 448, 640: the side that a picture is "
        "resized to. tiles: anomalib's Tiler on the 640 pixels, tiles of 224 with a stride of 208, 3 × 3 of them. "
        "PatchCore's coreset (1 or 10 % of the vectors) is selected by our C kernel. Pixel figures at 640 × 640. "
        f"Limits: {MEMORY_GB} GB of address space, {CPU_SECONDS // 60} minutes of processor time. A frame goes from "
        "decoded pixels to map and score: anomalib in torch, as it runs its Tiler. The machine had two cores and other "
        "work (load: processes that wanted them): only processor time compares, and that roughly.",
        tables.table(header, lines),
    ]
    (FOLDER / "full_resolution_peers.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="anomalib with tiles and at larger inputs, beside ours.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    measure(given.names, given.threads)
