"""Speed against accuracy of the banks: one row a configuration.

Accuracy needs every test image and is kept between runs; speed is measured for all configurations in one run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import panda_edge
from benchmarks.lib.accuracy import accuracy
from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import FitError, Subject, say
from panda_edge import kernel
from panda_edge.banks.joint_hnsw import JOINT_HNSW_FILE
from panda_edge.banks.level_files import joint_descriptors
from panda_edge.bundle.folder import open_bundle
from panda_edge.detector import STAGES, Detector


@dataclass(frozen=True)
class Configuration:
    """name: in the table. family: points of one family are joined in the plot. args: of `panda-train fit`."""

    name: str
    family: str
    args: tuple[str, ...] = ()
    epsilon: float = 0.0


def _option(name: str, family: str, *args: str) -> Configuration:
    return Configuration(name, family, args)


EXACT = _option("exact, K=50", "exact")
_PLAIN = ("--plain",)  # SPADE's own map
# One of each kind, for the README.
README = ("exact, K=50", "k-means, M=50", "coreset, 5000", "gaussian")
# What `panda-train fit` does not offer is left out of the table by name.
CONFIGURATIONS = (
    EXACT,
    _option("exact, plain", "exact", *_PLAIN),
    *(Configuration(f"exact, plain, ε={e}", "exact, ε", _PLAIN, e) for e in (0.05, 0.25)),
    *(_option(f"exact, plain, K={k}", "exact, K", "--neighbors", k, *_PLAIN) for k in ("10", "100")),
    *(_option(f"k-means, M={m}", "k-means", "--bank", "kmeans", "--means", m) for m in ("10", "50", "200", "1000")),
    _option("k-means per level, M=50", "k-means per level", "--bank", "kmeans-levels", "--means", "50"),
    *(_option(f"coreset, {n}", "coreset", "--bank", "coreset", "--vectors", n) for n in ("5000", "20000")),
    *(_option(f"hnsw, {n}", "hnsw", "--bank", "joint-hnsw", "--vectors", n) for n in ("5000", "50000")),
    _option("gaussian", "gaussian", "--bank", "gaussian"),
    *(_option(f"exact, plain, {s}²", "input", "--input-size", s, *_PLAIN) for s in ("160", "320")),
    _option("exact, plain, int8", "exact, int8", "--precision", "int8", *_PLAIN),
    _option("gaussian, int8", "gaussian, int8", "--bank", "gaussian", "--precision", "int8"),
)


def measure_accuracy(
    subject: Subject, rows: ResultsFile, threads: int, fresh: Sequence[str] = (), only: Sequence[str] = ()
) -> None:
    """Fit and evaluate what the rows do not hold yet, the README's first, so that an early stop leaves those.

    fresh: names of configurations to fit and evaluate in any case. only: names of the ones to look at; () is all.
    """
    fitted: set[tuple[str, ...]] = set()  # configurations that differ in ε share a bundle
    for configuration in sorted(CONFIGURATIONS, key=lambda c: c.name not in README):
        if only and configuration.name not in only:
            continue
        key = key_of(subject, configuration)
        if configuration.name not in fresh and "accuracy" in rows.get(key):
            continue
        say(f"accuracy: {configuration.name}")
        try:
            again = configuration.name in fresh and configuration.args not in fitted
            bundle = subject.bundle(configuration.args, again)
            fitted.add(configuration.args)
        except FitError as error:
            say(f"left out: {error}")
            rows.update(key, left_out=str(error))
            continue
        detector = panda_edge.load(bundle, threads, epsilon=configuration.epsilon)

        def method(path: Path, detector: Detector = detector) -> tuple[float, np.ndarray]:
            result = detector.segment(path)
            assert result.heatmap is not None
            return result.score, result.heatmap

        figures = accuracy(method, subject.dataset.test, detector.preprocessing)
        rows.update(
            key,
            data=subject.name,
            name=configuration.name + _precision_kept(configuration, detector),
            family=configuration.family,
            command=" ".join(("panda-train fit DATA", *configuration.args)),
            epsilon=configuration.epsilon,
            bundle_mb=round(_folder_mb(bundle), 1),
            calibrated_on=_in_words(detector.bundle.manifest.calibration),
            accuracy=figures,
            commit=commit(),
            left_out=None,
        )
        if detector.bundle.manifest.segmentation.bank == "hnsw":
            rows.update(key, recall_at_1=round(_recall(detector, subject.images(8)), 4))


def measure_speed(subject: Subject, rows: ResultsFile, threads: int, images: int = 120, rounds: int = 6) -> list[str]:
    """Time every configuration that has a bundle, in turns. Returns their keys.

    The rounds go over all configurations in turn, so that a disturbance of the machine falls on all of them alike;
    within a turn a configuration has the caches for itself. Milliseconds over `images` test images.
    """
    paths = subject.images(images)
    share = images // rounds
    timed = {}
    for configuration in CONFIGURATIONS:
        key = key_of(subject, configuration)
        if "accuracy" in rows.get(key):
            bundle = subject.bundle(configuration.args)
            timed[key] = (panda_edge.load(bundle, threads, epsilon=configuration.epsilon), _Times())
    for turn in range(rounds):
        say(f"speed: round {turn + 1} of {rounds}")
        for detector, times in timed.values():
            turn_paths = paths[turn * share : (turn + 1) * share]
            for path in turn_paths[:3]:
                detector.segment(path)
            for path in turn_paths:
                times.add(detector, path)
    for key, (_, times) in timed.items():
        rows.update(key, speed=times.figures())
    return list(timed)


class _Times:
    def __init__(self) -> None:
        self._frames: list[float] = []
        self._stages: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def add(self, detector: Detector, path: Path) -> None:
        started = time.perf_counter()
        result = detector.segment(path)
        self._frames.append((time.perf_counter() - started) * 1e3)
        for stage, ms in result.stages_ms.items():
            self._stages.setdefault(stage, []).append(ms)

    def figures(self) -> dict[str, Any]:
        return {
            "p50_ms": round(float(np.median(self._frames)), 2),
            "p95_ms": round(float(np.percentile(self._frames, 95)), 2),
            "least_ms": round(min(self._frames), 2),
            "frames": len(self._frames),
            "stages_ms": {stage: round(float(np.median(ms)), 3) for stage, ms in self._stages.items() if ms},
            "least_search_ms": round(min(self._stages["search"]), 2),
        }


def key_of(subject: Subject, configuration: Configuration) -> str:
    """The row's name."""
    return f"{subject.name}: {configuration.name}"


