"""Evaluation with a stand-in for the detector whose scores are known, so that every figure can be worked out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sk

import panda_edge
from panda_edge.errors import DataError, ImageError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.view import View
from panda_train.data.folders import open_dataset
from panda_train.evaluation.evaluation import evaluate, in_words

SIDE = 32


@dataclass(frozen=True)
class Brightness:
    """What the stand-in says of an image."""

    embedding_distance: float
    heatmap: np.ndarray
    image_size: tuple[int, int]

    decision: None = None
    ms: float = 1.0

    @property
    def score(self) -> float:
        return float(self.heatmap.max())

    @property
    def view(self) -> View:
        return Preprocessing(SIDE, SIDE).view(self.image_size)

    def heatmap_on_image(self) -> np.ndarray:
        return self.view.to_picture(self.heatmap)


class BrightnessDetector:
    """Calls bright pixels anomalous: the embedding's distance is the mean brightness, the heat map the brightness."""

    preprocessing = Preprocessing(SIDE, SIDE)
    decider = None

    def segment(self, path: Path) -> Brightness:
        image = Image.open(path)
        if image.getpixel((0, 0)) == 7:
            raise ImageError(f"{path}: damaged")
        heat = np.asarray(image.resize((SIDE, SIDE)), dtype=np.float32)
        return Brightness(float(heat.mean()), heat, image.size)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panda_edge, "load", lambda bundle, threads=None, fpr=0.01: BrightnessDetector(), raising=False)


def put(path: Path, brightness: int, spot: int | None = None, size: tuple[int, int] = (64, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(size, brightness, np.uint8)
    if spot is not None:
        pixels[16:32, 16:32] = spot
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two kinds: `spot` is found by the map alone, `dim` is scored below all normal images."""
    put(tmp_path / "train" / "good" / "0.png", 50)
    for i in range(4):
        put(tmp_path / "test" / "good" / f"{i}.png", 60 + i)
    for i in range(3):
        put(tmp_path / "test" / "spot" / f"{i}.png", 20, spot=200)
        put(tmp_path / "ground_truth" / "spot" / f"{i}_mask.png", 0, spot=255)
    put(tmp_path / "test" / "dim" / "0.png", 10)
    return tmp_path


def test_figures(data: Path) -> None:
    report = evaluate(Path("x.panda"), open_dataset(data))
    assert report["images"] == 8
    assert report["problems"] == []
    assert report["image_auroc"] == report["image_auroc_map"]  # not calibrated: the map's maximum decides
    assert report["image_auroc_embedding"] == 0.0  # every anomalous image is darker than every normal one
    assert report["image_auroc_map"] == 0.75  # spot above all four, dim below
    assert report["image_f1"] == pytest.approx(2 * 3 / (3 + 4))
    assert set(report["kinds"]) == {"spot", "dim"}
    assert report["kinds"]["spot"]["image_auroc_map"] == 1.0
    assert report["kinds"]["spot"]["images"] == 7
    assert report["kinds"]["spot"]["pixel_auroc"] == 1.0
    assert report["kinds"]["spot"]["pro"] == pytest.approx(1.0)
    assert report["kinds"]["dim"]["image_auroc_map"] == 0.0
    assert report["kinds"]["dim"]["pixel_auroc"] is None, "dim has no mask"
    assert report["pixel_auroc"] == 1.0, "the unmasked image is left out, not taken for normal"
    words = in_words(report)
    assert "spot" in words
    assert "0.750" in words


@pytest.mark.parametrize("side", [64, 96])
def test_figures_at_the_images_own_size_where_they_are_much_larger(tmp_path: Path, side: int) -> None:
    put(tmp_path / "train" / "good" / "0.png", 50)
    put(tmp_path / "test" / "good" / "0.png", 60, size=(side, side))
    put(tmp_path / "test" / "spot" / "0.png", 20, spot=200, size=(side, side))
    put(tmp_path / "ground_truth" / "spot" / "0_mask.png", 0, spot=255, size=(side, side))
    data = open_dataset(tmp_path)
    always, never, chosen = (evaluate(Path("x.panda"), data, native=native) for native in (True, False, None))
    assert "native" not in never
    assert ("native" in chosen) == (side > 2 * SIDE)
    # The map is that of the brightness at 32×32, brought back: blurred at the spot's border, and so nearly perfect.
    image = np.asarray(Image.open(data.test[1].path))
    normal = Preprocessing(SIDE, SIDE).to_image(np.full((SIDE, SIDE), 60, np.float32), (side, side))
    blurred = np.asarray(Image.fromarray(image).resize((SIDE, SIDE)), dtype=np.float32)
    maps = np.stack([normal, Preprocessing(SIDE, SIDE).to_image(blurred, (side, side))])
    masks = np.stack([np.zeros_like(image), image == 200])
    assert always["native"]["pixel_auroc"] == pytest.approx(sk.roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-4)
    assert always["native"]["pixel_ap"] == pytest.approx(
        sk.average_precision_score(masks.ravel(), maps.ravel()), abs=1e-4
    )
    assert ("own size" in in_words(chosen)) == (side > 2 * SIDE)


def test_without_masks_pixel_figures_are_null(data: Path) -> None:
    for mask in (data / "ground_truth" / "spot").iterdir():
        mask.unlink()
    report = evaluate(Path("x.panda"), open_dataset(data), native=True)
    assert report["pixel_auroc"] is None
    assert report["pro"] is None
    assert "own size" not in in_words(report)
    assert report["image_auroc_map"] == 0.75


def test_one_bad_image_and_one_bad_mask_are_reported(data: Path) -> None:
    put(data / "test" / "good" / "9.png", 7)
    put(data / "ground_truth" / "spot" / "1_mask.png", 0, spot=255, size=(40, 64))
    report = evaluate(Path("x.panda"), open_dataset(data))
    assert report["images"] == 8
    assert [Path(problem["input"]).name for problem in report["problems"]] == ["9.png", "1.png"]
    assert "damaged" in report["problems"][0]["error"]
    assert "64×40 for an image of 64×64" in report["problems"][1]["error"]
    assert report["problems"][1]["used"] == "score"
    assert "mask left out" in in_words(report)


def test_only_normal_images(data: Path) -> None:
    import shutil

    for kind in ("spot", "dim"):
        shutil.rmtree(data / "test" / kind)
    report = evaluate(Path("x.panda"), open_dataset(data))
    assert report["images"] == 4
    assert report["image_auroc"] is None
    assert report["image_f1"] is None
    assert report["kinds"] == {}


def test_class_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        put(tmp_path / split / "cat" / "0.png", 30)
        put(tmp_path / split / "dog" / "0.png", 90)
    report = evaluate(Path("x.panda"), open_dataset(tmp_path, normal="cat"))
    assert report["kinds"]["dog"]["image_auroc"] == 1.0


def test_nothing_to_test(tmp_path: Path) -> None:
    put(tmp_path / "0.png", 30)
    with pytest.raises(DataError, match="no test images"):
        evaluate(Path("x.panda"), open_dataset(tmp_path))
    put(tmp_path / "set" / "train" / "good" / "0.png", 30)
    put(tmp_path / "set" / "test" / "good" / "0.png", 7)
    with pytest.raises(DataError, match=r"none of 1 test images could be scored; .*damaged"):
        evaluate(Path("x.panda"), open_dataset(tmp_path / "set"))
