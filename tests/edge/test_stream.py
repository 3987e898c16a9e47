"""`segment_stream`: the same results as one by one, in order, whatever a frame or the caller does."""

from pathlib import Path

import numpy as np
import pytest

import panda_edge
from panda_edge.errors import ImageError


@pytest.fixture(scope="module")
def detector(bundle: Path) -> panda_edge.Detector:
    return panda_edge.load(bundle, threads=1)


@pytest.fixture(scope="module")
def images(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "test").rglob("*.png"))[:5]


def test_same_as_one_by_one(detector: panda_edge.Detector, images: list[Path]) -> None:
    streamed = list(detector.segment_stream(images))
    assert len(streamed) == len(images)
    for result, image in zip(streamed, images, strict=True):
        alone = detector.segment(image)
        assert result.score == alone.score
        np.testing.assert_array_equal(result.heatmap, alone.heatmap)
        assert set(result.stages_ms) == set(alone.stages_ms)


def test_none_gives_none(detector: panda_edge.Detector) -> None:
    assert list(detector.segment_stream([])) == []


def test_a_bad_frame_raises_in_its_turn(detector: panda_edge.Detector, images: list[Path]) -> None:
    stream = detector.segment_stream([images[0], Path("missing.png"), images[1]])
    next(stream)
    with pytest.raises(ImageError, match=r"missing\.png"):
        next(stream)


def test_frames_are_taken_one_ahead_and_no_further(detector: panda_edge.Detector, images: list[Path]) -> None:
    taken = []
    stream = detector.segment_stream(image for image in images if not taken.append(image))
    next(stream)
    assert len(taken) == 2
    stream.close()
    assert len(taken) == 2
