"""The coreset bank's search beside faiss and hnswlib on the same descriptors; the bank's accuracy and speed as a whole.

    PANDA_DATA=DIR python -m benchmarks.studies.coreset_search [--vectors 59740] [--bundle X.panda]

Writes benchmarks/studies/coreset_search/results.json. All searches see the same float32 queries, turned as the bank is,
and run in turns, frame by frame; ours reads the float16 bank, the others a float32 copy. Our distances are compared
with faiss's brute force before a time counts. faiss IVF and hnswlib are set to the least effort at which their recall
is 0.99.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import hnswlib
import numpy as np

import panda_edge
from benchmarks.lib.accuracy import accuracy
from benchmarks.lib.conditions import commit, conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge import kernel
from panda_edge.banks.coreset import BASIS_FILE, CORESET_FILE, MEAN_FILE, CoresetGrid
from panda_edge.detector import Detector

RECALL = 0.99
_SAME = 1e-3  # relative: faiss expands |q - g|² and loses digits where it is small
_LISTS = 256
_EFFORTS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)

Search = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Queries (Q, D) → squared distances (Q,), rows (Q,)."""


def main() -> None:
    parser = argparse.ArgumentParser(description="The coreset bank beside faiss and hnswlib.")
    parser.add_argument("--vectors", type=int, default=59_740, help="a tenth of the tile data's descriptors")
    parser.add_argument("--bundle", type=Path, help="a coreset bundle that is already there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", choices=("search", "accuracy"))
    given = parser.parse_args()
    subject = open_subject()
    # All normal images, as the peer's bank is of all: none is held out.
    command = ("--bank", "coreset", "--vectors", str(given.vectors), "--hold-out", "0")
    bundle = given.bundle or subject.bundle(command)
    rows = ResultsFile("studies/coreset_search/results")
    detector = panda_edge.load(bundle, given.threads)
    key = f"{subject.name}: {detector.bundle.manifest.segmentation.count} descriptors"
    rows.update(key, command=f"panda-train fit DATA {' '.join(command)}", **_machine(given.threads))
    if given.only != "accuracy":
        rows.update(key, search=compare(detector, subject, given.threads, given.frames))
        rows.update(key, frames=whole(detector, subject, given.frames))
    if given.only != "search":
        say("accuracy")
        rows.update(key, accuracy=accuracy(_method(detector), subject.dataset.test, detector.preprocessing))
    print(rows.get(key))


def compare(detector: Detector, subject: Subject, threads: int, frames: int) -> dict[str, Any]:
    """Milliseconds a frame of each search, and recall. Raises AssertionError where ours is not the nearest."""
    faiss.omp_set_num_threads(threads)
    stored, queries = _bank(detector), _queries(detector, subject, frames, threads)
    copy = stored.astype(np.float32)
    brute = faiss.IndexFlatL2(copy.shape[1])
    brute.add(copy)
    true = [brute.search(frame, 1)[0][:, 0] for frame in queries]
    ours = kernel.FlatSearch(stored, threads)
    worst = max(
        float((np.abs(ours.nearest(frame)[0] - exact) / np.maximum(exact, exact.mean() * 1e-2)).max())
        for frame, exact in zip(queries, true, strict=True)
    )
    assert worst < _SAME, f"distances differ by {worst:.1e}"
    searches: dict[str, Search] = {"ours": ours.nearest, "faiss IndexFlatL2": _first(brute.search)}
    facts: dict[str, dict[str, Any]] = {"ours": {"largest_relative_difference": float(f"{worst:.1e}")}}
    for name, make in (("faiss IndexIVFFlat", _ivf), ("hnswlib", _hnsw)):
        say(f"building {name}")
        started = time.perf_counter()
        search, set_effort = make(copy, threads)
        facts[name] = {"build_s": round(time.perf_counter() - started, 1)}
        for effort in _EFFORTS:
            set_effort(effort)
            recall = _recall(search, queries[::6], true[::6])
            if recall >= RECALL:
                break
        facts[name] |= {"effort": effort, "recall": round(_recall(search, queries, true), 4)}
        searches[name] = search
    say("timing")
    times: dict[str, list[float]] = {name: [] for name in searches}
    for frame in queries:
        for name, search in searches.items():
            search(frame)  # the caches to itself
            started = time.perf_counter()
            search(frame)
            times[name].append((time.perf_counter() - started) * 1e3)
    p50 = {name: float(np.median(ms)) for name, ms in times.items()}
    return {
        name: {**_figures(times[name]), "times_ours": round(p50[name] / p50["ours"], 2), **facts.get(name, {})}
        for name in searches
    } | {"frames": frames, "queries": len(queries[0]), "dimensions": copy.shape[1], "descriptors": len(copy)}


