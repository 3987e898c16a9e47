"""The three layouts, masks that lie beside images, and folders that are none of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import DataError
from panda_train.data.folders import open_dataset, open_test_set
from panda_train.data.mask_pixels import read_mask


def put_photo(path: Path, seed: int = 0, size: tuple[int, int] = (24, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def put_mask(path: Path, values: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if values is None:
        values = np.zeros((24, 16), np.uint8)
        values[4:9, 3:7] = 255
    Image.fromarray(values).save(path)
    return path


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_mvtec_layout_in_natural_order_with_masks(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        put_photo(tmp_path / "train" / "good" / f"{number}.png")
    put_photo(tmp_path / "train" / "defect" / "0.png")
    put_photo(tmp_path / "test" / "crack" / "a.png")
    put_photo(tmp_path / "test" / "crack" / "b.JPG")
    put_photo(tmp_path / "test" / "crack" / "c.png")
    put_photo(tmp_path / "test" / "good" / "z.png")
    first = put_mask(tmp_path / "ground_truth" / "crack" / "a_mask.png")
    second = put_mask(tmp_path / "ground_truth" / "crack" / "b.png")

    dataset = open_dataset(tmp_path)

    assert dataset.layout == "mvtec"
    assert names(dataset.train) == ["1.png", "2.png", "10.png"]
    assert [(s.path.name, s.kind, s.anomalous, *s.masks) for s in dataset.test] == [
        ("z.png", "good", False),
        ("a.png", "crack", True, first),
        ("b.JPG", "crack", True, second),
        ("c.png", "crack", True),
    ]


def test_a_test_set_needs_no_normal_pictures_to_fit_with(tmp_path: Path) -> None:
    for name in ("test/good/a.png", "test/defect/b.png", "unsure/c.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    for _ in range(2):
        dataset = open_test_set(tmp_path)
        assert (dataset.train, [sample.anomalous for sample in dataset.test]) == ((), [False, True])
        with pytest.raises(DataError):
            open_dataset(tmp_path)
        (tmp_path / "train" / "good").mkdir(parents=True, exist_ok=True)  # there, and empty
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "good" / "d.png")
    assert len(open_test_set(tmp_path).train) == 1
    with pytest.raises(DataError):
        open_test_set(tmp_path / "none")


def test_class_folders_need_the_normal_class(tmp_path: Path) -> None:
    for cls in ("cat", "dog"):
        put_photo(tmp_path / "train" / cls / "1.jpg")
        put_photo(tmp_path / "test" / cls / "1.jpg")
    dataset = open_dataset(tmp_path, normal="dog")
    assert dataset.layout == "classes"
    assert dataset.train == (tmp_path / "train" / "dog" / "1.jpg",)
    assert [(s.kind, s.anomalous) for s in dataset.test] == [("dog", False), ("cat", True)]

    with pytest.raises(DataError, match=r"cat, dog.*--normal CLASS"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"--normal bird.*one of cat, dog"):
        open_dataset(tmp_path, normal="bird")


def test_flat_folder(tmp_path: Path) -> None:
    put_photo(tmp_path / "b.png")
    put_photo(tmp_path / "a.tiff")
    put_photo(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "sub.png").mkdir()
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, names(dataset.train), dataset.test) == ("flat", ["a.tiff", "b.png"], ())
    with pytest.raises(DataError, match="flat folder"):
        open_dataset(tmp_path, normal="good")


def test_a_mask_beside_its_image_is_not_a_normal_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_photo(tmp_path / "1.jpg")
    ringing = np.random.default_rng(0).integers(0, 8, (24, 16)).astype(np.uint8)
    ringing[5:9, 5:9] = 250
    put_mask(tmp_path / "1.png", ringing)  # recompressed: not exactly two values
    put_photo(tmp_path / "2.png")
    put_mask(tmp_path / "2_mask.png")
    put_photo(tmp_path / "gas_mask.png")  # a photograph: no gas.png beside it
    put_photo(tmp_path / "3.jpg")
    put_photo(tmp_path / "3.png", seed=3)  # a second photograph, not a mask
    dataset = open_dataset(tmp_path)
    assert re.search(r"2 of 7 files left out as masks.*named <image>_mask", capsys.readouterr().err)
    assert names(dataset.train) == ["1.jpg", "2.png", "3.jpg", "3.png", "gas_mask.png"]


def test_a_mask_beside_a_test_image_is_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_photo(tmp_path / "train" / "good" / "1.jpg")
    put_photo(tmp_path / "test" / "hole" / "1.jpg")
    beside = put_mask(tmp_path / "test" / "hole" / "1.png")
    dataset = open_dataset(tmp_path)
    assert "left out as masks" in capsys.readouterr().err
    assert [(s.path.name, *s.masks) for s in dataset.test] == [("1.jpg", beside)]


def test_nothing_is_said_without_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_photo(tmp_path / "1.png")
    open_dataset(tmp_path)
    assert capsys.readouterr().err == ""


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder; expected train/good"):
        open_dataset(tmp_path / "absent")
    file = put_photo(tmp_path / "file.png")
    with pytest.raises(DataError, match="is a file, not a folder"):
        open_dataset(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images in it"):
        open_dataset(tmp_path / "empty")
    (tmp_path / "mvtec" / "train" / "good").mkdir(parents=True)
    with pytest.raises(DataError, match=r"train.good: no images in it"):
        open_dataset(tmp_path / "mvtec")
    put_photo(tmp_path / "loose" / "train" / "1.png")
    with pytest.raises(DataError, match="no folders of images"):
        open_dataset(tmp_path / "loose")


@pytest.mark.parametrize("high", [1, 255])
def test_masks_of_two_values(tmp_path: Path, high: int) -> None:
    truth = np.random.default_rng(1).random((24, 16)) < 0.3
    assert np.array_equal(read_mask(put_mask(tmp_path / "m.png", (truth * high).astype(np.uint8))), truth)


def test_mask_formats(tmp_path: Path) -> None:
    truth = np.random.default_rng(1).random((24, 16)) < 0.3
    noisy = np.where(truth, 240, 6).astype(np.uint8)
    noisy[0, 0] = 9 if not truth[0, 0] else 251
    assert np.array_equal(read_mask(put_mask(tmp_path / "noisy.png", noisy)), truth)
    assert np.array_equal(read_mask(put_mask(tmp_path / "deep.png", (truth * 65535).astype(np.uint16))), truth)
    Image.fromarray(truth).save(tmp_path / "bits.png")
    assert np.array_equal(read_mask(tmp_path / "bits.png"), truth)
    palette = Image.fromarray((truth * 2).astype(np.uint8), mode="L").convert("P")
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_mask(tmp_path / "palette.png"), truth)
    colour = np.repeat((truth * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    assert np.array_equal(read_mask(put_mask(tmp_path / "colour.png", colour)), truth)
    assert not read_mask(put_mask(tmp_path / "none.png", np.zeros((24, 16), np.uint8))).any()


def test_bad_masks(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read as a mask"):
        read_mask(tmp_path / "text.png")
    with pytest.raises(DataError, match=r"200 grey values from 0 to 199, .* neither black nor white"):
        read_mask(put_mask(tmp_path / "photo.png", (np.arange(24 * 16).reshape(24, 16) % 200).astype(np.uint8)))
