"""The Gaussian bank against float64 numpy: estimation while streaming, float16 factors, cells and their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from panda_edge.banks.bank import Building, Layout
from panda_edge.banks.gaussian import (
    FACTOR_FILE,
    MEAN_FILE,
    DescriptorGrid,
    Gaussian,
    GaussianGallery,
    GaussianWriter,
    low_rank_factor,
    packed_size,
    shrunk,
    whitening_factor,
)
from panda_edge.banks.level_files import raster_order
from panda_edge.banks.query import Query
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Features
from panda_edge.errors import DataError, PandaError
from panda_edge.kernel import pack_factors

LEVELS = (Level(16, 2, 3, 5), Level(8, 4, 6, 3), Level(4, 8, 12, 4))
CELLS, SIZE = 24, 12
SHRINKAGE = 0.01


def features(count: int, seed: int) -> Features:
    """Correlated channels with large means, as a backbone's are."""
    rng = np.random.default_rng(seed)
    levels = []
    for level in LEVELS:
        mix = np.random.default_rng(level.channels).normal(size=(level.channels, level.channels))
        noise = rng.normal(size=(count, level.height * level.width, level.channels))
        levels.append((noise @ mix + 50).astype(np.float32))
    return Features(np.zeros((count, 1), np.float32), tuple(levels))


def joint(batch: Features) -> np.ndarray:
    """float64 (images, cells, D), by hand."""
    coarse, middle, fine = (level.astype(np.float64) for level in batch.levels)
    nested = np.concatenate([np.repeat(coarse, 4, 1), middle, fine.reshape(len(fine), CELLS, 4, 4).mean(2)], axis=2)
    return nested[:, raster_order((2, 3), 1).ravel()]


def writer_of(folder: Path, dtype: str = "float16", average: int = 1, rank: int | None = None) -> GaussianWriter:
    building = Building(folder, Layout(LEVELS, dtype, average), 10, seed=0)
    return GaussianWriter(building, Gaussian(SHRINKAGE, rank))


def write(
    folder: Path, batches: list[Features], dtype: str = "float32", average: int = 1, rank: int | None = None
) -> GaussianGallery:
    (folder / "bank").mkdir(exist_ok=True)
    writer = writer_of(folder, dtype, average, rank)
    for batch in batches:
        writer.add(batch)
    assert writer.close() == sum(len(batch.embedding) for batch in batches)
    mean, factors = np.load(folder / MEAN_FILE), np.load(folder / FACTOR_FILE)
    return GaussianGallery(mean, factors, DescriptorGrid(LEVELS, average), threads=1, rank=rank)


def expected_distances(normal: np.ndarray, query: np.ndarray, rank: int = SIZE) -> np.ndarray:
    """In the `rank` directions of least variance."""
    mean = normal.mean(axis=0)
    covariances = [np.cov(normal[:, cell], rowvar=False) for cell in range(CELLS)]
    isotropic = np.mean([np.trace(covariance) for covariance in covariances]) / SIZE
    away = query - mean
    if rank == SIZE:
        return np.array(
            [
                d @ np.linalg.solve(shrunk(covariance, isotropic, SHRINKAGE), d)
                for d, covariance in zip(away, covariances, strict=True)
            ]
        )
    found = []
    for d, covariance in zip(away, covariances, strict=True):
        variances, directions = np.linalg.eigh(shrunk(covariance, isotropic, SHRINKAGE))
        found.append(sum((directions[:, i] @ d) ** 2 / variances[i] for i in range(rank)))
    return np.array(found)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-3), ("float16", 1e-2)])
@pytest.mark.parametrize("images", [5, 80])
def test_distances_equal_float64(tmp_path: Path, images: int, dtype: str, tolerance: float) -> None:
    whole, query = features(images, 1), features(1, 99)
    parts = [
        Features(whole.embedding[i : i + 7], tuple(level[i : i + 7] for level in whole.levels))
        for i in range(0, images, 7)
    ]
    found = write(tmp_path, parts, dtype).search(Query([level[0] for level in query.levels])).squared
    expected = expected_distances(joint(whole), joint(query)[0])
    assert found.shape == (4, 6)
    np.testing.assert_allclose(found.ravel(), expected, rtol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-3), ("float16", 2e-2)])
@pytest.mark.parametrize("rank", [1, 5, SIZE])
def test_distances_of_low_rank_equal_float64(tmp_path: Path, rank: int, dtype: str, tolerance: float) -> None:
    whole, query = features(80, 1), features(1, 99)
    bank = write(tmp_path, [whole], dtype, rank=rank)
    found = bank.search(Query([level[0] for level in query.levels])).squared.ravel()
    expected = expected_distances(joint(whole), joint(query)[0], rank)
    # A single direction may happen to be nearly at right angles: measured against the usual distance.
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * expected.mean())


