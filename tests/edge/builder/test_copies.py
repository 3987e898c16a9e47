"""Copies among normal pictures: what is one, what is none, and what a message says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.builder.copies import LOOK_SIZE, distances, first_of_copies, looks_of, without_copies

SIDE = 192


def save(picture: np.ndarray, path: Path, **how: int) -> Path:
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path, **how)
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., np.ndarray]) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    return [save(texture(SIDE, SIDE, seed=seed), folder / f"part-{seed}.png") for seed in range(8)]


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., np.ndarray]) -> list[Path]:
    """A product that always lies alike: pieces differ in their grain, and pictures by a few pixels, light and noise."""
    folder = tmp_path_factory.mktemp("fixture")
    product = texture(SIDE + 4, SIDE + 4, seed=1).astype(float).mean(axis=2, keepdims=True)
    paths = []
    for seed in range(24):
        random = np.random.default_rng(seed)
        top, left = random.integers(0, 5, 2)
        grain = 0.2 * (texture(SIDE, SIDE, seed=100 + seed).astype(float).mean(axis=2, keepdims=True) - 128)
        shown = (product[top : top + SIDE, left : left + SIDE] + grain).repeat(3, axis=2) * random.uniform(0.97, 1.03)
        paths.append(save(shown + random.normal(0, 3, shown.shape), folder / f"{seed:02d}.png"))
    return paths


def copies_of(path: Path, folder: Path) -> list[Path]:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    made = [folder / f"q{quality}.jpg" for quality in (50, 75, 95)]
    for copy, quality in zip(made, (50, 75, 95), strict=True):
        image.save(copy, quality=quality)
    for name, change in (("one.bmp", 0), ("wider.png", 1), ("narrower.png", -1)):
        image.resize((SIDE + change, SIDE + change)).save(folder / name)
        made.append(folder / name)
    made.append(Path(shutil.copy(path, folder / f"{path.stem} (1).png")))
    return made


def test_the_same_picture_in_another_format_or_size_is_a_copy(parts: list[Path], tmp_path: Path) -> None:
    found = without_copies([*parts, *copies_of(parts[3], tmp_path)])
    assert found.paths == tuple(parts)
    assert {of for _, of in found.copies} == {"part-3.png"}
    assert len(found.looks) == len(parts)
    assert found.said == (
        "left out as copies: 7 of 15 normal pictures "
        "(q50.jpg of part-3.png, q75.jpg of part-3.png, q95.jpg of part-3.png, …)"
    )


def test_where_every_picture_has_a_copy_each_is_taken_once(parts: list[Path], tmp_path: Path) -> None:
    twins = [save(np.asarray(Image.open(path)), tmp_path / f"{path.stem}.jpg", quality=60) for path in parts]
    assert without_copies([*twins, *parts]).paths == tuple(twins)


def test_pictures_of_a_product_that_lies_alike_are_no_copies(fixture: list[Path]) -> None:
    found = without_copies(fixture)
    assert found.paths == tuple(fixture)
    assert found.said == ""


def test_but_their_copies_are(fixture: list[Path], tmp_path: Path) -> None:
    copies = copies_of(fixture[5], tmp_path)[1:]  # quality 50 changes as much as lying a pixel further does
    found = without_copies([*fixture, *copies])
    assert found.paths == tuple(fixture)


def test_blank_pictures_that_differ_by_noise_are_no_copies(tmp_path: Path) -> None:
    paths = []
    for seed in range(10):
        noise = np.random.default_rng(seed).normal(200, 2, (SIDE, SIDE, 3))
        paths.append(save(noise, tmp_path / f"{seed}.png"))
    assert without_copies(paths).paths == tuple(paths)


def test_constant_pictures_of_one_colour_are_one(tmp_path: Path) -> None:
    paths = [save(np.full((32, 32, 3), 90), tmp_path / f"{number}.png") for number in range(5)]
    other = save(np.full((32, 32, 3), 91), tmp_path / "other.png")
    assert without_copies(paths).paths == (paths[0],)
    assert without_copies([*paths, other]).paths == (paths[0], other)


def test_what_is_stored_comes_first(parts: list[Path]) -> None:
    found = without_copies(parts, stored=looks_of(parts[2:4]))
    assert found.paths == (*parts[:2], *parts[4:])
    assert found.copies == (("part-2.png", "one in the bundle"), ("part-3.png", "one in the bundle"))


def test_what_cannot_be_read_stays_for_its_reader_to_name(parts: list[Path], tmp_path: Path) -> None:
    damaged = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in damaged:
        path.write_text("none")
    found = without_copies([damaged[0], *parts, damaged[1]])
    assert found.paths == (damaged[0], *parts, damaged[1])
    assert len(found.looks) == len(parts)


def test_no_picture_at_all() -> None:
    assert without_copies([]).paths == ()


def test_a_distance_is_that_of_the_square_that_differs_most() -> None:
    look = np.zeros(LOOK_SIZE, np.float32)
    other = look.copy()
    other[30:33] = (3, 6, 9)
    np.testing.assert_array_equal(distances(np.stack([look, other]), look), [0, 6])


def test_the_rule_by_brute_force() -> None:
    """A limit that holds: no copy lies further than 4, and than a sixth of what is usual among the pictures left."""
    random = np.random.default_rng(0)
    for spread in (0.5, 3.0, 12.0, 40.0):
        looks = random.normal(128, spread, (40, LOOK_SIZE)).astype(np.float32)
        looks[20:30] = looks[:10] + random.normal(0, 0.05, (10, LOOK_SIZE)).astype(np.float32)
        first = first_of_copies(looks)
        np.testing.assert_array_equal(first[20:30], np.arange(10))
        assert (np.delete(first, np.s_[20:30]) == np.delete(np.arange(40), np.s_[20:30])).all()


def test_pictures_of_twelve_bits_are_compared_as_scaled(parts: list[Path], tmp_path: Path) -> None:
    """White is the pictures' own: their looks are those of the same pictures in 8 bits, and so copies are found."""
    deep = []
    for path in parts:
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        deep.append(tmp_path / path.name)
        Image.fromarray(grey * 16 + (grey >> 4)).save(deep[-1])
    Image.open(parts[3]).convert("L").save(twin := tmp_path / "twin.jpg", quality=95)
    shallow = looks_of(
        [save(np.asarray(Image.open(path).convert("L")), tmp_path / f"{path.stem}.bmp") for path in parts]
    )
    np.testing.assert_allclose(looks_of(deep, 4095), shallow, atol=0.6)
    found = without_copies([*deep, twin], white=4095)
    assert found.copies == (("twin.jpg", "part-3.png"),)
    assert without_copies([*deep, twin]).copies == ()  # 12 bits without a white cannot be read
