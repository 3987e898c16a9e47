"""--max-bank-mb: the bank's files are within it, and what was chosen is said."""

from pathlib import Path

import numpy as np
import pytest

from panda_edge.errors import PandaError
from panda_edge.manifest import Level
from panda_export.budget import fit_budget, keep_images, representative_images
from panda_export.embedding_banks import write_embeddings
from panda_export.gallery_banks import gallery_writer
from panda_export.options import BANKS, BankOptions

LEVELS = (Level(16, 2, 2, 8), Level(8, 4, 4, 6), Level(4, 8, 8, 5))
SIZE, IMAGES = 32, 40


class FakeFeatures:
    """Features of a batch, with the shapes of LEVELS."""

    def __init__(self, images: int, random: np.random.Generator) -> None:
        self.embedding = random.normal(size=(images, SIZE)).astype(np.float32)
        shapes = [(images, level.height * level.width, level.channels) for level in LEVELS]
        self.levels = tuple(random.normal(size=shape).astype(np.float32) for shape in shapes)


def bank_bytes(folder: Path, options: BankOptions) -> int:
    (folder / "bank").mkdir()
    budget = fit_budget(options, LEVELS, SIZE, IMAGES)
    features = FakeFeatures(IMAGES, np.random.default_rng(0))
    writer = gallery_writer(folder, LEVELS, budget.options, IMAGES, seed=0)
    writer.add(features)
    writer.close()
    embeddings = features.embedding
    if options.gallery == "exact":
        kept = representative_images(embeddings, budget.images)
        keep_images(folder, LEVELS, kept)
        embeddings = embeddings[kept]
    write_embeddings(folder, embeddings, budget.options, seed=0)
    return sum(path.stat().st_size for path in (folder / "bank").iterdir())


@pytest.mark.parametrize("bank", ["exact", "kmeans", "kmeans-levels", "coreset"])
@pytest.mark.parametrize("kilobytes", [8, 20, 50])
def test_files_are_within_the_budget(bank: str, kilobytes: int, tmp_path: Path) -> None:
    options = BankOptions(bank, means=1000, vectors=1000, max_bank_mb=kilobytes / 1000)
    headers = 4 * 128  # an .npy header each
    assert bank_bytes(tmp_path, options) <= kilobytes * 1000 + headers


@pytest.mark.parametrize("bank", ["hnsw", "joint-hnsw"])
def test_graphs_are_near_the_budget(bank: str, tmp_path: Path) -> None:
    # hnswlib's upper layers are drawn at random, so that their size is known on average only.
    options = BankOptions(bank, vectors=1000, max_bank_mb=0.03)
    assert bank_bytes(tmp_path, options) <= 1.1 * 30_000


def test_the_whole_bank_stays_where_it_fits() -> None:
    budget = fit_budget(BankOptions("exact", max_bank_mb=1000), LEVELS, SIZE, IMAGES)
    assert budget.images == IMAGES


@pytest.mark.parametrize("bank", ["exact", "kmeans", "kmeans-levels", "coreset", "joint-hnsw"])
def test_a_budget_too_small_for_anything_is_refused(bank: str) -> None:
    assert bank in BANKS
    with pytest.raises(PandaError, match="too small"):
        fit_budget(BankOptions(bank, max_bank_mb=0.0001), LEVELS, SIZE, IMAGES)


def test_kept_images_are_those_that_were_stored(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    features = FakeFeatures(IMAGES, np.random.default_rng(1))
    writer = gallery_writer(tmp_path, LEVELS, BankOptions("exact", dtype="float32"), IMAGES, seed=0)
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
