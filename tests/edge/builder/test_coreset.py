"""The coreset bank: its descriptors against torch, the choice and its order, and the search by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from PIL import Image
from torch.nn import functional

import panda_edge
from panda_edge import kernel
from panda_edge.banks.bank import Building, Layout
from panda_edge.banks.coreset import (
    BASIS_FILE,
    CORESET_FILE,
    MEAN_FILE,
    CoresetGallery,
    CoresetGrid,
    CoresetWriter,
    order_of_space,
    principal_directions,
)
from panda_edge.banks.level_files import raster_order
from panda_edge.banks.query import Query
from panda_edge.bundle.manifest import Level, read_manifest
from panda_edge.bundle.model import Features
from panda_export.descriptors import Descriptors

LEVELS = (Level(16, 2, 3, 5), Level(8, 4, 6, 3), Level(4, 8, 12, 4))


def features(images: int, seed: int) -> Features:
    random = np.random.default_rng(seed)
    levels = [random.normal(size=(images, lv.height * lv.width, lv.channels)).astype(np.float32) for lv in LEVELS]
    return Features(np.zeros((images, 1), np.float32), tuple(levels))


def by_torch(levels: list[np.ndarray], grids: tuple[Level, ...] = LEVELS) -> np.ndarray:
    """float64 (cells of the second-finest level, channels): interpolated as PatchCore does."""
    parts = []
    coarse, fine = grids[0], grids[-2]
    for depth, (level, grid) in enumerate(zip(levels[:-1], grids[:-1], strict=True)):
        raster = level[raster_order((coarse.height, coarse.width), depth)]
        part = torch.from_numpy(raster.astype(np.float64)).permute(2, 0, 1)[None]
        assert part.shape[2:] == (grid.height, grid.width)
        parts.append(functional.interpolate(part, size=(fine.height, fine.width), mode="bilinear"))
    joint = torch.cat(parts, 1)[0]
    return joint.permute(1, 2, 0).reshape(-1, joint.shape[0]).numpy()


def write(folder: Path, batches: list[Features], vectors: int, dtype: str = "float32") -> CoresetGallery:
    (folder / "bank").mkdir(exist_ok=True)
    images = sum(len(batch.embedding) for batch in batches)
    writer = CoresetWriter(Building(folder, Layout(LEVELS, dtype), images, seed=0), vectors)
    for batch in batches:
        writer.add(batch, [0] * len(batch.embedding))
    assert writer.close() == min(vectors, images * 24)
    stored, mean, basis = (np.load(folder / name) for name in (CORESET_FILE, MEAN_FILE, BASIS_FILE))
    assert stored.dtype == dtype
    return CoresetGallery(stored, mean, basis, CoresetGrid(LEVELS), threads=1)


def test_descriptors_equal_torch() -> None:
    levels = [level[0] for level in features(1, 0).levels]
    grid = CoresetGrid(LEVELS)
    assert (grid.height, grid.width, grid.channels) == (4, 6, 8)
    np.testing.assert_allclose(grid.descriptors(levels), by_torch(levels), rtol=1e-5, atol=1e-6)


def test_a_single_level_is_its_own_descriptor() -> None:
    level = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    np.testing.assert_array_equal(CoresetGrid(LEVELS[:1]).descriptors([level]), level)


def test_padding_counts_as_zeros_where_it_is_to() -> None:
    level = torch.randn(1, 3, 6, 8)
    (found,) = Descriptors([3], [torch.ones(3)], padded=True)([level])
    np.testing.assert_allclose(found, functional.avg_pool2d(level, 3, 1, 1), rtol=1e-5, atol=1e-6)


def test_a_bank_of_all_descriptors_finds_the_nearest_of_all(tmp_path: Path) -> None:
    batches = [features(3, 2), features(2, 3)]
    gallery = write(tmp_path, batches, 1000)
    normal = np.concatenate(
        [by_torch([level[i] for level in b.levels]) for b in batches for i in range(len(b.embedding))]
    )
    levels = [level[0] for level in features(1, 4).levels]
    expected = ((by_torch(levels)[:, None] - normal[None]) ** 2).sum(2).min(1).reshape(4, 6)
    np.testing.assert_allclose(gallery.search(Query(levels)).squared, expected, rtol=1e-2)  # the draw keeps float16
    active_cells = np.array([[True, False, False], [False, True, False]])
    some = gallery.search(Query(levels, active_cells=active_cells)).squared
    seen = active_cells.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(some[seen], gallery.search(Query(levels)).squared[seen])
    assert (some[~seen] == 0).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_choice_is_greedy_k_centre(tmp_path: Path, dtype: str) -> None:
    batch = features(6, 5)
    write(tmp_path, [batch], 20, dtype)
    drawn = np.concatenate([by_torch([level[i] for level in batch.levels]) for i in range(6)])
    drawn = np.ascontiguousarray(drawn, dtype=np.float16)
    chosen = drawn[kernel.k_centre(drawn, 20)].astype(np.float32)
    stored, mean, basis = (np.load(tmp_path / name) for name in (CORESET_FILE, MEAN_FILE, BASIS_FILE))
    back = stored.astype(np.float32) @ basis.T + mean
    gaps = np.abs(back[:, None] - chosen[None]).max(2).min(1)
    assert gaps.max() < 0.01, "every stored descriptor is one that was chosen, turned and in another order"


def test_directions_are_orthonormal_and_vary_less_and_less() -> None:
    random = np.random.default_rng(6)
    rows = (random.normal(size=(500, 7)) @ random.normal(size=(7, 7)) + 100).astype(np.float16)
    mean, basis = principal_directions(rows)
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(basis.T @ basis, np.eye(7), atol=1e-6)
    variances = ((rows.astype(np.float64) - mean) @ basis).var(0)
    assert (np.diff(variances) <= 1e-9).all()


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200, 1000])
def test_the_order_takes_every_row_once_and_fills_its_leaves(count: int) -> None:
    points = np.random.default_rng(7).normal(size=(count, 12)).astype(np.float32)
    order = order_of_space(points)
    np.testing.assert_array_equal(np.sort(order), np.arange(count))
    if count == 1000:
        spans = [np.ptp(points[order[first : first + 64], :8], axis=0).prod() for first in range(0, 960, 64)]
        assert np.mean(spans) < 0.5 * np.ptp(points[:64, :8], axis=0).prod()


def test_the_bank_of_a_bundle_by_brute_force(made_bundles: dict[str, Path], normal_images: list[Path]) -> None:
    bundle = made_bundles["coreset"]
    manifest = read_manifest(bundle)
    session = ort.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    stored, mean, basis = (np.load(bundle / name).astype(np.float64) for name in (CORESET_FILE, MEAN_FILE, BASIS_FILE))
    assert len(stored) == manifest.segmentation.count
    detector = panda_edge.load(bundle, threads=2)
    for path in normal_images[::4]:
        frame = np.asarray(Image.open(path).convert("RGB"))
        levels = [level[0] for level in session.run(None, {"frames": frame[None]})[1:]]
        turned = (by_torch(levels, manifest.levels) - mean) @ basis
        nearest = np.sqrt(((turned[:, None] - stored[None]) ** 2).sum(2).min(1))
        side = manifest.levels[-2].height
        expected = kernel.render_heatmap(nearest.reshape(side, -1), *frame.shape[:2], manifest.segmentation.sigma)
        np.testing.assert_allclose(detector.segment(path).heatmap, expected, rtol=1e-3)
