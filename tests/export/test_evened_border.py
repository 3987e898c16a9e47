"""Distances near the border, divided by how much larger they are there in normal pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from panda_edge.builder.evened import _divisors
from panda_edge.bundle.manifest import read_manifest
from panda_edge.errors import BundleError
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.inspect.verify import verify
from panda_edge.search.evened import divisors
from panda_edge.search.own_distances import OWN_DISTANCES_FILE
from panda_edge.search.query import FrameFeatures


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


def test_by_the_own_distances_of_normal_pictures(
    export_bank: Callable[..., Path], odd_image: Path, edit_manifest: Callable[..., None]
) -> None:
    evened = export_bank("evened", wide=0.0)
    manifest = read_manifest(evened)
    own = np.load(evened / OWN_DISTANCES_FILE)
    wanted = np.clip(expected(own, 4), 1, 4)
    assert wanted.max() > 1
    np.testing.assert_allclose(manifest.segmentation.evened, wanted, atol=1e-4)
    assert verify(evened)["ok"]
    assert "evened towards the border" in describe_in_words(describe(evened))
    uneven = export_bank("uneven", wide=0.0)
    edit_manifest(uneven, lambda plain: plain["segmentation"].pop("evened"), reseal=True)
    found, plain = (distances(bundle, odd_image) for bundle in (evened, uneven))
    by_cell = divisors(manifest.segmentation.evened, *plain.shape)
    assert by_cell is not None
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
    assert read_manifest(bundle).segmentation.evened
    detector = panda_edge.load(bundle)
    assert detector.decider is not None
    stored = detector.decider.calibration.normal_scores("max")
    assert detector.segment(normal_images[0]).heatmap.max() < stored.max()


def test_an_odd_picture_says_nothing() -> None:
    own = np.random.default_rng(0).uniform(0.5, 1.5, (9, 16, 16)).astype(np.float16)
    before = _divisors(own, 16)
    own[4, 4:12, 4:12] *= 1000
    np.testing.assert_allclose(_divisors(own, 16), before, rtol=0.1)


@pytest.mark.parametrize("height", [8, 14])
def test_divisors_are_means_over_rings_within_bounds(height: int) -> None:
    own = np.random.default_rng(0).uniform(0.5, 1.5, (5, height, 12)).astype(np.float16)
    own[:, 0] *= 100
    found = _divisors(own, 16)
    depth = min(3, height // 4)
    np.testing.assert_allclose(found, np.clip(expected(own, depth), 1, 4), atol=1e-4)
    assert found[0] == 4


def test_where_normal_pictures_tell_nothing(export_bank: Callable[..., Path], odd_image: Path) -> None:
    single = export_bank(images=1)
    assert read_manifest(single).segmentation.evened == ()
    assert panda_edge.load(single).segment(odd_image).heatmap.max() > 0
    assert divisors((), 8, 8) is None


def test_what_is_evened(export_bank: Callable[..., Path]) -> None:
    assert read_manifest(export_bank("graph", bank="hnsw")).segmentation.evened
    for name, options in (("plain", {"discount": 0.0}), ("coreset", {"bank": "coreset"})):
        assert read_manifest(export_bank(name, **options)).segmentation.evened == ()


def test_a_background_that_is_more_alike_than_the_product_is_left_alone() -> None:
    """Divided by less than 1, its noise would rise above the product's defects."""
    own = np.random.default_rng(0).uniform(0.9, 1.1, (9, 16, 16)).astype(np.float16)
    own[:, 3:-3, 3:-3] *= 4
    assert _divisors(own, 16) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("evened", "message"),
    [
        ([1.0] * 65, "evened has 65 numbers"),
        ([0.0], r"evened\[0\] is 0.0, expected a number from 1 to 16"),
        ([1.0, -2], r"evened\[1\] is -2"),
        ([math.nan], r"evened\[0\] is nan|not valid JSON"),
        (["1"], r"evened\[0\] is '1'"),
        (1.5, "evened is 1.5, expected a list"),
    ],
)
def test_manifests_that_are_refused(
    made_bundles: dict[str, Path],
    bundle_copy: Callable[..., Path],
    edit_manifest: Callable[..., None],
    evened: Any,
    message: str,
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(evened=evened), reseal=True)
    with pytest.raises(BundleError, match=message):
        panda_edge.load(bundle)
    other = bundle_copy("gaussian")
    edit_manifest(other, lambda plain: plain["segmentation"].update(evened=[1.5]), reseal=True)
    with pytest.raises(BundleError, match="evened has 1 numbers of a gaussian bank"):
        panda_edge.load(other)
