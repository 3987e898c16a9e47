"""From the user's words about resolution to a preprocessing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import DEFAULT_OVERLAP, Tiling
from panda_train.resolution import Resolution, input_shape, preprocessing_of


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    path = tmp_path_factory.mktemp("large") / "a.png"
    Image.fromarray(np.zeros((480, 640), np.uint8)).save(path)
    return [path]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Resolution(), Preprocessing(224, 224)),
        (Resolution("224x320"), Preprocessing(224, 320)),
        (Resolution("320", "fit"), Preprocessing(320, 320, "fit")),
        (Resolution("224", "crop"), Preprocessing.paper_crop(224, 224)),
        (Resolution(tiles="none"), Preprocessing(224, 224)),
        (Resolution(tiles="auto"), Preprocessing(224, 224, tiles=Tiling(DEFAULT_OVERLAP, 1.0))),
        (Resolution(scale=0.5), Preprocessing(224, 224, tiles=Tiling(DEFAULT_OVERLAP, 0.5))),
        (Resolution(tiles="auto", overlap=0.25), Preprocessing(224, 224, tiles=Tiling(0.25, 1.0))),
        (Resolution(tiles="3x2"), Preprocessing(224, 224, tiles=Tiling.grid(3, 2, 224, 224))),
        (Resolution(smallest_defect=6), Preprocessing(224, 224, tiles=Tiling(DEFAULT_OVERLAP, 2.0))),
        (Resolution(smallest_defect=24), Preprocessing(224, 224, tiles=Tiling(DEFAULT_OVERLAP, 0.5))),
        (Resolution(smallest_defect=60), Preprocessing(224, 224)),
    ],
)
def test_words(asked: Resolution, expected: Preprocessing, large: list[Path]) -> None:
    assert preprocessing_of(asked, large) == expected


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Resolution("100"), "--input-size 100: expected a multiple of 32"),
        (Resolution("224x"), "--input-size 224x: expected"),
        (Resolution("9999999999999999999"), "--input-size 9999999999999999999: expected"),
        (Resolution("224", "stretch"), "unknown --resize 'stretch'; expected squash, crop, fit"),
        (Resolution(tiles="3"), "--tiles '3': expected auto, none, or rows and columns such as 3x3"),
        (Resolution(tiles="0x3"), "0×3 tiles: expected at least one"),
        (Resolution(tiles="900x900"), "at most 4096"),
        (Resolution(tiles="3x3", scale=1.0), "--scale does nothing with --tiles 3x3"),
        (Resolution(tiles="none", scale=1.0), "--scale does nothing without tiles"),
        (Resolution(overlap=0.2), "--overlap does nothing without tiles"),
        (Resolution(tiles="auto", overlap=0.9), "--overlap 0.9: expected a share"),
        (Resolution(tiles="auto", overlap=float("nan")), "--overlap nan: expected a share"),
        (Resolution(tiles="auto", scale=0.0), "--scale 0: expected"),
        (Resolution(tiles="auto", scale=float("inf")), "--scale inf: expected"),
        (Resolution(smallest_defect=0), "--smallest-defect 0: expected a number of pixels above 0"),
        (Resolution(smallest_defect=float("nan")), "--smallest-defect nan"),
        (Resolution(smallest_defect=9, tiles="2x2"), "--smallest-defect chooses --tiles"),
        (Resolution(smallest_defect=9, scale=1.0), "--smallest-defect chooses --scale"),
        (Resolution("224", "crop", tiles="auto"), "--resize crop does nothing with tiles"),
        (Resolution("224", "fit", smallest_defect=9), "--resize fit does nothing with tiles"),
    ],
)
def test_words_that_mean_nothing(asked: Resolution, said: str, large: list[Path]) -> None:
    with pytest.raises(PandaError, match=said):
        preprocessing_of(asked, large)


def test_what_is_out_of_sight_is_said(large: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    preprocessing_of(Resolution(), large)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: pictures of 640×480 are looked at in 224×224: defects below about 34 pixels")
    assert "--smallest-defect PIXELS" in line
    for silent in (Resolution("448"), Resolution(tiles="none"), Resolution(tiles="auto")):
        preprocessing_of(silent, large)
    assert capsys.readouterr().err == ""


def test_what_was_chosen_is_said(large: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    preprocessing_of(Resolution(smallest_defect=12), large)
    assert "scale 1, 12 tiles of 224×224 a picture" in capsys.readouterr().err
    preprocessing_of(Resolution(smallest_defect=100), large)
    assert "a whole picture in one frame of 224×224 shows it" in capsys.readouterr().err


def panda_train(*arguments: object) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("panda-train")), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_small_defects_of_a_board_are_found_in_tiles(real_data: Path, tmp_path: Path) -> None:
    board = real_data / "pcb-44000"
    if not board.is_dir():
        pytest.skip("needs real data: PANDA_DATA has no pcb-44000/")
    found = {}
    for name, options in (("tiles", ["--smallest-defect", "24"]), ("whole", ["--tiles", "none"])):
        fitted = panda_train("fit", board, "--out", tmp_path / f"{name}.panda", "--neighbors", "10", *options)
        assert fitted.get("tiles", 1) == (4 if name == "tiles" else 1)
        found[name] = panda_train("evaluate", tmp_path / f"{name}.panda", board)
    assert found["tiles"]["image_auroc_map"] > 0.9
    assert found["tiles"]["pixel_auroc"] > found["whole"]["pixel_auroc"]


@pytest.mark.parametrize(
    ("picture", "shape"),
    [
        ((300, 300), (224, 224)),
        ((640, 480), (224, 224)),
        ((640, 320), (224, 224)),
        ((500, 1260), (352, 128)),
        ((1260, 500), (128, 352)),
        ((100, 4000), (1408, 32)),
    ],
)
def test_long_pictures_get_an_input_of_their_shape(picture: tuple[int, int], shape: tuple[int, int]) -> None:
    assert input_shape(224, picture) == shape
    assert shape[0] * shape[1] <= 224 * 224


def test_what_long_pictures_are_is_asked_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [(50, 126), (40, 40), (50, 126)]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("L", size).save(path)
    assert preprocessing_of(Resolution(), paths) == Preprocessing(352, 128)
    assert "pictures of 50×126 are long: the input is 128×352" in capsys.readouterr().err
    assert preprocessing_of(Resolution("224"), paths) == Preprocessing(224, 224)
    assert preprocessing_of(Resolution(resize="fit"), paths) == Preprocessing(224, 224, "fit")
    Image.new("L", (126, 50)).save(tmp_path / "lies.png")
    assert preprocessing_of(Resolution(), [*paths, tmp_path / "lies.png"]) == Preprocessing(224, 224)