def keys(subject: Subject) -> list[str]:
    """Row names of all configurations, in the table's order."""
    return [key_of(subject, configuration) for configuration in CONFIGURATIONS]


def _precision_kept(configuration: Configuration, detector: Detector) -> str:
    """What the table adds to a name where int8 was asked for and was not faster on this machine."""
    kept = detector.bundle.manifest.recipe.precision
    return " (float32 was faster)" if "int8" in configuration.args and kept != "int8" else ""


def _in_words(calibration: dict[str, Any] | None) -> str | None:
    """Normal images that thresholds come from; those held out are not in the bank."""
    return f"{calibration['images']} {calibration['kind']}" if calibration else None


def _folder_mb(bundle: Path) -> float:
    return sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 1e6


def _recall(detector: Detector, images: Sequence[Path]) -> float:
    """Share of positions of some test images for which hnswlib finds the nearest of its own vectors."""
    import hnswlib

    bundle = open_bundle(detector.bundle.path)
    segmentation = bundle.manifest.segmentation
    index = hnswlib.Index(space="l2", dim=sum(level.channels for level in bundle.manifest.levels))
    index.load_index(str(bundle.path / JOINT_HNSW_FILE))
    index.set_ef(segmentation.ef)
    stored = np.asarray(index.get_items(np.arange(segmentation.count)), dtype=np.float32)
    found = []
    for path in images:
        features = detector.features(detector.preprocessing.apply(path)[None])
        queries = joint_descriptors([level[0] for level in features.levels])
        _, exact = kernel.topk(queries, stored, 1, threads=detector.threads)
        approximate, _ = index.knn_query(queries, 1)
        found.append(float((approximate[:, 0] == exact[:, 0]).mean()))
    return float(np.mean(found))