def whole(detector: Detector, subject: Subject, frames: int) -> dict[str, Any]:
    """From a file to its heat map."""
    paths = subject.images(frames)
    detector.segment(paths[0])
    times, stages = [], []
    for path in paths:
        started = time.perf_counter()
        stages.append(detector.segment(path).stages_ms)
        times.append((time.perf_counter() - started) * 1e3)
    return {
        **_figures(times),
        "frames_a_second": round(1e3 / float(np.median(times)), 1),
        "stages_ms": {name: round(float(np.median([s[name] for s in stages])), 2) for name in stages[0]},
    }


def _method(detector: Detector) -> Callable[[Path], tuple[float, np.ndarray]]:
    def run(path: Path) -> tuple[float, np.ndarray]:
        result = detector.segment(path)
        assert result.heatmap is not None
        return result.score, result.heatmap

    return run


def _bank(detector: Detector) -> np.ndarray:
    bundle = detector.bundle
    shape = (bundle.manifest.segmentation.count, CoresetGrid(bundle.manifest.levels).channels)
    return bundle.array(CORESET_FILE, shape, bundle.manifest.segmentation.dtype)


def _queries(detector: Detector, subject: Subject, frames: int, threads: int) -> list[np.ndarray]:
    bundle = detector.bundle
    grid = CoresetGrid(bundle.manifest.levels)
    mean = bundle.array(MEAN_FILE, (grid.channels,), "float32")
    basis = bundle.array(BASIS_FILE, (grid.channels, grid.channels), "float32")
    found = []
    for path in subject.images(frames):
        features = detector.features(detector.preprocessing.apply(path)[None])
        descriptors = grid.descriptors([level[0] for level in features.levels])
        found.append(kernel.project(descriptors, mean, basis, threads))
    return found


def _first(search: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]) -> Search:
    def run(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distances, rows = search(queries, 1)
        return distances[:, 0], rows[:, 0]

    return run


def _ivf(copy: np.ndarray, threads: int) -> tuple[Search, Callable[[int], None]]:
    quantiser = faiss.IndexFlatL2(copy.shape[1])
    index = faiss.IndexIVFFlat(quantiser, copy.shape[1], _LISTS)
    index.train(copy)
    index.add(copy)

    def probe(effort: int) -> None:
        index.nprobe = effort

    search = _first(index.search)
    return lambda queries, keep=quantiser: search(queries), probe


def _hnsw(copy: np.ndarray, threads: int) -> tuple[Search, Callable[[int], None]]:
    index = hnswlib.Index(space="l2", dim=copy.shape[1])
    index.init_index(max_elements=len(copy), ef_construction=100, M=16, random_seed=0)
    index.set_num_threads(threads)
    index.add_items(copy)

    def run(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, distances = index.knn_query(queries, 1)
        return distances[:, 0], rows[:, 0]

    return run, index.set_ef


def _recall(search: Search, queries: list[np.ndarray], true: list[np.ndarray]) -> float:
    """Share of queries whose distance is the exact one, to 1e-3."""
    return float(
        np.mean([(search(frame)[0] <= exact * (1 + _SAME)).mean() for frame, exact in zip(queries, true, strict=True)])
    )


def _figures(milliseconds: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(float(np.median(milliseconds)), 2),
        "p95_ms": round(float(np.percentile(milliseconds, 95)), 2),
        "least_ms": round(min(milliseconds), 2),
    }


def _machine(threads: int) -> dict[str, Any]:
    return {"conditions": conditions(threads), "commit": commit()}


if __name__ == "__main__":
    main()
