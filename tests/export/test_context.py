"""The context step of an exact bank: made by `fit` and `extend`, done by the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import panda_edge
from map_steps import NO_CONTEXT, steps_of, with_context
from panda_edge import kernel
from panda_edge.banks.embeddings import EMBEDDINGS_FILE
from panda_edge.banks.level_files import level_file, raster_order
from panda_edge.banks.query import FrameFeatures
from panda_edge.builder.steps.context import ContextRecipe
from panda_edge.bundle.manifest import Manifest, read_manifest
from panda_edge.detector import Detector
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.verify import verify
from panda_edge.search.steps.context import CONTEXT_LEAVE_ONE_OUT_FILE, Context, context_levels

K = 4


def expected_levels(levels: list[np.ndarray], grid: tuple[int, int]) -> list[np.ndarray]:
    """As FORMAT.md says, as rasters (h, w, channels)."""
    rasters = [level[raster_order(grid, depth)] for depth, level in enumerate(levels)]
    means = [ndimage.uniform_filter(raster, size=(3, 3, 1), mode="constant") for raster in rasters]
    height, width = means[min(1, len(means) - 1)].shape[:2]
    joint = [m.reshape(height, m.shape[0] // height, width, -1, m.shape[2]).mean(axis=(1, 3)) for m in means[1:]]
    return [means[0], np.concatenate(joint, axis=2)] if joint else means


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_averages_over_neighbours(count: int) -> None:
    rng = np.random.default_rng(count)
    levels = [rng.random((6 * 4**depth, 3 + depth), dtype=np.float32) for depth in range(count)]
    found = kernel.averages(levels, (2, 3))
    wanted = expected_levels(levels, (2, 3))
    assert len(found) == len(wanted) == min(count, 2)
    for depth, (level, raster) in enumerate(zip(found, wanted, strict=True)):
        assert level.dtype == np.float32
        np.testing.assert_allclose(level[raster_order((2, 3), depth)], raster, rtol=1e-5)


def joint(levels: list[np.ndarray], grid: tuple[int, int]) -> np.ndarray:
    """Descriptors of a frame's averages, row by row of its finer grid."""
    coarse, fine = expected_levels(levels, grid)
    descriptors = np.concatenate([coarse.repeat(2, axis=0).repeat(2, axis=1), fine], axis=2)
    return np.asarray(descriptors.reshape(-1, descriptors.shape[2]))


def stored(bundle: Path, manifest: Manifest) -> list[np.ndarray]:
    """Descriptors of each stored frame's averages, rounded as they are searched."""
    files = [np.load(bundle / level_file(level)).astype(np.float32) for level in manifest.levels]
    grid = manifest.levels[0].height, manifest.levels[0].width
    return [
        joint([file[i] for file in files], grid).astype(np.float16).astype(np.float32) for i in range(len(files[0]))
    ]


