"""The pyramid search alone, beside faiss's brute force on the same descriptors; answers are checked before the timing.

The features are those of the subject's test images (one after the other, so the figures include every kind of image).
`test_wide` uses made features, as no such backbone's weights come with the install: neighbouring cells alike, as a
network gives them, at the sizes of a Wide-ResNet-50-2.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import panda_edge
from benchmarks.lib.subject import Subject
from panda_edge import _kernel, kernel
from panda_edge.banks.level_files import joint_descriptors, level_file, unnest

NEIGHBORS = 50
IMAGES = 24
# Relative. faiss expands |q - g|² and loses digits where the distance is small; the kernels do not.
SAME_AS_FAISS = 1e-3


@dataclass(frozen=True)
class Case:
    """gallery: levels (N, cells, C) float16; queries: per image its levels (cells, C) and its similar images."""

    gallery: list[np.ndarray]
    grid: tuple[int, int]
    queries: list[tuple[list[np.ndarray], np.ndarray]]

    def brute_force(self, levels: list[np.ndarray], similar: np.ndarray) -> tuple[faiss.Index, np.ndarray]:
        index = faiss.IndexFlatL2(sum(level.shape[2] for level in self.gallery))
        for image in similar:
            index.add(joint_descriptors([level[image].astype(np.float32) for level in self.gallery]))
        return index, joint_descriptors(levels)


@pytest.fixture(scope="module")
def case(subject: Subject, exact_bundle: Path, threads: int) -> Case:
    return case_of(subject, exact_bundle, threads)


@pytest.fixture(scope="module")
def large_case(subject: Subject, threads: int) -> Case:
    """Frames of 448 × 448, 28 × 28 coarsest cells; 100 MB of the normal images are kept."""
    return case_of(subject, subject.bundle(("--input-size", "448", "--max-bank-mb", "100")), threads)


def case_of(subject: Subject, bundle_path: Path, threads: int) -> Case:
    """What the test images of a subject ask of an exact bundle."""
    detector = panda_edge.load(bundle_path, threads)
    bundle, manifest = detector.bundle, detector.bundle.manifest
    count = manifest.segmentation.count
    gallery = [
        bundle.array(level_file(level), (count, level.height * level.width, level.channels), "float16")
        for level in manifest.levels
    ]
    embeddings = bundle.array("bank/embeddings.npy", (manifest.detection.count, manifest.embedding_size), "float32")
    queries = []
    for path in subject.images(IMAGES):
        features = detector.features(detector.preprocessing.apply(path)[None])
        _, similar = kernel.topk(features.embedding, embeddings, NEIGHBORS, threads)
        queries.append(([level[0] for level in features.levels], similar[0]))
    return Case(gallery, (manifest.levels[0].height, manifest.levels[0].width), queries)


@pytest.fixture
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    before = kernel.simd_level()
    _kernel.force_simd(request.param)
    yield request.param
    _kernel.force_simd(before)


def check(case: Case, search: kernel.PyramidSearch, epsilon: float = 0.0) -> None:
    levels, similar = case.queries[0]
    index, descriptors = case.brute_force(levels, similar)
    true = unnest(index.search(descriptors, 1)[0][:, 0], case.grid)
    found, _ = search.nearest(levels, similar, epsilon)
    slack = np.maximum(true, true.mean() * 1e-2) * SAME_AS_FAISS
    assert (found >= true - slack).all()
    assert (found <= true * (1 + epsilon) ** 2 + slack).all()


@pytest.mark.parametrize("level", kernel.simd_levels(), indirect=True)
def test_pyramid_search(benchmark: BenchmarkFixture, case: Case, level: str, threads: int) -> None:
    search = kernel.PyramidSearch(case.gallery, case.grid, threads)
    check(case, search)
    queries = itertools.cycle(case.queries)
    benchmark.pedantic(lambda: search.nearest(*next(queries)), rounds=2 * IMAGES, warmup_rounds=2)


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.25])
def test_pyramid_search_within_epsilon(benchmark: BenchmarkFixture, case: Case, epsilon: float, threads: int) -> None:
    search = kernel.PyramidSearch(case.gallery, case.grid, threads)
    check(case, search, epsilon)
    queries = itertools.cycle(case.queries)
    benchmark.pedantic(lambda: search.nearest(*next(queries), epsilon), rounds=2 * IMAGES, warmup_rounds=2)


@pytest.mark.parametrize("window", [None, 1, 2, 3])
@pytest.mark.parametrize("size", [224, 448])
def test_window(
    benchmark: BenchmarkFixture, request: pytest.FixtureRequest, size: int, window: int | None, threads: int
) -> None:
    case: Case = request.getfixturevalue("case" if size == 224 else "large_case")
    search = kernel.PyramidSearch(case.gallery, case.grid, threads)
    within, everywhere = (search.nearest(*case.queries[0], window=reach)[0] for reach in (window, None))
    assert (within >= everywhere * (1 - 1e-4)).all()
    queries = itertools.cycle(case.queries)
    benchmark.pedantic(
        lambda: search.nearest(*next(queries), window=window), rounds=2 * IMAGES, warmup_rounds=2
    )  # fmt: skip


def test_pyramid_search_of_bytes(benchmark: BenchmarkFixture, case: Case, threads: int) -> None:
    search = kernel.PyramidSearch([kernel.quantise_rows(level) for level in case.gallery], case.grid, threads)
    exact = kernel.PyramidSearch(case.gallery, case.grid, threads).nearest(*case.queries[0])[0]
    assert abs(np.sqrt(search.nearest(*case.queries[0])[0]).mean() / np.sqrt(exact).mean() - 1) < 0.01
    queries = itertools.cycle(case.queries)
    benchmark.pedantic(lambda: search.nearest(*next(queries)), rounds=2 * IMAGES, warmup_rounds=2)


def test_pyramid_search_of_the_whole_bank(benchmark: BenchmarkFixture, case: Case, threads: int) -> None:
    search = kernel.PyramidSearch(case.gallery, case.grid, threads)
    check(case, search)
    queries = itertools.cycle(case.queries)
    benchmark.pedantic(lambda: search.nearest(next(queries)[0]), rounds=8, warmup_rounds=1)


def test_faiss_brute_force(benchmark: BenchmarkFixture, case: Case, threads: int) -> None:
    faiss.omp_set_num_threads(threads)
    index, descriptors = case.brute_force(*case.queries[0])
    benchmark.pedantic(index.search, args=(descriptors, 1), rounds=5, warmup_rounds=1)


def test_wide(benchmark: BenchmarkFixture, threads: int) -> None:
    rng = np.random.default_rng(0)
    grid, channels, images = (14, 14), (1024, 512, 256), 10
    gallery, query = [], []
    for depth, c in enumerate(channels):
        textures = rng.standard_normal((40, c), dtype=np.float32)
        share = rng.random((images + 1, 14**2 * 4**depth, 40), dtype=np.float32) ** 8
        rows = (share / share.sum(-1, keepdims=True)) @ textures
        gallery.append(rows[:images].astype(np.float16))
        query.append(np.ascontiguousarray(rows[images]))
    case = Case(gallery, grid, [(query, np.arange(images))])
    search = kernel.PyramidSearch(gallery, grid, threads)
    check(case, search)
    benchmark.pedantic(search.nearest, args=(query,), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_gaussian_distance(benchmark: BenchmarkFixture, dtype: str, threads: int) -> None:
    """784 positions of 176 channels, whole triangular factors: 26 MB in float16."""
    rng = np.random.default_rng(0)
    factors = np.tril(rng.standard_normal((784, 176, 176), dtype=np.float32)).astype(dtype)
    x, mean = rng.standard_normal((2, 784, 176), dtype=np.float32)
    packed = kernel.pack_factors(factors, True, dtype)
    true = (np.einsum("prc,pc->pr", factors.astype(np.float32), x - mean) ** 2).sum(1)
    np.testing.assert_allclose(kernel.gaussian_distance(x, mean, packed, 176, True, threads), true, rtol=1e-4)
    benchmark(kernel.gaussian_distance, x, mean, packed, 176, True, threads)


def test_heatmap(benchmark: BenchmarkFixture) -> None:
    distances = np.random.default_rng(0).random((56, 56), dtype=np.float32)
    constant = kernel.render_heatmap(np.ones((56, 56)), 224, 224, 4.0)
    np.testing.assert_allclose(constant, 1, rtol=1e-5)
    benchmark(kernel.render_heatmap, distances, 224, 224, 4.0)
