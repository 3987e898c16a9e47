"""A wider look at an exact bank: made by `fit` and `extend`, done by the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import panda_edge
from panda_edge.bundle.manifest import Manifest, read_manifest
from panda_edge.detector import Detector
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.inspect.verify import verify
from panda_edge.search import kernel
from panda_edge.search.embedding import EMBEDDINGS_FILE
from panda_edge.search.level_files import level_file, raster_order
from panda_edge.search.own_distances import OwnDistances
from panda_edge.search.query import FrameFeatures
from panda_edge.search.wide import WIDE_OWN_DISTANCES_FILE, wide_files
from panda_export.options import BankOptions

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
    found = kernel.widened(levels, (2, 3))
    wanted = expected_levels(levels, (2, 3))
    assert len(found) == len(wanted) == min(count, 2)
    for depth, (level, raster) in enumerate(zip(found, wanted, strict=True)):
        assert level.dtype == np.float32
        np.testing.assert_allclose(level[raster_order((2, 3), depth)], raster, rtol=1e-5)


def joint(levels: list[np.ndarray], grid: tuple[int, int]) -> np.ndarray:
    """Descriptors of a frame's wider look, row by row of its finer grid."""
    coarse, fine = expected_levels(levels, grid)
    descriptors = np.concatenate([coarse.repeat(2, axis=0).repeat(2, axis=1), fine], axis=2)
    return np.asarray(descriptors.reshape(-1, descriptors.shape[2]))


def stored(bundle: Path, manifest: Manifest) -> list[np.ndarray]:
    """Each stored frame's descriptors at a wider look, rounded as they are searched."""
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