def test_a_low_rank_factor_is_the_nearest_to_the_inverse_and_never_exceeds_it() -> None:
    rng = np.random.default_rng(5)
    mix = rng.normal(size=(20, 20))
    covariance = mix @ mix.T + 0.01 * np.eye(20)
    inverse, whole = np.linalg.inv(covariance), whitening_factor(covariance)
    x = rng.normal(size=(1000, 20))
    full = ((x @ whole.T) ** 2).sum(1)
    before = np.zeros(1000)
    for rank in range(1, 21):
        factor = low_rank_factor(covariance, rank)
        assert factor.shape == (rank, 20)
        error = np.linalg.norm(inverse - factor.T @ factor, 2)
        best = np.linalg.svd(inverse)[1][rank:].max(initial=0)
        np.testing.assert_allclose(error, best, atol=1e-8 * np.linalg.norm(inverse, 2))
        now = ((x @ factor.T) ** 2).sum(1)
        assert (now >= before).all()
        assert (now <= full * (1 + 1e-9)).all()
        before = now
    np.testing.assert_allclose(before, full, rtol=1e-9)


@pytest.mark.parametrize("rank", [0, -1, SIZE + 1])
def test_a_rank_that_there_is_not_is_refused(tmp_path: Path, rank: int) -> None:
    with pytest.raises(PandaError, match=f"rank is {rank}; expected 1 "):
        writer_of(tmp_path, rank=rank)


def test_descriptors_average_children_and_repeat_parents() -> None:
    batch = features(1, 3)
    np.testing.assert_allclose(
        DescriptorGrid(LEVELS, 1).descriptors([level[0] for level in batch.levels]), joint(batch)[0], rtol=1e-6
    )


@pytest.mark.parametrize("average", [3, 5, 11])
def test_averaging_is_a_box_that_stops_at_the_border(average: int) -> None:
    batch = features(1, 4)
    raster = joint(batch)[0].reshape(4, 6, SIZE)
    reach = average // 2
    expected = [
        raster[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].mean((0, 1))
        for y in range(4)
        for x in range(6)
    ]
    found = DescriptorGrid(LEVELS, average).descriptors([level[0] for level in batch.levels])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_even_window_has_no_middle() -> None:
    with pytest.raises(ValueError, match="average is 4"):
        DescriptorGrid(LEVELS, 4)


@pytest.mark.parametrize("channels", [1, 16, 17, 176])
def test_packed_size_is_the_kernels(channels: int) -> None:
    assert pack_factors(np.eye(channels)[None], True).shape == (1, packed_size(channels))
    for rank in {1, min(16, channels), channels}:
        packed = pack_factors(np.eye(channels)[None, :rank], False)
        assert packed.shape == (1, packed_size(channels, rank))


def test_raster_order_is_the_nested_order_of_the_graph() -> None:
    torch = pytest.importorskip("torch")
    from panda_export.graph import nest

    raster = torch.arange(8 * 12, dtype=torch.float32).reshape(1, 1, 8, 12)
    nested = nest(raster, 2)[0, :, 0].numpy()
    assert np.array_equal(nested[raster_order((2, 3), 2)], raster[0, 0].numpy())


def test_what_lies_off_the_normal_directions_is_far(tmp_path: Path) -> None:
    """Of two channels that always agree: a step in which they differ is farther than a longer one in which not."""
    normal = features(200, 1)
    normal.levels[1][..., 1] = normal.levels[1][..., 0]
    bank = write(tmp_path, [normal])
    levels = [level.mean(axis=0) for level in normal.levels]
    agree, disagree = [level.copy() for level in levels], [level.copy() for level in levels]
    agree[1][5, :2] += 1.0
    disagree[1][5, :2] += (0.3, -0.3)
    assert bank.search(Query(disagree)).squared.max() > 5 * bank.search(Query(agree)).squared.max()


def test_identical_images_have_finite_factors(tmp_path: Path) -> None:
    one = features(1, 1)
    bank = write(tmp_path, [one, one, one], "float16")
    assert np.isfinite(np.load(tmp_path / FACTOR_FILE)).all()
    assert bank.search(Query([level[0] for level in one.levels])).squared.max() < 1e-3


def test_one_image_is_too_few(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    writer = writer_of(tmp_path)
    writer.add(features(1, 1))
    with pytest.raises(DataError, match="at least 2 normal images, got 1"):
        writer.close()
