"""Copies among the normal pictures change nothing: neither the calibration nor what is a false alarm."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from bank_choice import settings_for
from panda_edge.bundle.manifest import read_manifest
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_train.fitting import FitOptions, fit
from panda_train.resolution import Resolution
from tiny import TinyBackbone

SIDE = 128


def options(**more: Any) -> FitOptions:
    return FitOptions(resolution=Resolution("64"), **more)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_train.backbones.load", lambda *_: TinyBackbone())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., np.ndarray]) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(20):
        grey = Image.fromarray(texture(SIDE, SIDE, seed=seed).astype(np.uint8)).convert("L")
        grey.convert("RGB").save(folder / f"{seed:02d}.bmp")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("bank", ["exact", "gaussian"])
def test_twins_change_nothing(
    pictures: list[Path], tmp_path: Path, bank: str, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, twins = tmp_path / "alone", tmp_path / "twins"
    alone.mkdir()
    twins.mkdir()
    for number, path in enumerate(pictures[:12]):
        shutil.copy(path, alone)
        shutil.copy(path, twins)
        if number % 2:
            shutil.copy(path, twins / f"{path.stem} (1).bmp")
        else:
            Image.open(path).save(twins / f"{path.stem}.jpg", quality=70)
    bundles = [tmp_path / "alone.panda", tmp_path / "twins.panda"]
    for data, out in zip((alone, twins), bundles, strict=True):
        fit(data, out, options(bank=settings_for(bank, neighbors=4)))
    said = capsys.readouterr().err
    assert "left out as copies: 12 of 24 normal pictures (00.jpg of 00.bmp, 01.bmp of 01 (1).bmp, 02.jpg of" in said
    assert read_manifest(bundles[0]).recipe.train_images == read_manifest(bundles[1]).recipe.train_images
    np.testing.assert_array_equal(*(np.load(bundle / CALIBRATION_FILE) for bundle in bundles))
    one, other = (
        [panda_edge.load(bundle, fpr=0.1).segment(path).anomalous for path in pictures[12:]] for bundle in bundles
    )
    assert one == other


def test_constant_pictures_are_one_picture_and_no_decision(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        Image.new("RGB", (SIDE, SIDE), (90, 90, 90)).save(data / f"{number}.png")
    manifest = fit(data, tmp_path / "x.panda", options())
    assert manifest is not None
    assert manifest.calibration is None
    said = capsys.readouterr().err
    assert "5 of 6 normal pictures (1.png of 0.png, 2.png of 0.png, 3.png of 0.png, …)" in said
    assert "warning: 1 normal picture: scores and heat maps, but no decisions; decisions need at least 2" in said
    assert panda_edge.load(tmp_path / "x.panda").segment(data / "0.png").anomalous is None


@pytest.mark.slow
def test_a_constant_picture_of_the_bank_is_not_anomalous(data: Path, tmp_path: Path) -> None:
    for number in range(12):
        for copy in ("a.png", "b.bmp"):
            Image.new("RGB", (SIDE, SIDE), (80 + number,) * 3).save(data / f"{number:02d}{copy}")
    manifest = fit(data, tmp_path / "x.panda", options())
    assert manifest is not None
    assert manifest.calibration is not None
    detector = panda_edge.load(tmp_path / "x.panda", fpr=0.2)
    assert not any(detector.segment(data / f"{number:02d}a.png").anomalous for number in range(12))


def test_what_fit_says_of_its_pictures(
    pictures: list[Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`panda-train check` in short: what cannot be read, copies, what nobody could judge, what is far from all."""
    for path in pictures[:14]:
        shutil.copy(path, data)
    shutil.copy(pictures[0], data / "copy.bmp")
    (data / "damaged.bmp").write_bytes(pictures[0].read_bytes()[:99])
    Image.fromarray(np.asarray(Image.open(pictures[14])) // 30).save(data / "dark.bmp")
    image = Image.open(pictures[15])
    image.paste((255, 0, 0), (8, 8, 120, 100))
    image.save(data / "odd.bmp")
    fit(data, tmp_path / "x.panda", options())
    lines = capsys.readouterr().err.splitlines()
    assert (
        lines[0] == "check: 18 pictures, 1 cannot be read, 1 black (dark.bmp), 1 flat (dark.bmp), 1 blurred (odd.bmp)"
    )
    assert lines[1] == "left out as copies: 1 of 18 normal pictures (copy.bmp of 00.bmp)"
    assert "check: 1 normal picture is far from all others; a defect may have slipped in: dark.bmp" in lines


def test_copies_among_pictures_of_twelve_bits(
    pictures: list[Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in pictures[:12]:
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        Image.fromarray(grey * 16 + (grey >> 4)).save(data / f"{path.stem}.png")
    Image.open(data / "03.png").save(data / "twin.tif")
    manifest = fit(data, tmp_path / "x.panda", options())
    assert manifest is not None
    assert manifest.preprocessing.white == 4095
    assert "left out as copies: 1 of 13 normal pictures (twin.tif of 03.png)" in capsys.readouterr().err
