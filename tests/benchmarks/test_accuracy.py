"""The figures that methods are compared by, on a data set whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.lib.accuracy import accuracy
from PIL import Image

from panda_edge.images.preprocessing import Preprocessing
from panda_train.data.folders import Sample, open_dataset

SIDE = 32


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    """Four good test images and four with a white square, whose mask is that square."""
    for folder in ("train/good", "test/good", "test/square", "ground_truth/square"):
        (tmp_path / folder).mkdir(parents=True)
    grey = np.full((SIDE, SIDE, 3), 90, np.uint8)
    marked = grey.copy()
    marked[8:16, 8:16] = 255
    for i in range(4):
        Image.fromarray(grey).save(tmp_path / f"train/good/{i}.png")
        Image.fromarray(grey).save(tmp_path / f"test/good/{i}.png")
        Image.fromarray(marked).save(tmp_path / f"test/square/{i}.png")
        mask = (marked[:, :, 0] == 255).astype(np.uint8) * 255
        Image.fromarray(mask).save(tmp_path / f"ground_truth/square/{i}_mask.png")
    return open_dataset(tmp_path).test


def _brightness(path: Path) -> tuple[float, np.ndarray]:
    heatmap = np.asarray(Image.open(path).convert("L"), np.float32)
    return float(heatmap.mean()), heatmap


def test_a_perfect_method_has_every_figure_1(samples: tuple[Sample, ...]) -> None:
    figures = accuracy(_brightness, samples, Preprocessing(SIDE, SIDE))
    assert figures["images"] == 8
    for name in ("image_auroc", "image_auroc_map", "pixel_auroc", "pro"):
        assert figures[name] == 1.0
        assert figures["kinds"]["square"][name] == 1.0


def test_a_reversed_method_has_auroc_0(samples: tuple[Sample, ...]) -> None:
    def darkness(path: Path) -> tuple[float, np.ndarray]:
        score, heatmap = _brightness(path)
        return -score, -heatmap

    figures = accuracy(darkness, samples, Preprocessing(SIDE, SIDE))
    assert figures["image_auroc"] == 0.0
    assert figures["pixel_auroc"] == 0.0
