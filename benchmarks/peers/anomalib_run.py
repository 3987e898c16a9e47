"""Exported models of two peers and our bundles on the same images, in turns, in one process and one onnxruntime.

Needs an environment that make_venv.sh made, named by PANDA_PEERS_VENV; its exports are kept between runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

import panda_edge
from benchmarks.lib.accuracy import accuracy
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import CACHE, REPOSITORY, Subject, say
from benchmarks.speed.bank_table import CONFIGURATIONS, EXACT, key_of
from panda_edge.images.preprocessing import Preprocessing

MODELS = {
    "padim": "anomalib PaDiM, 100 of 176 channels, 56²",
    "patchcore-1": "anomalib PatchCore 1 %",
    "patchcore-10": "anomalib PatchCore 10 %",
    "anomavision": "anomavision PaDiM, ResNet18, 50 of 192 channels, 56²",
}
OURS = ("exact, K=50", "exact, near", "coreset, 5000", "k-means, M=50", "gaussian")
_FRAME = Preprocessing(224, 224)
_PACKAGES = ("anomalib", "anomavision", "timm", "torch", "onnxruntime", "openvino")
_NOT_MEASURED = {"image_auroc": None, "image_auroc_map": None, "pixel_auroc": None, "pro": None, "kinds": {}}
_SLOW = ("patchcore-10",)  # its coreset takes long to select: fitted only where asked for

Run = Callable[[Path], tuple[float, np.ndarray]]

# A fresh interpreter: imports, load, one image; then the memory it took. argv: model, image.
_WITH_INFERENCER = """\
import sys, time
started = time.perf_counter()
from anomalib.deploy import OpenVINOInferencer
imported = time.perf_counter()
OpenVINOInferencer(sys.argv[1], device="CPU").predict(sys.argv[2])
"""
_WITH_ONNXRUNTIME = """\
import sys, time
started = time.perf_counter()
import numpy as np, onnxruntime as ort
from PIL import Image
imported = time.perf_counter()
options = ort.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = ort.InferenceSession(sys.argv[1], options)
frame = np.asarray(Image.open(sys.argv[2]).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
session.run(None, {"input": frame.transpose(2, 0, 1)[None].astype(np.float32) / 255})
"""
_WITH_PANDA_EDGE = """\
import sys, time
started = time.perf_counter()
import panda_edge
imported = time.perf_counter()
panda_edge.load(sys.argv[1], threads=int(sys.argv[3])).segment(sys.argv[2])
"""
_REPORT = """
import json
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
mb = {key: int(status[name].split()[0]) / 1024 for key, name in (("peak_mb", "VmHWM"), ("own_mb", "RssAnon"))}
print(json.dumps({"import_s": imported - started, "first_map_s": time.perf_counter() - started, **mb}))
"""


def peers_python() -> Path | None:
    """The interpreter of the peers' environment; None where PANDA_PEERS_VENV names none."""
    given = os.environ.get("PANDA_PEERS_VENV")
    python = Path(given) / "bin" / "python" if given else None
    return python if python and python.exists() else None


def export_models(subject: Subject, python: Path, slow: bool) -> dict[str, Path]:
    """Fit and export what an earlier run has not. slow: also PatchCore 10 %, which is left out otherwise."""
    folder = CACHE / subject.name / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    frames = folder / "frames.npy"
    if not frames.exists():
        np.save(frames, np.stack([_FRAME.apply(path) for path in subject.dataset.train]))
    onnx = subject.bundle(EXACT.args) / "model.onnx"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "edge")}
    for name in MODELS:
        if (folder / f"{name}.json").exists() or (name in _SLOW and not slow):
            continue
        say(f"fit and export {MODELS[name]}")
        given = [frames, folder] if name == "anomavision" else [frames, onnx, folder]
        script = Path(__file__).with_name("anomavision_fit.py" if name == "anomavision" else "anomalib_fit.py")
        command = [str(python), str(script), *map(str, given), name]
        try:
            subprocess.run(command, env=environment, capture_output=True, check=True)
        except subprocess.CalledProcessError as error:
            say(f"{name} left out: {error.stderr.decode().strip().splitlines()[-1]}")
    return {name: folder / f"{name}.onnx" for name in MODELS if (folder / f"{name}.json").exists()}


@dataclass(frozen=True)
class Effort:
    """slow: fit the models that take long, too. images: timed in so many rounds. processes: measure memory and cold
    start."""

    slow: bool = False
    images: int = 100
    rounds: int = 5
    processes: bool = True


