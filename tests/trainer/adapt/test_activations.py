"""Stored and recomputed activations, and which of them a step sees."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from panda_train import backbones
from panda_train.adapt import (
    RecomputedActivations,
    Source,
    StoredActivations,
    adapt,
    keep,
    store,
)
from panda_train.adapt.batches import draw
from small_adaptation import FAST, IMAGES, weights


class TestActivations:
    def test_stored_equal_recomputed(self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source) -> None:
        recomputed = RecomputedActivations(backbone, frames)
        indices = np.array([3, 39, 0, 17])
        torch.testing.assert_close(normal.activations.batch(indices), recomputed.batch(indices), rtol=1e-5, atol=1e-5)

    def test_training_on_either_ends_the_same(
        self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source
    ) -> None:
        stored = adapt(backbone, normal, FAST)
        recomputed = adapt(backbone, Source(RecomputedActivations(backbone, frames), IMAGES), FAST)
        torch.testing.assert_close(weights(stored), weights(recomputed), rtol=1e-4, atol=1e-6)

    def test_too_large_for_memory_go_to_a_file_with_the_same_content(
        self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source, tmp_path: Path
    ) -> None:
        everything = np.arange(IMAGES)
        for spilled in (
            store(backbone, frames, IMAGES, limit=1),
            store(backbone, frames, IMAGES, file=tmp_path / "kept.npy"),
        ):
            assert isinstance(spilled._array, np.memmap)
            assert torch.equal(spilled.batch(everything), normal.activations.batch(everything))

    def test_kept_in_a_file_they_are_made_once(
        self, backbone: backbones.Backbone, frames: np.ndarray, normal: Source, tmp_path: Path
    ) -> None:
        def stopped() -> Iterator[np.ndarray]:
            yield from frames[:20]
            raise KeyboardInterrupt

        file = tmp_path / "new" / "cats-40.npy"
        with pytest.raises(KeyboardInterrupt):
            keep(backbone, stopped(), IMAGES, file)
        assert not file.exists()
        expected = normal.activations.batch(np.arange(IMAGES))
        for given in (iter(frames), stopped()):  # the second is not asked for a frame
            kept = keep(backbone, given, IMAGES, file)
            assert isinstance(kept._array, np.memmap)
            assert torch.equal(kept.batch(np.arange(IMAGES)), expected)
        assert [path.name for path in file.parent.iterdir()] == ["cats-40.npy"]
        held = StoredActivations.joined([kept, kept.in_memory()])
        assert not isinstance(kept.in_memory()._array, np.memmap)
        assert torch.equal(held.batch(np.arange(2 * IMAGES)), torch.cat([expected, expected]))

    def test_count_must_be_the_announced_one(self, backbone: backbones.Backbone, frames: np.ndarray) -> None:
        with pytest.raises(ValueError, match="40 frames came, 39 were announced"):
            store(backbone, frames, 39)


class TestDraw:
    def test_an_epoch_shows_each_image_once(self) -> None:
        seen = np.concatenate([draw(0, 0, step, 40, 8) for step in range(5)])
        assert sorted(seen) == list(range(40))

    def test_depends_on_step_group_and_seed_alone(self) -> None:
        assert np.array_equal(draw(1, 0, 7, 40, 8), draw(1, 0, 7, 40, 8))
        assert not np.array_equal(draw(1, 0, 7, 40, 8), draw(2, 0, 7, 40, 8))
        assert not np.array_equal(draw(1, 0, 7, 40, 8), draw(1, 1, 7, 40, 8))

    def test_batch_larger_than_the_set(self) -> None:
        assert sorted(draw(0, 0, 3, 5, 8)) == list(range(5))
