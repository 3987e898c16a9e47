"""Large made pictures: nothing in them comes twice, their defects have the promised sizes, and a seed decides all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from panda_edge.errors import DataError
from panda_train.data import large_sample
from panda_train.data.defects import DEFECTS
from panda_train.data.folders import open_dataset
from panda_train.data.mask_pixels import read_mask
from panda_train.data.quilt import BLOCK, SPACING, boundary_cut, places, quilt
from panda_train.data.sample import make_sample
from panda_train.data.small_defects import SIZES, draw_small, longest_side, sizes_of
from panda_train.data.textures import photograph
from panda_train.data.views import Views, views_of

WINDOW = 32
ALIKE = 0.93  # correlation of two windows; most found in quilts of 1024 and 2048 pixels: 0.91, in the photograph: 0.99


@pytest.fixture(scope="module")
def views() -> Views:
    return views_of(photograph("grass")[:, 256:], np.random.default_rng(0))


@pytest.fixture(scope="module")
def picture(views: Views) -> np.ndarray:
    """Of 12 of the 144 views, so that a sixth of their places is used: as in a picture of 2048 pixels."""
    return quilt(Views(views.images[:12], views.inside[:12]), 512, np.random.default_rng(0))


def most_alike(picture: np.ndarray, stride: int = 20) -> float:
    """Highest correlation of two windows that do not overlap, one of them turned or mirrored in all eight ways.

    Windows on a grid of `stride` pixels are compared with those at all places. Screened at half the size and in 48
    principal directions, then measured on the pixels: a square of 51 pixels that comes twice is found.
    """
    halved = picture.reshape(picture.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
    small = WINDOW // 2
    windows = sliding_window_view(halved, (small, small))
    count = len(windows)
    drawn = np.random.default_rng(0).integers(0, count, (2, 3000))
    axes = np.linalg.svd(_normalised(windows[drawn[0], drawn[1]]), full_matrices=False)[2][:48].T
    at = np.arange(0, count, stride // 2)
    row, column = (a.ravel() for a in np.meshgrid(at, at, indexing="ij"))
    turned = np.concatenate([_sketch(_turn(windows[row, column], way), axes) for way in range(8)])
    best, where = np.full(len(turned), -1.0, dtype=np.float32), np.zeros((len(turned), 2), dtype=int)
    rows, columns = np.tile(row, 8), np.tile(column, 8)
    for first in range(0, count, 16):
        y = np.arange(first, min(first + 16, count))
        alike = turned @ _sketch(windows[y].reshape(-1, small, small), axes).T
        near = np.abs(rows[:, None] - y) < small
        beside = np.abs(columns[:, None] - np.arange(count)) < small
        alike[(near[:, :, None] & beside[:, None]).reshape(alike.shape)] = -1
        at_most = alike.argmax(axis=1)
        value = alike[np.arange(len(alike)), at_most]
        better = value > best
        best[better] = value[better]
        where[better] = np.stack([y[at_most // count], at_most % count], axis=1)[better]
    found = -1.0
    for i in np.argsort(-best)[:300]:
        way, y, x = i // len(row), rows[i] * 2, columns[i] * 2
        one = _normalised(_turn(picture[None, y : y + WINDOW, x : x + WINDOW], way))
        top, left = np.maximum(where[i] * 2 - 2, 0)
        around = sliding_window_view(picture[top : top + WINDOW + 4, left : left + WINDOW + 4], (WINDOW, WINDOW))
        found = max(found, float((_normalised(around.reshape(-1, WINDOW, WINDOW)) @ one[0]).max()))
    return found


def _turn(windows: np.ndarray, way: int) -> np.ndarray:
    turned = np.rot90(windows, way % 4, axes=(1, 2))
    return turned[:, :, ::-1] if way >= 4 else turned


def _normalised(windows: np.ndarray) -> np.ndarray:
    rows = windows.reshape(len(windows), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6))


def _sketch(windows: np.ndarray, axes: np.ndarray) -> np.ndarray:
    sketch = _normalised(windows) @ axes
    return np.asarray(sketch / np.linalg.norm(sketch, axis=1, keepdims=True))


def test_no_patch_comes_twice(picture: np.ndarray) -> None:
    assert most_alike(picture) < ALIKE


@pytest.mark.parametrize("way", [0, 5])
def test_a_patch_that_comes_twice_would_be_found(picture: np.ndarray, way: int) -> None:
    """A block, turned, in another light and with a camera's noise."""
    copied = picture.copy()
    block = _turn(picture[None, 101 : 101 + 51, 37 : 37 + 51], way)[0]
    copied[433 : 433 + 51, 390 : 390 + 51] = block * 1.05 + 4
    noisy = copied + np.random.default_rng(0).normal(0, 1.5, copied.shape).astype(np.float32)
    assert most_alike(noisy) > ALIKE + 0.02


def test_the_texture_stays_what_it_was(picture: np.ndarray) -> None:
    source = photograph("grass")[:, 256:]
    assert abs(picture.mean() - source.mean()) < 10
    assert 0.8 < picture.std() / source.std() < 1.1
    gradient = [np.abs(np.diff(image, axis=1)).mean() for image in (picture, source)]
    assert 0.7 < gradient[0] / gradient[1] < 1.15


