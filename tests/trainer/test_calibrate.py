"""How normal images are divided between bank and calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from panda_train.data.held_out import held_out_count, split_normal


@pytest.mark.parametrize(
    ("images", "held"),
    [(1, 0), (2, 0), (3, 1), (8, 2), (100, 33), (297, 99), (400, 99), (762, 152), (10_000, 2000), (100_000, 2000)],
)
def test_how_many_are_held_out(images: int, held: int) -> None:
    assert held_out_count(images) == held


def test_the_split_is_seeded_keeps_order_and_loses_nothing() -> None:
    images = tuple(Path(f"{i}.png") for i in range(50))
    kept, held = split_normal(images, seed=1)
    assert len(held) == held_out_count(50)
    assert sorted(kept + held) == sorted(images)
    assert list(kept) == [image for image in images if image in set(kept)]
    assert split_normal(images, seed=1) == (kept, held)
    assert split_normal(images, seed=2) != (kept, held)


def test_asking_for_a_number() -> None:
    images = tuple(Path(f"{i}.png") for i in range(5))
    assert split_normal(images, held_out=0) == (images, ())
    kept, held = split_normal(images, held_out=99)
    assert (len(kept), len(held)) == (1, 4)
    assert split_normal((), held_out=3) == ((), ())
