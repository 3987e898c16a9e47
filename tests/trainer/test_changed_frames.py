"""Augmented copies of frames, and outliers made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from panda_edge.errors import PandaError
from panda_train.data import augment, outliers


@pytest.fixture
def frame(texture: Callable[..., np.ndarray]) -> np.ndarray:
    return texture(64, 64, seed=5)


class TestAugmented:
    def test_copies_are_of_the_frames_shape_and_differ(self, frame: np.ndarray) -> None:
        copies = list(augment.copies([(0, frame), (1, frame)], 3, seed=0))
        assert {(copy.shape, copy.dtype.name) for copy in copies} == {((64, 64, 3), "uint8")}
        assert len({copy.tobytes() for copy in copies}) == 6

    def test_depend_on_seed_and_number_alone(self, frame: np.ndarray) -> None:
        whole = list(augment.copies([(0, frame), (1, frame)], 3, seed=0))
        alone = list(augment.copies([(1, frame)], 3, seed=0))
        assert all(np.array_equal(a, b) for a, b in zip(whole[3:], alone, strict=True))
        assert not np.array_equal(next(augment.copies([(1, frame)], 1, seed=1)), alone[0])

    def test_each_change_comes_as_often_as_published(self) -> None:
        """A frame of one colour, so that only colours can change: four of five are jittered, a fifth is grey."""
        plain = np.full((8, 8, 3), (200, 120, 40), np.uint8)
        copies = np.stack(list(augment.copies(((i, plain) for i in range(600)), 1, seed=0)))[:, 4, 4].astype(int)
        untouched, grey = (copies == (200, 120, 40)).all(axis=1), np.ptp(copies, axis=1) == 0
        assert untouched.mean() == pytest.approx(0.2 * 0.8, abs=0.05)
        assert grey.mean() == pytest.approx(0.2, abs=0.05)

    def test_crops_are_a_fifth_to_all_of_the_area(self) -> None:
        rng = np.random.default_rng(0)
        boxes = np.array([augment._crop(96, 128, rng) for _ in range(500)])
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (96 * 128)
        assert boxes.min() >= 0
        assert (boxes[:, 2].max(), boxes[:, 3].max()) <= (128.0, 96.0)
        assert areas.min() == pytest.approx(0.2, abs=0.02)
        assert areas.max() > 0.9

    def test_a_half_is_mirrored(self) -> None:
        """A ramp from dark to bright says which way round it is."""
        ramp = np.repeat(np.linspace(0, 255, 32, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
        copies = augment.copies(((i, ramp) for i in range(400)), 1, seed=0)
        mirrored = [float(copy[:, :8].mean()) > float(copy[:, -8:].mean()) for copy in copies]
        assert np.mean(mirrored) == pytest.approx(0.5, abs=0.08)


class TestOutliers:
    @pytest.mark.parametrize("kind", outliers.KINDS)
    def test_are_other_frames_of_the_same_shape(self, frame: np.ndarray, kind: str) -> None:
        made = list(outliers.made(enumerate([frame] * 6), kind, seed=0))
        assert all(outlier.shape == frame.shape and outlier.dtype == np.uint8 for outlier in made)
        assert not any(np.array_equal(outlier, frame) for outlier in made)
        again = list(outliers.made([(4, frame)], kind, seed=0))
        assert np.array_equal(again[0], made[4])

    def test_a_cut_piece_covers_a_small_part(self, frame: np.ndarray) -> None:
        changed = [(o != frame).any(axis=2).mean() for o in outliers.made(enumerate([frame] * 50), "cut", seed=0)]
        assert 0 < min(changed) < max(changed) < 0.35

    def test_tiles_hold_the_same_pixels_elsewhere(self, frame: np.ndarray) -> None:
        (shuffled,) = outliers.made([(0, frame)], "tiles", seed=0)
        assert np.array_equal(np.sort(shuffled.reshape(-1, 3), axis=0), np.sort(frame.reshape(-1, 3), axis=0))
        parts = {frame[y : y + 16, x : x + 16].tobytes() for y in range(0, 64, 16) for x in range(0, 64, 16)}
        parts |= {frame[y : y + 16, x : x + 16][::-1, ::-1].tobytes() for y in range(0, 64, 16)
                  for x in range(0, 64, 16)}  # fmt: skip
        assert all(shuffled[y : y + 16, x : x + 16].tobytes() in parts for y in range(0, 64, 16) for x in (0, 48))

    def test_turned_by_every_quarter(self, frame: np.ndarray) -> None:
        turns = {next(outliers.made([(i, frame)], "turned", seed=0)).tobytes() for i in range(30)}
        assert turns == {np.rot90(frame, quarters).tobytes() for quarters in (1, 2, 3)}
        wide = frame[:32]
        (half,) = outliers.made([(0, wide)], "turned", seed=0)
        assert np.array_equal(half, wide[::-1, ::-1])

    def test_unknown_kind(self) -> None:
        with pytest.raises(PandaError, match="--outliers 'blur'; expected one of made, cut, tiles, turned"):
            outliers.check_kind("blur")