def test_places_lie_in_the_photograph_and_apart(views: Views) -> None:
    found = places(views.inside, np.random.default_rng(0))
    for view, top, left in found[::97]:
        assert views.inside[view, top : top + BLOCK, left : left + BLOCK].all()
    one = found[found[:, 0] == 5, 1:]
    steps = np.abs(one[:, None] - one[None]).max(axis=2)
    assert steps[~np.eye(len(one), dtype=bool)].min() >= SPACING
    blocks = -(-(large_sample.LARGEST - 20) // 44)
    assert len(found) > blocks**2 + 24 * blocks, "the largest picture takes a place for each block"


def test_too_few_places_are_refused(views: Views) -> None:
    with pytest.raises(ValueError, match="take 169 places, the views have"):
        quilt(Views(views.images[:2], views.inside[:2]), 576, np.random.default_rng(0))


def test_the_boundary_cut_is_the_cheapest_path() -> None:
    rng = np.random.default_rng(0)
    errors = rng.uniform(0, 1, (5, 4, 3)).astype(np.float32)

    def cheapest(error: np.ndarray) -> float:
        costs = [list(error[0])]
        for row in error[1:]:
            before = costs[-1]
            costs.append([row[x] + min(before[max(0, x - 1) : x + 2]) for x in range(len(row))])
        return float(min(costs[-1]))

    for error, taken in zip(errors, boundary_cut(errors), strict=True):
        path = taken.argmax(axis=1)
        assert np.abs(np.diff(path)).max() <= 1
        assert all(taken[i, path[i] :].all() and not taken[i, : path[i]].any() for i in range(len(path)))
        assert error[np.arange(len(path)), path].sum() == pytest.approx(cheapest(error))


@pytest.mark.parametrize("kind", DEFECTS)
def test_defects_have_the_size_that_is_asked_for(kind: str) -> None:
    rng = np.random.default_rng(0)
    image, foreign = rng.uniform(90, 160, (1024, 1024)).astype(np.float32), rng.uniform(0, 255, (512, 256))
    for longest in sizes_of(kind, 4, rng):
        drawn, mask = draw_small(kind, longest, image, foreign, rng)
        assert SIZES[kind][0] <= longest_side(mask) <= SIZES[kind][1]
        assert abs(longest_side(mask) - longest) <= max(1, 0.12 * longest)
        change = np.abs(drawn - image)
        assert change[mask].mean() > 15
        assert change[~mask].mean() < 0.05
    assert min(least for least, _ in SIZES.values()) == 6
    assert max(largest for _, largest in SIZES.values()) == 60


@pytest.mark.slow
def test_it_is_one_data_set_and_the_seed_decides_it(tmp_path: Path) -> None:
    first, again, other = (
        make_sample(tmp_path / name, seed=seed, texture="gravel", train_images=1, test_images=1, size=1024)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    files = sorted(path.relative_to(first) for path in first.rglob("*.*"))
    assert len(files) == 1 + 1 + 1 + 2 * len(DEFECTS)
    assert all((first / file).read_bytes() == (again / file).read_bytes() for file in files)
    assert not any((first / file).read_bytes() == (other / file).read_bytes() for file in files)
    dataset = open_dataset(first)
    assert (dataset.layout, len(dataset.train), len(dataset.test)) == ("mvtec", 1, 1 + len(DEFECTS))
    sides = json.loads((first / "panda-sample.json").read_text())["longest_sides"]
    for sample in dataset.test:
        with Image.open(sample.path) as image:
            assert image.size == (1024, 1024)
        if bool(sample.masks):
            assert longest_side(read_mask(*sample.masks)) == sides[str(sample.path.relative_to(first))]
    assert len(sides) == len(DEFECTS)


@pytest.mark.slow
def test_training_and_test_pictures_share_no_pixels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    halves = np.where(np.arange(512) < 256, 60.0, 200.0)[None].repeat(512, axis=0)
    monkeypatch.setattr(large_sample, "photograph", lambda name: halves)
    made = make_sample(tmp_path / "s", texture="grass", train_images=1, test_images=1, size=1024)
    assert np.asarray(Image.open(made / "train" / "good" / "grass-000.png")).max() < 90
    assert np.asarray(Image.open(made / "test" / "good" / "grass-000.png")).min() > 160


def test_nothing_is_left_when_a_picture_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, views: Views) -> None:
    def full_disk(path: Path, image: np.ndarray, level: int | None = None) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(large_sample, "views_of", lambda *given: views)
    monkeypatch.setattr(large_sample, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        make_sample(tmp_path / "out", texture="grass", size=1024)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 31, 193, 1023, 4097])
def test_sizes_that_are_not_offered(tmp_path: Path, size: int) -> None:
    with pytest.raises(DataError, match=f"got a sample size of {size} pixels; expected 32 to 192, or 1024 to 4096"):
        make_sample(tmp_path / "out", size=size)
    assert list(tmp_path.iterdir()) == []


def test_bricks_are_not_quilted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'brick', which cannot be quilted; expected one of grass, gravel, all"):
        make_sample(tmp_path / "out", texture="brick", size=1024)
    with pytest.raises(DataError, match="got texture 'wood'; expected one of grass, gravel, all"):
        make_sample(tmp_path / "out", texture="wood", size=1024)
