"""The leave-one-out step: a share of what the match itself is from other normal pictures is subtracted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from bank_choice import settings_for
from panda_edge import kernel
from panda_edge.banks.embeddings import EMBEDDINGS_FILE
from panda_edge.banks.level_files import joint_descriptors, level_file, unnest
from panda_edge.banks.query import FrameFeatures
from panda_edge.builder.steps.leave_one_out import LeaveOneOutRecipe
from panda_edge.bundle.manifest import read_manifest
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.inspect.verify import verify
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.steps.leave_one_out import LEAVE_ONE_OUT_FILE
from panda_export.options import ExportOptions

K = 4


def expected_distances(bundle: Path, neighbors: int) -> np.ndarray:
    """By brute force: float32 (N, h, w)."""
    levels = read_manifest(bundle).levels
    stored = [np.load(bundle / level_file(level)).astype(np.float32) for level in levels]
    vectors = np.load(bundle / EMBEDDINGS_FILE)
    places = bundle / PLACES_FILE
    pictures = np.load(places)[:, 0] if places.exists() else np.arange(len(vectors))
    joint = [joint_descriptors([level[i] for level in stored]) for i in range(len(vectors))]
    own = []
    for i, vector in enumerate(vectors):
        apart = ((vectors - vector) ** 2).sum(axis=1)
        similar = [j for j in np.argsort(apart, kind="stable") if pictures[j] != pictures[i]][:neighbors]
        others = np.concatenate([joint[j] for j in similar])
        squared = ((joint[i][:, None] - others[None]) ** 2).sum(axis=2).min(axis=1)
        own.append(unnest(np.sqrt(squared), (levels[0].height, levels[0].width)))
    return np.stack(own)


def test_they_are_distances_to_other_pictures(export_bank: Callable[..., Path]) -> None:
    bundle = export_bank(steps=(LeaveOneOutRecipe(),))
    assert read_manifest(bundle).segmentation.steps == ({"step": "leave-one-out", "share": 0.35},)
    own = np.load(bundle / LEAVE_ONE_OUT_FILE)
    assert own.dtype == np.float16
    np.testing.assert_allclose(own, expected_distances(bundle, K), rtol=2e-3, atol=2e-3)
    assert own.min() >= 0
    assert own.max() > 0
    assert verify(bundle)["ok"]
    assert "less 0.35 of the match's leave-one-out distance" in describe_in_words(describe(bundle))


def test_tiles_of_the_same_picture_are_not_other_pictures(export_bank: Callable[..., Path]) -> None:
    bundle = export_bank(tiles=Tiling.grid(2, 2, 64, 64), level_weights=(1.0, 1.0, 1.0), average=1)
    own = np.load(bundle / LEAVE_ONE_OUT_FILE)
    assert len(own) == 12 * 4
    np.testing.assert_allclose(own, expected_distances(bundle, K), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("options", [{"bank": "hnsw"}, {"dtype": "uint8"}, {"max_bank_mb": 0.03}])
def test_other_ways_to_store_the_same(export_bank: Callable[..., Path], options: dict[str, Any]) -> None:
    usual, other = np.load(export_bank() / LEAVE_ONE_OUT_FILE), export_bank("other", **options)
    own = np.load(other / LEAVE_ONE_OUT_FILE)
    assert own.shape == (read_manifest(other).segmentation.count, *usual.shape[1:])
    if "max_bank_mb" in options:
        assert len(own) < len(usual)
        assert sum(path.stat().st_size for path in (other / "bank").iterdir()) <= 30_000 + 7 * 128
        np.testing.assert_allclose(own, expected_distances(other, K), rtol=2e-3, atol=2e-3)
    else:
        assert np.abs(own.astype(float) - usual).max() < 0.05 * usual.max()


def test_the_device_subtracts_the_share(export_bank: Callable[..., Path], odd_image: Path) -> None:
    whole = export_bank("whole", steps=())
    part = export_bank("part", steps=(LeaveOneOutRecipe(0.25),))
    assert not (whole / LEAVE_ONE_OUT_FILE).exists()
    detectors = [panda_edge.load(bundle) for bundle in (whole, part)]
    features = detectors[0].features(detectors[0].preprocessing.apply(odd_image)[None])
    levels = [level[0] for level in features.levels]
    grid = [(level.height, level.width) for level in read_manifest(whole).levels]
    stored = [np.load(whole / level_file(level)) for level in read_manifest(whole).levels]
    similar = kernel.topk(features.embedding, np.load(whole / EMBEDDINGS_FILE), K)[1][0]
    squared, matched = kernel.PyramidSearch(stored, grid[0]).nearest(levels, similar)
    usual = np.load(part / LEAVE_ONE_OUT_FILE).reshape(-1)[matched]
    scorers = [detector._scorer.score(FrameFeatures(features.embedding[0], levels)).distances for detector in detectors]
    np.testing.assert_allclose(scorers[0], np.sqrt(squared), rtol=1e-5)
    left = np.maximum(np.sqrt(squared) - 0.25 * usual, 0)
    np.testing.assert_allclose(scorers[1], left, rtol=1e-4, atol=1e-4)


def test_a_single_picture_has_nothing_to_be_compared_with(export_bank: Callable[..., Path], odd_image: Path) -> None:
    bundle = export_bank(images=1)
    assert not np.load(bundle / LEAVE_ONE_OUT_FILE).any()
    assert panda_edge.load(bundle).segment(odd_image).heatmap.max() > 0


def test_the_same_bytes_twice(export_bank: Callable[..., Path]) -> None:
    first, second = export_bank("first"), export_bank("second")
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_shares_that_are_none(share: float) -> None:
    with pytest.raises(PandaError, match="leave-one-out share is"):
        LeaveOneOutRecipe(share)


def test_a_bank_without_matches_has_no_such_step() -> None:
    options = partial(ExportOptions, {"name": "dn2"}, settings_for("gaussian"))
    with pytest.raises(PandaError, match="step leave-one-out of a gaussian bank; expected an exact or hnsw bank"):
        options(steps=(LeaveOneOutRecipe(),)).resolved(False)
    assert options().resolved(False).steps == ()


def test_damaged_bundles(export_bank: Callable[..., Path], odd_image: Path, edit_manifest: Callable[..., None]) -> None:
    bundle = export_bank()
    edit_manifest(bundle, lambda plain: plain["segmentation"]["steps"][0].update(share=2), reseal=True)
    with pytest.raises(BundleError, match=r"steps\[0\]: leave-one-out: share is 2, expected a number from 0 to 1"):
        panda_edge.load(bundle)
    edit_manifest(bundle, lambda plain: plain["segmentation"]["steps"][0].update(share=0.5), reseal=True)
    own = np.load(bundle / LEAVE_ONE_OUT_FILE)
    np.save(bundle / LEAVE_ONE_OUT_FILE, np.full_like(own, np.nan))
    with pytest.raises(PandaError, match="not finite"):
        panda_edge.load(bundle).segment(odd_image)
    np.save(bundle / LEAVE_ONE_OUT_FILE, own[:-1])
    edit_manifest(bundle, reseal=True)
    with pytest.raises(BundleError, match=r"leave_one_out\.npy"):
        panda_edge.load(bundle)
    (bundle / LEAVE_ONE_OUT_FILE).unlink()
    with pytest.raises(BundleError, match=r"leave_one_out\.npy"):
        panda_edge.load(bundle)
