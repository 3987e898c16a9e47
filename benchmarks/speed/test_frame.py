"""A frame from its file to its heat map, by bank. Answers are checked before they are timed."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import panda_edge
from benchmarks.lib.subject import Subject
from benchmarks.speed.bank_table import EXACT
from panda_edge.inspect.verify import verify

BANKS = {
    "exact": EXACT.args,
    "kmeans": ("--bank", "kmeans", "--means", "50"),
    "coreset": ("--bank", "coreset", "--vectors", "5000"),
    "gaussian": ("--bank", "gaussian"),
}


@pytest.fixture(params=BANKS)
def bundle(request: pytest.FixtureRequest, subject: Subject) -> Path:
    return subject.bundle(BANKS[request.param])


def test_segment(benchmark: BenchmarkFixture, bundle: Path, subject: Subject, threads: int) -> None:
    assert verify(bundle, threads)["ok"]
    detector = panda_edge.load(bundle, threads)
    images = itertools.cycle(subject.images(50))
    result = benchmark(lambda: detector.segment(next(images)))
    assert np.isfinite(result.heatmap).all()


def test_detect(benchmark: BenchmarkFixture, exact_bundle: Path, subject: Subject, threads: int) -> None:
    detector = panda_edge.load(exact_bundle, threads)
    image = subject.images(1)[0]
    assert detector.detect(image).score == pytest.approx(detector.segment(image).score, rel=1e-5)
    images = itertools.cycle(subject.images(50))
    benchmark(lambda: detector.detect(next(images)))


@pytest.mark.parametrize("epsilon", [0.05, 0.25])
def test_segment_within_epsilon(
    benchmark: BenchmarkFixture, exact_bundle: Path, subject: Subject, threads: int, epsilon: float
) -> None:
    exact = panda_edge.load(exact_bundle, threads)
    fast = panda_edge.load(exact_bundle, threads, epsilon=epsilon)
    for image in subject.images(3):
        true, found = exact.segment(image).heatmap, fast.segment(image).heatmap
        assert true is not None
        assert found is not None
        assert (found >= true * (1 - 1e-4)).all()
        assert (found <= true * (1 + epsilon) * (1 + 1e-4)).all()
    images = itertools.cycle(subject.images(50))
    benchmark(lambda: fast.segment(next(images)))
