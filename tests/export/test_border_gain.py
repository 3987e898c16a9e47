"""The border gain: distances near the border are divided by how much larger they are there in normal pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import panda_edge
from map_steps import NO_CONTEXT, steps_of
from panda_edge.banks.query import FrameFeatures
from panda_edge.builder.steps.border_gain import _gains
from panda_edge.inspect.verify import verify
from panda_edge.search.steps.border_gain import BorderGain
from panda_edge.search.steps.leave_one_out import LEAVE_ONE_OUT_FILE


def expected(own: np.ndarray, depth: int) -> list[float]:
    """Cell by cell: the median picture's mean so many cells from the border, over that of all cells further inside."""
    means: list[list[float]] = []
    for frame in own.astype(np.float64):
        by_ring: dict[int, list[float]] = {}
        for y, row in enumerate(frame):
            for x, value in enumerate(row):
                ring = min(y, x, len(frame) - 1 - y, len(row) - 1 - x, depth)
                by_ring.setdefault(ring, []).append(value)
        means.append([float(np.mean(by_ring[ring])) for ring in range(depth + 1)])
    usual = np.median(means, axis=0)
    return [float(value / usual[-1]) for value in usual[:-1]]


def test_by_the_leave_one_out_distances_of_normal_pictures(
    export_bank: Callable[..., Path], odd_image: Path, edit_manifest: Callable[..., None]
) -> None:
    bundle, without = export_bank("gain", steps=NO_CONTEXT), export_bank("none", steps=NO_CONTEXT)
    gain = steps_of(bundle)["border-gain"]
    wanted = np.clip(expected(np.load(bundle / LEAVE_ONE_OUT_FILE), 4), 1, 4)
    assert wanted.max() > 1
    np.testing.assert_allclose(gain.gains, wanted, atol=1e-4)
    assert verify(bundle)["ok"]
    edit_manifest(without, lambda plain: plain["segmentation"]["steps"].pop(), reseal=True)
    found, plain = (distances(one, odd_image) for one in (bundle, without))
    by_cell = gain.divisors(*plain.shape)
    assert (by_cell[4:-4, 4:-4] == 1).all()
    np.testing.assert_allclose(found, plain / by_cell, rtol=1e-6)


def distances(bundle: Path, image: Path) -> np.ndarray:
    detector = panda_edge.load(bundle, threads=1)
    features = detector.features(detector.preprocessing.apply(image)[None])
    found = detector._scorer.score(FrameFeatures.of(features, 0)).distances
    assert found is not None
    return found


def test_maps_calibrate_as_they_will_be_judged(export_bank: Callable[..., Path], normal_images: list[Path]) -> None:
    bundle = export_bank(leave_one_out=True)  # the default border
    assert "border-gain" in steps_of(bundle)
    detector = panda_edge.load(bundle)
    assert detector.decider is not None
    stored = detector.decider.calibration.normal_scores("max")
    assert detector.segment(normal_images[0]).heatmap.max() < stored.max()


def test_an_odd_picture_says_nothing() -> None:
    own = np.random.default_rng(0).uniform(0.5, 1.5, (9, 16, 16)).astype(np.float16)
    before = _gains(own, 16)
    own[4, 4:12, 4:12] *= 1000
    np.testing.assert_allclose(_gains(own, 16), before, rtol=0.1)


@pytest.mark.parametrize("height", [8, 14])
def test_gains_are_means_over_rings_within_bounds(height: int) -> None:
    own = np.random.default_rng(0).uniform(0.5, 1.5, (5, height, 12)).astype(np.float16)
    own[:, 0] *= 100
    found = _gains(own, 16)
    depth = min(3, height // 4)
    np.testing.assert_allclose(found, np.clip(expected(own, depth), 1, 4), atol=1e-4)
    assert found[0] == 4


def test_where_normal_pictures_tell_nothing(export_bank: Callable[..., Path], odd_image: Path) -> None:
    single = export_bank(images=1)
    assert "border-gain" not in steps_of(single)
    assert panda_edge.load(single).segment(odd_image).heatmap.max() > 0
    assert (BorderGain(()).divisors(8, 8) == 1).all()


def test_which_bundles_have_it(export_bank: Callable[..., Path]) -> None:
    assert "border-gain" in steps_of(export_bank("graph", bank="hnsw"))
    for name, options in (("plain", {"steps": ()}), ("coreset", {"bank": "coreset"})):
        assert not steps_of(export_bank(name, **options))


def test_a_background_that_is_more_alike_than_the_product_is_left_alone() -> None:
    """Divided by less than 1, its noise would rise above the product's defects."""
    own = np.random.default_rng(0).uniform(0.9, 1.1, (9, 16, 16)).astype(np.float16)
    own[:, 3:-3, 3:-3] *= 4
    assert _gains(own, 16) == (1.0, 1.0, 1.0)
