"""Painted defects: where the mask is the picture has changed, and nowhere else; sizes are as asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import DataError
from panda_train.choosing.paint import FAMILIES, paint, spans_of
from panda_train.choosing.pictures import judged
from panda_train.data.small_defects import longest_side


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_defect_changes(family: str, texture: Callable[..., np.ndarray]) -> None:
    image, other = texture(160, 200, 1), texture(150, 220, 2)
    before = image.copy()
    for seed in range(5):
        done = paint(family, image, other, (12.0, 40.0), np.random.default_rng(seed))
        assert (image == before).all()
        assert done.image.shape == image.shape
        assert done.image.dtype == np.uint8
        changed = (done.image != image).any(axis=2)
        assert changed[done.mask].mean() > 0.5
        rows, columns = np.nonzero(done.mask)
        around = np.zeros_like(done.mask)
        around[max(rows.min() - 16, 0) : rows.max() + 17, max(columns.min() - 16, 0) : columns.max() + 17] = True
        assert not changed[~around].any()
        assert 4 <= longest_side(done.mask) <= 60


@pytest.mark.parametrize("family", FAMILIES)
def test_a_grey_picture_stays_grey(family: str, texture: Callable[..., np.ndarray]) -> None:
    image = np.repeat(texture(96, 96, 3)[..., :1], 3, axis=2)
    done = paint(family, image, image[::-1], (10.0, 30.0), np.random.default_rng(4)).image
    assert (np.ptp(done.astype(int), axis=2) == 0).all()


def test_the_same_seed_paints_the_same(texture: Callable[..., np.ndarray]) -> None:
    def once() -> np.ndarray:
        return paint("patch", texture(), texture(seed=1), (8.0, 30.0), np.random.default_rng(7)).image

    assert (once() == once()).all()


def test_spans_begin_at_the_smallest_defect() -> None:
    assert spans_of((1000, 800), 12) == (12, 48)
    assert spans_of((1000, 800), None) == (25, 200)
    least, most = spans_of((16, 16), 50)  # never more than a small picture holds
    assert least < most < 16


def test_spans_end_at_the_largest_defect() -> None:
    assert spans_of((1000, 800), None, 300) == (25, 300)
    assert spans_of((1000, 800), 12, 20) == (12, 20)
    assert spans_of((1000, 800), 200, 5000) == (200, 720)  # that leaves some of the picture
    least, most = spans_of((1000, 800), 800, 801)
    assert least < most <= 720


def write(folder: Path, pictures: list[np.ndarray]) -> list[Path]:
    folder.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


def test_all_families_come_in_turn(tmp_path: Path, texture: Callable[..., np.ndarray]) -> None:
    paths = write(tmp_path / "held", [texture(80, 90, seed) for seed in range(3)])
    found = judged(paths, None, 16, seed=0)
    assert len(found.normal) == 3
    assert found.size == (90, 80)
    assert {one.kind for one in found.painted[: len(FAMILIES)]} == set(FAMILIES)
    assert len(found.some(2, 5)) == 7
    assert all(one.mask is not None and one.mask.any() for one in found.painted)


def test_one_readable_picture_is_too_few(
    tmp_path: Path, texture: Callable[..., np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(tmp_path / "held", [texture()] * 2)
    paths[1].write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 of 2 held-out pictures can be read"):
        judged(paths, None, 7, seed=0)
    assert "left out: " in capsys.readouterr().err
