"""--max-bank-mb: the bank's files are within it, and what was chosen is said."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from bank_choice import settings_for
from panda_edge.banks.bank import Building
from panda_edge.banks.embeddings import Asked
from panda_edge.banks.exact import Exact, keep_images, representative_images
from panda_edge.banks.gaussian import FACTOR_FILE, Gaussian, packed_size
from panda_edge.banks.settings import CHOICES as BANKS
from panda_edge.banks.settings import BankSettings, Shrunk
from panda_edge.bundle.manifest import Level
from panda_edge.errors import BundleError, PandaError
from panda_export.centres import KMeansCentres

LEVELS = (Level(16, 2, 2, 8), Level(8, 4, 4, 6), Level(4, 8, 8, 5))
SIZE, IMAGES = 32, 40
WIDE_LEVELS = (Level(16, 2, 2, 40), Level(8, 4, 4, 24), Level(4, 8, 8, 11))  # 75 channels on 16 cells


class FakeFeatures:
    """Features of a batch, with the shapes of the levels."""

    def __init__(self, images: int, random: np.random.Generator, levels: tuple[Level, ...] = LEVELS) -> None:
        self.embedding = random.normal(size=(images, SIZE)).astype(np.float32)
        shapes = [(images, level.height * level.width, level.channels) for level in levels]
        self.levels = tuple(random.normal(size=shape).astype(np.float32) for shape in shapes)


def shrunk(options: BankSettings, levels: tuple[Level, ...] = LEVELS, size: int = SIZE, images: int = IMAGES) -> Shrunk:
    return options.shrunk(options.layout(levels), images, size)


def bank_bytes(folder: Path, options: BankSettings, levels: tuple[Level, ...] = LEVELS) -> int:
    (folder / "bank").mkdir(parents=True)
    budget = shrunk(options, levels)
    features = FakeFeatures(IMAGES, np.random.default_rng(0), levels)
    writer = budget.kind.writer(Building(folder, options.layout(levels), IMAGES, seed=0, centres=KMeansCentres()))
    writer.add(features, [0] * IMAGES)
    writer.close()
    embeddings = features.embedding
    if budget.kind.traits.stores_frames:
        kept = representative_images(embeddings, budget.images)
        keep_images(folder, levels, kept)
        embeddings = embeddings[kept]
    kept_as = budget.kind.embeddings(options.embeddings, len(embeddings))
    kept_as.write(folder, embeddings, Asked(None, 50, 0, KMeansCentres()))
    return sum(path.stat().st_size for path in (folder / "bank").iterdir())


@pytest.mark.parametrize("bank", ["exact", "kmeans", "kmeans-levels", "coreset"])
@pytest.mark.parametrize("kilobytes", [8, 20, 50])
def test_files_are_within_the_budget(bank: str, kilobytes: int, tmp_path: Path) -> None:
    options = settings_for(bank, means=1000, vectors=1000, max_bank_mb=kilobytes / 1000)
    headers = 4 * 128  # an .npy header each
    assert bank_bytes(tmp_path, options) <= kilobytes * 1000 + headers


@pytest.mark.parametrize("bank", ["hnsw", "joint-hnsw"])
def test_graphs_are_near_the_budget(bank: str, tmp_path: Path) -> None:
    # hnswlib's upper layers are drawn at random, so that their size is known on average only.
    options = settings_for(bank, vectors=1000, max_bank_mb=0.03)
    assert bank_bytes(tmp_path, options) <= 1.1 * 30_000


def test_the_whole_bank_stays_where_it_fits() -> None:
    budget = shrunk(settings_for("exact", max_bank_mb=1000))
    assert budget.images == IMAGES


def rank_of(budget: Shrunk) -> int | None:
    assert isinstance(budget.kind, Gaussian)
    return budget.kind.rank


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_gaussian_bank_is_of_the_largest_rank_that_fits(dtype: str, tmp_path: Path) -> None:
    headers = 3 * 128
    ranks: dict[int | None, int] = {}
    for rank in (16, 32, 48, None):
        options = settings_for("gaussian", dtype=dtype, rank=rank)
        ranks[rank] = bank_bytes(tmp_path / f"{rank}", options, WIDE_LEVELS) - headers
    assert ranks[16] < ranks[32] < ranks[48] < ranks[None]
    for rank, exact in ranks.items():
        at_most = settings_for("gaussian", dtype=dtype, max_bank_mb=(exact + 1) / 1e6)
        budget = shrunk(at_most, WIDE_LEVELS)
        assert rank_of(budget) == rank
        assert budget.said == f"rank {rank or 75} of 75"
        assert bank_bytes(tmp_path / f"fitted {rank}", at_most, WIDE_LEVELS) - headers == exact
    for below, expected in ((ranks[None], 48), (ranks[48], 32), (ranks[32], 16)):
        options = settings_for("gaussian", dtype=dtype, max_bank_mb=(below - 1) / 1e6)
        assert rank_of(shrunk(options, WIDE_LEVELS)) == expected
    options = settings_for("gaussian", dtype=dtype, max_bank_mb=(ranks[16] - 1) / 1e6)
    with pytest.raises(PandaError, match="too small for any gaussian bank; give more"):
        shrunk(options, WIDE_LEVELS)


def test_a_gaussian_rank_never_exceeds_the_channels() -> None:
    for channels in range(1, 80):
        levels = (Level(8, 4, 4, channels),)
        whole = 16 * (2 * packed_size(channels) + 4 * channels)
        for most in range(whole + 64, 0, -61):
            try:
                rank = rank_of(shrunk(settings_for("gaussian", max_bank_mb=most / 1e6), levels, 0, 0))
            except PandaError:
                continue
            assert (rank is None) == (most >= whole), f"{channels} channels, {most} bytes"
            assert rank is None or rank < channels, f"{channels} channels, {most} bytes"


@pytest.fixture(scope="module")
def low_rank_bundle(sample_data: Path, tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Path:
    """A gaussian bank of 144 cells and 176 channels, whose whole factors would take 4.9 MB."""
    out = tmp_path_factory.mktemp("low-rank") / "x.panda"
    program = commands / "panda-train"
    done = command(program, "fit", sample_data, "--out", out, "--bank", "gaussian", "--max-bank-mb", "2",
                   "--input-size", "96", "--device", "cpu", "--hold-out", "4")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--max-bank-mb 2 keeps rank 32 of 176" in done.stderr
    return out


def command(*words: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], capture_output=True, text=True)


@pytest.mark.slow
def test_a_gaussian_bank_of_low_rank_from_fit_to_segment(
    low_rank_bundle: Path, sample_data: Path, tmp_path: Path, commands: Path
) -> None:
    assert sum(path.stat().st_size for path in (low_rank_bundle / "bank").iterdir()) <= 2_000_000
    assert np.load(low_rank_bundle / FACTOR_FILE).shape == (144, 32 * 176)
    manifest = json.loads((low_rank_bundle / "manifest.json").read_text())
    assert manifest["segmentation"]["rank"] == 32
    assert manifest["recipe"]["shrunk_to"] == "rank 32 of 176"
    verified = command(commands / "panda-edge", "verify", low_rank_bundle)
    assert verified.returncode == 0, verified.stderr
    odd = sample_data / "test" / "hole" / "brick-000.png"
    done = command(commands / "panda-edge", "segment", low_rank_bundle, odd, "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    [heatmap] = tmp_path.rglob("*.npy")
    values = np.load(heatmap)
    assert values.shape == (96, 96)
    assert (np.isfinite(values) & (values > 0)).all()


@pytest.mark.slow
def test_a_gaussian_bank_too_small_is_refused_in_one_line(sample_data: Path, tmp_path: Path, commands: Path) -> None:
    done = command(commands / "panda-train", "fit", sample_data, "--out", tmp_path / "x.panda", "--bank", "gaussian",
                   "--max-bank-mb", "0.9", "--input-size", "96", "--device", "cpu")  # fmt: skip
    assert done.returncode != 0
    assert "--max-bank-mb 0.9: too small for any gaussian bank; give more" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.panda").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [None, 16, 48, 176])
def test_factors_of_another_rank_than_the_manifests_are_refused(
    low_rank_bundle: Path, tmp_path: Path, edit_manifest: Callable[..., None], rank: int | None
) -> None:
    bundle = Path(shutil.copytree(low_rank_bundle, tmp_path / "x.panda"))
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(rank=rank))
    with pytest.raises(BundleError, match=r"gaussian_factor.npy: holds float16 \(144, 5632\), the manifest says"):
        panda_edge.load(bundle, threads=1)


@pytest.mark.parametrize("bank", ["exact", "kmeans", "kmeans-levels", "coreset", "joint-hnsw", "gaussian"])
def test_a_budget_too_small_for_anything_is_refused(bank: str) -> None:
    assert bank in BANKS
    with pytest.raises(PandaError, match="too small"):
        shrunk(settings_for(bank, max_bank_mb=0.0001))


def test_kept_images_are_those_that_were_stored(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    features = FakeFeatures(IMAGES, np.random.default_rng(1))
    writer = Exact().writer(Building(tmp_path, settings_for(dtype="float32").layout(LEVELS), IMAGES, seed=0))
    writer.add(features)
    writer.close()
    kept = representative_images(features.embedding, 7)
    keep_images(tmp_path, LEVELS, kept)
    assert len(set(kept)) == 7
    stored = np.load(tmp_path / "bank" / "stride04.npy")
    np.testing.assert_array_equal(stored, features.levels[2][kept])


def test_representative_images_cover_the_clusters() -> None:
    centres = 100 * np.eye(4, SIZE, dtype=np.float32)
    points = np.repeat(centres, 10, axis=0) + np.random.default_rng(2).normal(size=(40, SIZE)).astype(np.float32)
    assert {number // 10 for number in representative_images(points, 4)} == {0, 1, 2, 3}