def nearest(query: np.ndarray, frames: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """L2 distance of each descriptor to the nearest of these frames, and its number there."""
    every = np.concatenate(frames)
    apart = ((query[:, None].astype(np.float64) - every[None]) ** 2).sum(axis=2)
    return np.sqrt(apart.min(axis=1)), apart.argmin(axis=1)


def distances(detector: Detector, image: Path) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """A frame's cell distances, its embedding and its levels."""
    features = detector.features(detector.preprocessing.apply(image)[None])
    levels = [level[0] for level in features.levels]
    found = detector._scorer.score(FrameFeatures(features.embedding[0], levels)).distances
    assert found is not None
    return found, features.embedding[0], levels


def test_what_is_beyond_normal_pictures_is_added(export_bank: Callable[..., Path], odd_image: Path) -> None:
    bundle, near = export_bank("context", steps=with_context(1.0)), export_bank("near", steps=NO_CONTEXT)
    manifest = read_manifest(bundle)
    context = steps_of(bundle)["context"]
    assert context.floor > 0
    assert context.share == 0.35
    assert verify(bundle)["ok"]
    assert "context" not in steps_of(near)
    assert not {*Context.files(manifest.levels)} & {*read_manifest(near).files}

    frames, vectors = stored(bundle, manifest), np.load(bundle / EMBEDDINGS_FILE)
    own = np.load(bundle / CONTEXT_LEAVE_ONE_OUT_FILE)
    side = manifest.levels[1].height
    grid = manifest.levels[0].height, manifest.levels[0].width
    assert (own.shape, own.dtype) == ((12, side, side), np.float16)
    files = [np.load(bundle / level_file(level)).astype(np.float32) for level in manifest.levels]
    for i in (0, 7):
        for depth, (name, wanted) in enumerate(
            zip(context_levels(manifest.levels), expected_levels([file[i] for file in files], grid), strict=True)
        ):
            kept = np.load(bundle / name)
            assert kept.dtype == np.float16
            np.testing.assert_allclose(kept[i][raster_order(grid, depth)], wanted, rtol=1e-3, atol=1e-6)
        apart = ((vectors - vectors[i]) ** 2).sum(axis=1)
        others = [j for j in np.argsort(apart, kind="stable") if j != i][:K]
        query = joint([file[i] for file in files], grid)
        np.testing.assert_allclose(own[i].ravel(), nearest(query, [frames[j] for j in others])[0], rtol=4e-3, atol=4e-3)

    found, embedding, levels = distances(panda_edge.load(bundle, threads=1), odd_image)
    plain, _, _ = distances(panda_edge.load(near, threads=1), odd_image)
    similar = np.argsort(((vectors - embedding) ** 2).sum(axis=1), kind="stable")[:K]
    apart, matched = nearest(joint(levels, grid), [frames[j] for j in similar])
    usual = np.concatenate([own[j].ravel() for j in similar])[matched].astype(np.float64)
    left = np.maximum(apart - 0.35 * usual, 0).reshape(side, side)
    excess = np.maximum(context.factor * left - context.floor, 0).repeat(2, axis=0).repeat(2, axis=1)
    below = len(plain) // grid[0]
    high = plain.reshape(grid[0], below, grid[1], below).max(axis=(1, 3)) > context.above
    assert 0 < high.mean() < 1
    excess *= high.repeat(below, axis=0).repeat(below, axis=1)
    assert (excess > 0).any()
    assert (excess == 0).any()
    np.testing.assert_allclose(found, plain + excess, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_adds_nothing_is_not_looked_for(
    export_bank: Callable[..., Path], odd_image: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Whatever is subtracted: the same map, by a search that stops at what is near enough and by one that does not."""
    bundle = export_bank(steps=(*NO_CONTEXT, ContextRecipe(1.0, share)))
    detector = panda_edge.load(bundle, threads=1)
    stopping, _, _ = distances(detector, odd_image)
    search, asked = kernel.PyramidSearch.nearest, []

    def whole(self: kernel.PyramidSearch, *about: Any) -> tuple[np.ndarray, np.ndarray]:
        asked.append(about[-1])
        return search(self, *about[:-1])

    monkeypatch.setattr(kernel.PyramidSearch, "nearest", whole)
    np.testing.assert_allclose(stopping, distances(detector, odd_image)[0], rtol=1e-6)
    assert asked[0] == 0 < asked[1]


def test_normal_pictures_say_what_is_added(export_bank: Callable[..., Path]) -> None:
    """The weight is of means alike, and the quantiles do not depend on it."""
    one, two = (steps_of(export_bank(f"{w}", steps=with_context(w)))["context"] for w in (1.0, 2.0))
    assert two.factor == pytest.approx(2 * one.factor, rel=1e-4)
    assert two.floor / two.factor == pytest.approx(one.floor / one.factor, rel=1e-4)
    assert one.above == two.above > 0


@pytest.mark.parametrize("options", [{"bank": "hnsw"}, {"dtype": "uint8"}, {"dtype": "float32"}, {"max_bank_mb": 0.03}])
def test_other_ways_to_store_the_same(
    export_bank: Callable[..., Path], odd_image: Path, options: dict[str, Any]
) -> None:
    usual, other = export_bank(), export_bank("other", **options)
    assert "context" in steps_of(other)
    size = sum(path.stat().st_size for path in (other / "bank").iterdir())
    if "max_bank_mb" in options:
        assert read_manifest(other).segmentation.count < 12
        assert size <= 30_000 + 8 * 128  # headers
    else:
        a, b = (panda_edge.load(bundle).segment(odd_image).heatmap for bundle in (usual, other))
        assert np.abs(a - b).max() < 0.05 * a.max()


def test_tiles_have_it_too(export_bank: Callable[..., Path], odd_image: Path) -> None:
    grid = Tiling.grid(2, 2, 64, 64)
    levels: dict[str, Any] = {"tiles": grid, "level_weights": (1.0, 1.0, 1.0), "average": 1}
    bundle = export_bank("tiles", **levels)
    assert "context" in steps_of(bundle)
    assert "border-gain" not in steps_of(bundle)
    assert verify(bundle)["ok"]
    one, two = (panda_edge.load(bundle, threads=n).segment(odd_image).heatmap for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5)


def test_one_picture_tells_nothing(export_bank: Callable[..., Path], odd_image: Path) -> None:
    bundle = export_bank(images=1)
    assert "context" not in steps_of(bundle)
    assert not [path.name for path in (bundle / "bank").iterdir() if "context" in path.name]
    assert panda_edge.load(bundle).segment(odd_image).heatmap.max() > 0
