"""The nearest of N embeddings, one query at a time: the C kernel beside faiss and numpy, on equal answers."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from panda_edge import kernel

SIZE = 1280  # an EfficientNet-Lite embedding


@pytest.fixture(scope="module", params=[1_000, 20_000])
def bank(request: pytest.FixtureRequest) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((request.param, SIZE), dtype=np.float32)


@pytest.fixture(scope="module")
def query() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1, SIZE), dtype=np.float32)


@pytest.fixture
def truth(bank: np.ndarray, query: np.ndarray) -> np.ndarray:
    squared = ((bank.astype(np.float64) - query) ** 2).sum(1)
    return np.argsort(squared)[:2]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_kernel(
    benchmark: BenchmarkFixture, bank: np.ndarray, query: np.ndarray, truth: np.ndarray, dtype: str, threads: int
) -> None:
    stored = bank.astype(dtype)
    _, found = kernel.topk(query, stored, 2, threads)
    assert found[0].tolist() == truth.tolist()
    benchmark(kernel.topk, query, stored, 2, threads)


def test_faiss(
    benchmark: BenchmarkFixture, bank: np.ndarray, query: np.ndarray, truth: np.ndarray, threads: int
) -> None:
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(SIZE)
    index.add(bank)
    assert index.search(query, 2)[1][0].tolist() == truth.tolist()
    benchmark(index.search, query, 2)


def test_numpy(benchmark: BenchmarkFixture, bank: np.ndarray, query: np.ndarray, truth: np.ndarray) -> None:
    squares = (bank * bank).sum(1)

    def nearest() -> np.ndarray:
        return np.argpartition(squares - 2 * (bank @ query[0]), 1)[:2]

    assert sorted(nearest()) == sorted(truth)
    benchmark(nearest)
