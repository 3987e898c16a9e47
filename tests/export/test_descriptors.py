"""Averaging, scaling and weighting of levels, and the graph and bundle that do them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

import panda_edge
from bank_choice import settings_for
from panda_edge.banks.level_files import averaged_cells
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_export.descriptors import Descriptors, channel_spreads, level_scales
from panda_export.export import export_bundle
from panda_export.features import torch_features
from panda_export.graph import DeviceGraph
from panda_export.network import descriptors_of
from panda_export.options import ExportOptions
from tiny import TinyBackbone


@pytest.mark.parametrize(
    ("average", "expected"), [(1, (1, 1, 1)), (3, (1, 3, 5)), (5, (3, 5, 9)), (7, (3, 7, 13))], ids=str
)
def test_every_level_is_averaged_over_about_the_same_pixels(average: int, expected: tuple[int, ...]) -> None:
    cells = tuple(averaged_cells(average, stride) for stride in (16, 8, 4))
    assert all(side % 2 for side in cells)
    assert all(abs(side * stride - average * 8) <= stride for side, stride in zip(cells, (16, 8, 4), strict=True))
    assert cells[1] == expected[1] == average


def test_levels_are_averaged_and_scaled() -> None:
    level = torch.randn(2, 3, 6, 8)
    (found,) = Descriptors([3], [torch.tensor([1.0, 2.0, 0.5])])([level])
    weight = ndimage.uniform_filter(np.ones((6, 8)), 3, mode="constant")
    expected = ndimage.uniform_filter(level.numpy(), (0, 0, 3, 3), mode="constant") / weight
    np.testing.assert_allclose(found.numpy(), expected * np.array([1, 2, 0.5])[:, None, None], rtol=1e-4, atol=1e-6)


def test_weights_are_of_squared_distances() -> None:
    scales = level_scales([2, 1], (4.0, 0.0), None)
    assert [scale.tolist() for scale in scales] == [[2.0, 2.0], [0.0]]
    spreads = [np.array([0.5, 2.0]), np.array([0.0])]
    scales = level_scales([2, 1], None, spreads)
    assert scales[0].tolist() == [2.0, 0.5]
    assert np.isfinite(scales[1].numpy()).all()


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (0.0, 0.0), (float("nan"), 1.0)])
def test_weights_that_are_none(weights: tuple[float, ...]) -> None:
    with pytest.raises(PandaError, match="expected 2 numbers, coarse level first"):
        level_scales([2, 1], weights, None)


def test_spreads_equal_numpy() -> None:
    run = torch_features(DeviceGraph(TinyBackbone()), "cpu")
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    levels = run(frames).levels
    for found, level in zip(channel_spreads(frames, run), levels, strict=True):
        np.testing.assert_allclose(found, level.reshape(-1, level.shape[2]).std(axis=0), rtol=1e-3, atol=1e-5)


def test_a_bundle_of_standardised_levels_has_channels_of_one_spread(normal_images: list[Path], tmp_path: Path) -> None:
    options = settings_for("exact", neighbors=4, standardise=True, average=3)
    asked = ExportOptions({"name": "dn2"}, options)
    manifest = export_bundle(tmp_path / "x.panda", TinyBackbone(), normal_images, Preprocessing(64, 64), asked)
    assert (manifest.recipe.bank["standardise"], manifest.recipe.bank["average"]) == (True, 3)
    detector = panda_edge.load(tmp_path / "x.panda")
    frames = np.stack([detector.preprocessing.apply(path) for path in normal_images])
    for level in detector.features(frames).levels:
        spread = level.reshape(-1, level.shape[2]).std(axis=0)
        # Averaging comes first and takes away some of the spread; a channel that is never active has none.
        assert spread.max() < 1.05
        assert (spread[spread > 1e-3] > 0.2).all()
    assert detector.segment(normal_images[0]).heatmap is not None


def test_a_coreset_averages_with_zeros_beyond_the_border() -> None:
    levels = [SimpleNamespace(stride=stride, channels=2) for stride in (16, 8, 4)]
    found = descriptors_of(levels, settings_for("coreset"))
    assert found is not None
    assert (found.sides, found.padded) == ([3, 3, 1], True)
    (level,) = Descriptors([3], level_scales([1], None, None), padded=True)([torch.ones(1, 1, 4, 4)])
    np.testing.assert_allclose(level[0, 0, :2, :2], [[4 / 9, 6 / 9], [6 / 9, 1]], rtol=1e-6)
