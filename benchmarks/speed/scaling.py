"""How the cost grows: search with K, frame with threads and with the input's resolution, detection with N."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import hnswlib
import numpy as np

import panda_edge
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, say
from benchmarks.peers.search import stored_features
from benchmarks.speed.bank_table import EXACT
from panda_edge import kernel
from panda_edge.detector import Detector

_NEIGHBORS = (1, 2, 5, 10, 20, 50, 100, 200)
_SIDES = (128, 160, 224, 320, 448)  # pixels of the model's input
COUNTS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)  # stored embeddings
_KEPT_GRAPH = 100_000  # graphs of so many vectors are kept between runs, with the seconds that building them took
_LARGEST_GRAPH = 100_000  # larger ones take an hour to build here: only where asked for
_NOISE = 0.05  # see mixed_embeddings
_CHUNK = 50_000  # vectors mixed at a time

Search = Callable[[np.ndarray], np.ndarray]
"""One query, float32 (1, D) → numbers of the two nearest, (1, 2)."""


def measure_neighbors(subject: Subject, rows: ResultsFile, threads: int, images: int = 24) -> None:
    """Exact search over the K most similar images, milliseconds (median), one image after the other for all K."""
    detector = panda_edge.load(subject.bundle(EXACT.args), threads)
    manifest = detector.bundle.manifest
    gallery, embeddings = stored_features(detector)
    search = kernel.PyramidSearch(gallery, (manifest.levels[0].height, manifest.levels[0].width), threads)
    counts = [k for k in _NEIGHBORS if k <= manifest.segmentation.count]
    times: dict[int, list[float]] = {k: [] for k in counts}
    for path in subject.images(images):
        features = detector.features(detector.preprocessing.apply(path)[None])
        levels = [level[0] for level in features.levels]
        _, similar = kernel.topk(features.embedding, embeddings, counts[-1], threads)
        for k in counts:
            started = time.perf_counter()
            search.nearest(levels, similar[0, :k])
            times[k].append((time.perf_counter() - started) * 1e3)
    rows.update(f"{subject.name}: neighbors", search_ms={str(k): _median(ms) for k, ms in times.items()})


def measure_threads(subject: Subject, rows: ResultsFile, images: int = 60) -> None:
    """A frame with 1 … all cores, milliseconds (median) by stage."""
    counts = sorted({1, 2, os.cpu_count() or 1} | {4} & set(range(os.cpu_count() or 1)))
    detectors = {count: panda_edge.load(subject.bundle(EXACT.args), count) for count in counts}
    rows.update(f"{subject.name}: threads", stages_ms=_stages(detectors, subject, images))


def measure_resolution(subject: Subject, rows: ResultsFile, threads: int, images: int = 40) -> None:
    """A frame at several input sizes, milliseconds (median) by stage; the banks hold a part of the normal images."""
    detectors = {}
    folder = _some_normal_images(subject)
    for side in _SIDES:
        say(f"resolution: {side}²")
        part = Subject(f"{subject.name}-part", folder)
        detectors[side] = panda_edge.load(part.bundle(("--input-size", str(side))), threads)
    rows.update(f"{subject.name}: resolution", stages_ms=_stages(detectors, subject, images))


def measure_detection(subject: Subject, rows: ResultsFile, threads: int, slow: bool = False, queries: int = 60) -> None:
    """The 2 nearest of N embeddings by the C kernel (float32, float16), faiss, hnswlib and numpy, in turns.

    Milliseconds a query (median), one query at a time; recall of both neighbours; megabytes; seconds to build. A
    million embeddings take 18 GB here; where the machine has less, the rows end before. slow: build graphs of more
    than 100,000, too.
    """
    faiss.omp_set_num_threads(threads)
    real = np.ascontiguousarray(stored_features(panda_edge.load(subject.bundle(EXACT.args), threads))[1])
    for count in COUNTS:
        if 3.8 * count * real.shape[1] * 4 > _memory_bytes():
            say(f"detection: {count} embeddings need more memory than this machine has")
            break
        say(f"detection: {count} embeddings")
        bank = mixed_embeddings(real, count + queries, seed=0)
        asked, bank = bank[:queries], bank[queries:]
        half = bank.astype(np.float16)
        flat = faiss.IndexFlatL2(bank.shape[1])
        flat.add(bank)
        graph, built = _graph(subject, bank, threads, slow)
        searches: dict[str, Search] = {
            "kernel float32": partial(_with_kernel, bank, threads),
            "kernel float16": partial(_with_kernel, half, threads),
            "faiss flat": partial(_with_faiss, flat),
            "numpy": partial(_with_numpy, bank, np.einsum("ij,ij->i", bank, bank)),
        }
        size = {"kernel float32": bank.nbytes, "kernel float16": half.nbytes}
        size |= {"faiss flat": bank.nbytes, "numpy": bank.nbytes}
        if graph is not None:
            searches["hnswlib, ef=64"] = partial(_with_hnswlib, graph)
            size["hnswlib, ef=64"] = graph.index_file_size()
        _, truth = kernel.topk(asked, bank, 2, threads)
        figures = {}
        for name, (ms, recall) in _compared(searches, asked, truth).items():
            figures[name] = {"ms": ms, "recall": recall, "mb": round(size[name] / 1e6, 1)}
            figures[name]["build_s"] = built if name.startswith("hnswlib") else None
        rows.update(f"{subject.name}: detection {count}", count=count, dimensions=bank.shape[1], searches=figures)
        del bank, half, flat, graph, searches
        gc.collect()


def _graph(subject: Subject, bank: np.ndarray, threads: int, slow: bool) -> tuple[hnswlib.Index | None, float]:
    """hnswlib's graph of the bank, with the seconds that building it took; a large one may be of an earlier run.

    None where it is too large to be built unless `slow`.
    """
    file = subject.bundle(EXACT.args).parent / f"{len(bank)}-embeddings.hnsw"
    seconds = file.with_suffix(".seconds")
    graph = hnswlib.Index(space="l2", dim=bank.shape[1])
    if seconds.exists():
        graph.load_index(str(file), max_elements=len(bank))
        built = float(seconds.read_text())
    elif len(bank) > _LARGEST_GRAPH and not slow:
        return None, 0.0
    else:
        graph.init_index(max_elements=len(bank), ef_construction=200, M=16, random_seed=0)
        graph.set_num_threads(threads)
        started = time.perf_counter()
        graph.add_items(bank)
        built = round(time.perf_counter() - started, 1)
        if len(bank) >= _KEPT_GRAPH:
            graph.save_index(str(file))
            seconds.write_text(str(built))
    graph.set_num_threads(threads)
    graph.set_ef(64)
    return graph, built


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _with_kernel(bank: np.ndarray, threads: int, query: np.ndarray) -> np.ndarray:
    return kernel.topk(query, bank, 2, threads)[1]


def _with_faiss(index: faiss.Index, query: np.ndarray) -> np.ndarray:
    return np.asarray(index.search(query, 2)[1])


def _with_hnswlib(index: hnswlib.Index, query: np.ndarray) -> np.ndarray:
    return np.asarray(index.knn_query(query, 2)[0])


def _with_numpy(bank: np.ndarray, squares: np.ndarray, query: np.ndarray) -> np.ndarray:
    return np.argpartition(squares - 2 * (bank @ query[0]), 1)[None, :2]


def mixed_embeddings(real: np.ndarray, count: int, seed: int) -> np.ndarray:
    """As many vectors as wanted where only a few are real: mixtures of two real ones and some noise, (count, D).

    Evenly random vectors in 1,280 dimensions have no near neighbours, which no real embeddings look like.
    """
    random = np.random.default_rng(seed)
    mixed = np.empty((count, real.shape[1]), np.float32)
    for start in range(0, count, _CHUNK):
        part = mixed[start : start + _CHUNK]
        first, second = random.integers(len(real), size=(2, len(part)))
        share = random.random((len(part), 1), dtype=np.float32)
        noise = random.standard_normal(part.shape, dtype=np.float32) * (_NOISE * real.std())
        part[:] = share * real[first] + (1 - share) * real[second] + noise
    return mixed


def _compared(searches: dict[str, Search], asked: np.ndarray, truth: np.ndarray) -> dict[str, tuple[float, float]]:
    """Median milliseconds and recall of each search; they take turns, query by query."""
    times: dict[str, list[float]] = {name: [] for name in searches}
    hits: dict[str, list[float]] = {name: [] for name in searches}
    for query, true in zip(asked, truth, strict=True):
        for name, search in searches.items():
            started = time.perf_counter()
            found = search(query[None])
            times[name].append((time.perf_counter() - started) * 1e3)
            hits[name].append(len(set(found[0].tolist()) & set(true.tolist())) / len(true))
    return {name: (_median(times[name]), round(float(np.mean(hits[name])), 4)) for name in searches}


def _stages(detectors: dict[int, Detector], subject: Subject, images: int) -> dict[str, dict[str, float]]:
    """{which: {stage: median ms}} over some images, in turns of ten."""
    times: dict[int, dict[str, list[float]]] = {which: {} for which in detectors}
    paths = subject.images(images)
    for first in range(0, images, 10):
        for which, detector in detectors.items():
            detector.segment(paths[first])
            for path in paths[first : first + 10]:
                for stage, ms in detector.segment(path).stages_ms.items():
                    times[which].setdefault(stage, []).append(ms)
    return {str(which): {stage: _median(ms) for stage, ms in stages.items()} for which, stages in times.items()}


def _some_normal_images(subject: Subject, count: int = 100) -> Path:
    """A flat folder with links to the first normal images: enough to search K=50 among."""
    folder = subject.bundle(EXACT.args).parent / f"{count}-normal"
    folder.mkdir(parents=True, exist_ok=True)
    for path in subject.dataset.train[:count]:
        link = folder / path.name
        if not link.is_symlink():
            link.symlink_to(path)
    return folder


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 3)
