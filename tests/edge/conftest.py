"""`panda-edge` in this process, and what the tests of the kernels and of libpanda_edge share."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from command_line import Run, runner
from panda_edge import _kernel, kernel
from panda_edge.commands.app import main
from panda_edge.detector import Detector


@pytest.fixture(params=kernel.simd_levels())
def level(request):
    """Every SIMD level that this processor has, in force for one test."""
    before = kernel.simd_level()
    _kernel.force_simd(request.param)
    yield request.param
    _kernel.force_simd(before)


SANITIZED = Path(__file__).parents[2] / "build" / "c-test" / "asan" / "example"  # where `make c-test` has built it


@dataclass(frozen=True)
class Example:
    """libpanda_edge's example program, and what it says."""

    program: Path

    def said(self, bundle: Path, features: Path, threads: int = 2) -> np.ndarray:
        """Score, the heat map's maximum and p-value of each frame of a file: float64 (N, 3)."""
        done = subprocess.run([self.program, bundle, features, str(threads)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return np.array([[float(number) for number in line.split()] for line in done.stdout.splitlines()])

    def refusal(self, bundle: Path) -> str:
        """The one line in which it says why it does not open a bundle."""
        done = subprocess.run([self.program, bundle, os.devnull, "1"], capture_output=True, text=True)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        return line.removeprefix("error: ")

    def compare(self, detector: Detector, images: list[Path], features: Path) -> None:
        """Score, heat map and p-value of each image, from its features, in C and in Python."""
        shape = detector.preprocessing
        results = []
        with features.open("wb") as stream:
            for image in images:
                result = detector.segment(image)
                found = detector.features(shape.apply(image)[None])
                for part in (found.embedding, *found.levels):
                    stream.write(np.ascontiguousarray(part[0], np.float32).tobytes())
                p_value = np.nan if result.p_value is None else result.p_value
                results.append((result.score, result.embedding_distance, p_value))
                np.testing.assert_array_equal(result.heatmap.shape, (shape.height, shape.width))
        found = self.said(detector.bundle.path, features)
        np.testing.assert_allclose(found, results, rtol=1e-5)
        maps = np.fromfile(f"{features}.maps", np.float32).reshape(-1, shape.height, shape.width)
        for image, drawn in zip(images, maps, strict=True):
            np.testing.assert_allclose(drawn, detector.segment(image).heatmap, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="session")
def example(built: Path) -> Example:
    return Example(SANITIZED if SANITIZED.exists() else built / "example")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`panda-edge ARGUMENTS…` inside this process."""
    return runner("panda-edge", main, monkeypatch, capsys)