def compare(
    subject: Subject,
    rows: ResultsFile,
    banks: ResultsFile,
    threads: int,
    python: Path,
    effort: Effort,
) -> None:
    """Milliseconds from a file to its heat map and score (decode and resize are the same code for all), accuracy,
    memory and cold start, for anomalib's models and our banks."""
    exported = export_models(subject, python, effort.slow)
    rows.update(f"{subject.name}: versions", **_versions(python))
    measured = {c.name: banks.get(key_of(subject, c)) for c in CONFIGURATIONS if c.name in OURS}
    ours = {c.name: subject.bundle(c.args) for c in CONFIGURATIONS if "accuracy" in measured.get(c.name, {})}
    runs: dict[str, Run] = {name: _our_run(bundle, threads) for name, bundle in ours.items()}
    runs |= {name: _their_run(path, threads) for name, path in exported.items()}
    for name, run in runs.items():
        key = f"{subject.name}: {name}"
        if name in ours:
            rows.update(key, accuracy=measured[name]["accuracy"])
        elif _facts(exported[name]).get("weights") == "random":
            rows.update(key, accuracy=_NOT_MEASURED)
        elif "accuracy" not in rows.get(key):
            say(f"anomalib table, accuracy: {name}")
            rows.update(key, accuracy=accuracy(run, subject.dataset.test, _FRAME))
    times = _times(runs, subject.images(effort.images), effort.rounds)
    frame = CACHE / subject.name / "peers" / "frame.png"  # anomalib's inferencer does not resize
    Image.fromarray(_FRAME.apply(subject.images(1)[0])).save(frame)
    for name in runs:
        key = f"{subject.name}: {name}"
        facts = _facts(exported[name]) if name in exported else {}
        path = exported.get(name) or ours[name]
        rows.update(
            key,
            title=MODELS[name] if name in exported else f"panda-edge {name}",
            images=effort.images,
            p50_ms=round(float(np.median(times[name])), 2),
            p95_ms=round(float(np.percentile(times[name], 95)), 2),
            least_ms=round(min(times[name]), 2),
            mb=round(_size(path) / 1e6, 1),
            processes=_processes(name, path, name in exported, frame, threads, python) if effort.processes else {},
            **facts,
        )


def _facts(exported: Path) -> dict[str, Any]:
    """What the script that fitted the model says of it."""
    return dict(json.loads(exported.with_suffix(".json").read_text()))


def _times(runs: dict[str, Run], paths: list[Path], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    share = len(paths) // rounds
    for turn in range(rounds):
        say(f"anomalib table, speed: round {turn + 1} of {rounds}")
        for name, run in runs.items():
            run(paths[turn * share])
            for path in paths[turn * share : (turn + 1) * share]:
                started = time.perf_counter()
                run(path)
                times[name].append((time.perf_counter() - started) * 1e3)
    return times


def _our_run(bundle: Path, threads: int) -> Run:
    detector = panda_edge.load(bundle, threads)

    def run(path: Path) -> tuple[float, np.ndarray]:
        result = detector.segment(path)
        assert result.heatmap is not None
        return result.score, result.heatmap

    return run


def _their_run(onnx: Path, threads: int) -> Run:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(onnx), options)

    def run(path: Path) -> tuple[float, np.ndarray]:
        frame = np.ascontiguousarray(_FRAME.apply(path).transpose(2, 0, 1)[None])
        score, heatmap = session.run(["pred_score", "anomaly_map"], {"input": frame.astype(np.float32) / 255})
        return float(score.ravel()[0]), heatmap.reshape(heatmap.shape[-2:])

    return run


def _processes(
    name: str, path: Path, theirs: bool, image: Path, threads: int, python: Path
) -> dict[str, dict[str, float]]:
    """Imports, time to the first map and memory of a fresh process, the faster of two."""
    own = Path(sys.executable)
    programs = {"panda_edge": (own, _WITH_PANDA_EDGE)}
    if theirs:
        programs = {"onnxruntime alone": (own, _WITH_ONNXRUNTIME)}
        if name != "anomavision":
            programs["OpenVINOInferencer"] = python, _WITH_INFERENCER
    figures = {}
    for program, (interpreter, code) in programs.items():
        say(f"anomalib table, cold start: {name} with {program}")
        command = [str(interpreter), "-c", code + _REPORT, str(path), str(image), str(threads)]
        runs = []
        for _ in range(2):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                say(f"left out: {done.stderr.strip().splitlines()[-1]}")
                break
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        if runs:
            faster = min(runs, key=lambda run: run["first_map_s"])
            figures[program] = {key: round(value, 2) for key, value in faster.items()}
    return figures


def _versions(python: Path) -> dict[str, str]:
    """Of what counts in the peers' environment."""
    code = (
        "import json; from importlib.metadata import version; "
        f"print(json.dumps({{name: version(name) for name in {_PACKAGES!r}}}))"
    )
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
