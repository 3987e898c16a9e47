"""The exact pyramid search beside faiss and hnswlib on the same joint descriptors, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import hnswlib
import numpy as np

import panda_edge
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, say
from benchmarks.lib.timing import timed
from benchmarks.speed.bank_table import EXACT
from panda_edge import kernel
from panda_edge.banks.level_files import joint_descriptors, level_file, unnest
from panda_edge.detector import Detector

NEIGHBORS = 50
_SAME = 1e-3  # relative: faiss expands |q - g|² and loses digits where it is small
_EF = 64


def compare_search(subject: Subject, rows: ResultsFile, threads: int, images: int = 100) -> None:
    """The row of our search and faiss on the subject's exact bundle; see `beside_faiss`."""
    detector = panda_edge.load(subject.bundle(EXACT.args), threads)
    say(f"faiss beside our search: {images} images")
    rows.update(f"{subject.name}: faiss", **beside_faiss(detector, subject.images(images), threads))


def beside_faiss(detector: Detector, images: list[Path], threads: int) -> dict[str, Any]:
    """Search the 50 most similar normal images of every test image: our branch and bound, then faiss by brute force.

    Both see the same float32 query and float16 gallery (faiss a float32 copy, made outside the time). The distances
    are compared before a time counts. Raises AssertionError where they differ.
    """
    faiss.omp_set_num_threads(threads)
    gallery, embeddings = stored_features(detector)
    grid = (detector.bundle.manifest.levels[0].height, detector.bundle.manifest.levels[0].width)
    search = kernel.PyramidSearch(gallery, grid, threads)
    ours, theirs, differences = [], [], []
    descriptors = 0
    for path in images:
        levels, similar = _query(detector, embeddings, path, threads)
        index = faiss.IndexFlatL2(sum(level.shape[2] for level in gallery))
        for image in similar:
            index.add(joint_descriptors([level[image].astype(np.float32) for level in gallery]))
        queries = joint_descriptors(levels)
        search.nearest(levels, similar)  # leaves the caches as a stream of frames does
        (distances, _), own = timed(search.nearest, levels, similar)
        (brute, _), other = timed(index.search, queries, 1)
        ours.append(own * 1e3)
        theirs.append(other * 1e3)
        true = unnest(brute[:, 0], grid)
        differences.append(float((np.abs(distances - true) / np.maximum(true, true.mean() * 1e-2)).max()))
        descriptors = index.ntotal
    assert max(differences) < _SAME, f"distances differ by {max(differences):.1e}"
    return {
        "images": len(images),
        "descriptors": descriptors,
        "dimensions": queries.shape[1],
        "queries": len(queries),
        "ours_ms": _figures(ours),
        "faiss_ms": _figures(theirs),
        "ratio": round(float(np.median(theirs) / np.median(ours)), 1),
        "median_of_ratios": round(float(np.median(np.array(theirs) / np.array(ours))), 1),
        "largest_relative_difference": float(f"{max(differences):.1e}"),
    }


def compare_hnsw(subject: Subject, rows: ResultsFile, threads: int, images: int = 20) -> None:
    """One fixed gallery of 50 normal images, because a graph cannot be built for every query: search time and recall.

    Recall: share of positions whose hnswlib distance is the exact one (to 1e-3).
    """
    detector = panda_edge.load(subject.bundle(EXACT.args), threads)
    gallery, _ = stored_features(detector)
    spread = np.linspace(0, len(gallery[0]) - 1, NEIGHBORS).astype(np.int64)
    grid = (detector.bundle.manifest.levels[0].height, detector.bundle.manifest.levels[0].width)
    search = kernel.PyramidSearch(gallery, grid, threads)
    vectors = np.concatenate([joint_descriptors([lv[i].astype(np.float32) for lv in gallery]) for i in spread])
    say(f"hnswlib: a graph of {len(vectors)} descriptors")
    index = hnswlib.Index(space="l2", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), ef_construction=100, M=16, random_seed=0)
    index.set_num_threads(threads)
    _, built = timed(index.add_items, vectors)
    index.set_ef(_EF)
    ours, theirs, recalls = [], [], []
    for path in subject.images(images):
        features = detector.features(detector.preprocessing.apply(path)[None])
        levels = [level[0] for level in features.levels]
        queries = joint_descriptors(levels)
        search.nearest(levels, spread)
        (distances, _), own = timed(search.nearest, levels, spread)
        (_, found), other = timed(index.knn_query, queries, 1)
        ours.append(own * 1e3)
        theirs.append(other * 1e3)
        recalls.append(float((unnest(found[:, 0], grid) <= distances * (1 + _SAME)).mean()))
    rows.update(
        f"{subject.name}: hnswlib",
        images=images,
        descriptors=len(vectors),
        ours_ms=_figures(ours),
        hnswlib_ms=_figures(theirs),
        ratio=round(float(np.median(theirs) / np.median(ours)), 2),
        recall=round(float(np.mean(recalls)), 4),
        build_s=round(built, 1),
        index_mb=round(index.index_file_size() / 1e6, 1),
        ef=_EF,
    )


def stored_features(detector: Detector) -> tuple[list[np.ndarray], np.ndarray]:
    """An exact bank, mapped: levels, coarse first, each (images, cells, channels), and embeddings (images, D)."""
    bundle, manifest = detector.bundle, detector.bundle.manifest
    count, dtype = manifest.segmentation.count, manifest.segmentation.dtype
    shapes = [(count, level.height * level.width, level.channels) for level in manifest.levels]
    gallery = [
        bundle.array(level_file(level), shape, dtype) for level, shape in zip(manifest.levels, shapes, strict=True)
    ]
    embeddings = bundle.array("bank/embeddings.npy", (manifest.detection.count, manifest.embedding_size), "float32")
    return gallery, embeddings


def _query(detector: Detector, embeddings: np.ndarray, path: Path, threads: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Levels of an image, coarse first, each (cells, C), and the numbers of its most similar normal images."""
    features = detector.features(detector.preprocessing.apply(path)[None])
    _, similar = kernel.topk(features.embedding, embeddings, NEIGHBORS, threads)
    return [level[0] for level in features.levels], similar[0]


def _figures(milliseconds: list[float]) -> dict[str, float]:
    return {
        "p50": round(float(np.median(milliseconds)), 2),
        "p95": round(float(np.percentile(milliseconds, 95)), 2),
        "least": round(min(milliseconds), 2),
    }