def test_what_is_beyond_the_usual_is_added(export_bank: Callable[..., Path], odd_image: Path) -> None:
    bundle, near = export_bank("wide", wide=1.0), export_bank("near", wide=0.0)
    manifest = read_manifest(bundle)
    wide = manifest.segmentation.wide
    assert wide is not None
    assert wide.floor > 0
    assert verify(bundle)["ok"]
    assert "a wider look added" in describe_in_words(describe(bundle))
    assert "wide" not in read_manifest(near).plain()["segmentation"]
    assert not {*wide_files(manifest.levels), WIDE_OWN_DISTANCES_FILE} & {*read_manifest(near).files}

    frames, vectors = stored(bundle, manifest), np.load(bundle / EMBEDDINGS_FILE)
    own = np.load(bundle / WIDE_OWN_DISTANCES_FILE)
    side = manifest.levels[1].height
    grid = manifest.levels[0].height, manifest.levels[0].width
    assert (own.shape, own.dtype) == ((12, side, side), np.float16)
    files = [np.load(bundle / level_file(level)).astype(np.float32) for level in manifest.levels]
    for i in (0, 7):
        for depth, (name, wanted) in enumerate(
            zip(wide_files(manifest.levels), expected_levels([file[i] for file in files], grid), strict=True)
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
    excess = np.maximum(wide.factor * left - wide.floor, 0).repeat(2, axis=0).repeat(2, axis=1)
    below = len(plain) // grid[0]
    high = plain.reshape(grid[0], below, grid[1], below).max(axis=(1, 3)) > wide.above
    assert 0 < high.mean() < 1
    excess *= high.repeat(below, axis=0).repeat(below, axis=1)
    assert (excess > 0).any()
    assert (excess == 0).any()
    np.testing.assert_allclose(found, plain + excess, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("discount", [0.0, 0.5])
def test_what_adds_nothing_is_not_looked_for(
    export_bank: Callable[..., Path], odd_image: Path, monkeypatch: pytest.MonkeyPatch, discount: float
) -> None:
    """Whatever is taken off: the same map, by a search that stops at what is near enough and by one that does not."""
    if not discount:  # which no bundle of `fit` has beside a wider look
        monkeypatch.setattr(OwnDistances, "taken_off", lambda self, squared, matched: squared)
        monkeypatch.setattr(OwnDistances, "least", lambda self, frames: 0.0)
    detector = panda_edge.load(export_bank(wide=1.0), threads=1)
    stopping, _, _ = distances(detector, odd_image)
    search, asked = kernel.PyramidSearch.nearest, []

    def whole(self: kernel.PyramidSearch, *about: Any) -> tuple[np.ndarray, np.ndarray]:
        asked.append(about[-1])
        return search(self, *about[:-1])

    monkeypatch.setattr(kernel.PyramidSearch, "nearest", whole)
    np.testing.assert_allclose(stopping, distances(detector, odd_image)[0], rtol=1e-6)
    assert asked[0] == 0 < asked[1]


def test_normal_pictures_say_what_is_usual(export_bank: Callable[..., Path]) -> None:
    """The weight is of means alike, and what is usual does not depend on it."""
    one, two = (read_manifest(export_bank(f"{w}", wide=w)).segmentation.wide for w in (1.0, 2.0))
    assert one is not None
    assert two is not None
    assert two.factor == pytest.approx(2 * one.factor, rel=1e-4)
    assert two.floor / two.factor == pytest.approx(one.floor / one.factor, rel=1e-4)
    assert one.above == two.above > 0


@pytest.mark.parametrize("options", [{"bank": "hnsw"}, {"dtype": "uint8"}, {"dtype": "float32"}, {"max_bank_mb": 0.03}])
def test_other_ways_to_store_the_same(
    export_bank: Callable[..., Path], odd_image: Path, options: dict[str, Any]
) -> None:
    usual, other = export_bank(), export_bank("other", **options)
    assert read_manifest(other).segmentation.wide is not None
    size = sum(path.stat().st_size for path in (other / "bank").iterdir())
    if "max_bank_mb" in options:
        assert read_manifest(other).segmentation.count < 12
        assert size <= 30_000 + 8 * 128  # headers
    else:
        a, b = (panda_edge.load(bundle).segment(odd_image).heatmap for bundle in (usual, other))
        assert np.abs(a - b).max() < 0.05 * a.max()


def test_tiles_look_wider_too(export_bank: Callable[..., Path], odd_image: Path) -> None:
    grid = Tiling.grid(2, 2, 64, 64)
    levels: dict[str, Any] = {"tiles": grid, "level_weights": (1.0, 1.0, 1.0), "average": 1}
    assert read_manifest(export_bank("tiles", wide=0.0, **levels)).segmentation.wide is None
    bundle = export_bank("wide", **levels)
    manifest = read_manifest(bundle)
    assert manifest.segmentation.wide is not None
    assert verify(bundle)["ok"]
    one, two = (panda_edge.load(bundle, threads=n).segment(odd_image).heatmap for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5)


def test_one_picture_tells_nothing(export_bank: Callable[..., Path], odd_image: Path) -> None:
    bundle = export_bank(images=1)
    assert read_manifest(bundle).segmentation.wide is None
    assert not [path.name for path in (bundle / "bank").iterdir() if "wide" in path.name]
    assert panda_edge.load(bundle).segment(odd_image).heatmap.max() > 0


def test_what_looks_wider() -> None:
    def of(tiled: bool = False, **options: Any) -> float | None:
        return BankOptions(**options).resolved(tiled).wide

    assert of() == of(bank="hnsw") == of(tiled=True) == 0.5
    assert of(wide=1.0) == 1.0
    assert of(discount=0.0) == of(bank="gaussian") == 0.0
    assert of(tiled=True, wide=0.25) == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wide": -1.0}, "wide is -1; expected a weight from 0 to 100"),
        ({"wide": 101.0}, "wide is 101; expected a weight from 0 to 100"),
        ({"wide": math.nan}, "wide is nan; expected a weight from 0 to 100"),
        ({"wide": 1.0, "bank": "gaussian"}, "wide is 1; expected a weight from 0 to 100, of an exact or hnsw bank"),
        ({"wide": 1.0, "discount": 0.0}, "wide is 1; expected .* with a discount"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PandaError, match=message):
        BankOptions(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wide": {"factor": 1.0}}, "wide"),
        ({"wide": {"factor": -1.0, "floor": 1.0, "above": 1.0}}, "factor is -1.0"),
        ({"wide": {"factor": 1.0, "floor": "1", "above": 1.0}}, "floor is '1'"),
        ({"wide": {"factor": 1.0, "floor": 1.0}}, "above"),
        ({"wide": 1.0}, "wide is 1.0"),
        ({"wide": {"factor": 1.0, "floor": 1.0, "above": math.nan}}, "above is nan|not valid JSON"),
    ],
)
def test_manifests_that_are_refused(
    made_bundles: dict[str, Path],
    bundle_copy: Callable[..., Path],
    edit_manifest: Callable[..., None],
    change: dict[str, Any],
    message: str,
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(change), reseal=True)
    with pytest.raises(BundleError, match=message):
        panda_edge.load(bundle)


def test_other_banks_and_missing_files_are_refused(
    export_bank: Callable[..., Path], bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None]
) -> None:
    other = bundle_copy("gaussian")
    edit_manifest(
        other, lambda p: p["segmentation"].update(wide={"factor": 1.0, "floor": 1.0, "above": 1.0}), reseal=True
    )
    with pytest.raises(BundleError, match="wide of a gaussian bank"):
        panda_edge.load(other)
    bundle = export_bank()
    for name in (WIDE_OWN_DISTANCES_FILE, *wide_files(read_manifest(bundle).levels)):
        hidden = (bundle / name).rename(bundle / "hidden")
        with pytest.raises(BundleError, match=rf"{name}: missing"):
            panda_edge.load(bundle)
        hidden.rename(bundle / name)
