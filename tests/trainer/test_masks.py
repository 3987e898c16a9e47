"""Masks by what they show, found by what they are called; and data sets laid out as others lay them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import DataError
from panda_train.data.folders import Dataset, open_dataset
from panda_train.data.mask_names import named_stem
from panda_train.data.mask_pixels import read_mask, read_masks

TRUTH = np.zeros((24, 16), bool)
TRUTH[3:9, 4:9] = TRUTH[15:20, 2:6] = True
FIRST = TRUTH.copy()
FIRST[12:] = False  # the first of two defects
LABELS = FIRST * 1 + (TRUTH & ~FIRST) * 2


def of_colours(*colours: tuple[int, ...]) -> np.ndarray:
    """Background, first and second defect in these colours."""
    return np.array(colours, np.uint8)[LABELS]


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(LABELS.astype(np.uint8)).convert("P")
    image.putpalette([value for colour in colours for value in colour])
    return image


def smoothed() -> Image.Image:
    large = Image.fromarray((TRUTH * 255).astype(np.uint8)).resize((160, 240), Image.Resampling.NEAREST)
    return large.resize((80, 120), Image.Resampling.BOX).resize((160, 240), Image.Resampling.BILINEAR)


SHOWN: dict[str, Callable[[], Image.Image | np.ndarray]] = {
    "0 and 1": lambda: TRUTH.astype(np.uint8),
    "0 and 255": lambda: TRUTH.astype(np.uint8) * 255,
    "bits": lambda: Image.fromarray(TRUTH),
    "classes 0, 1, 2": lambda: LABELS.astype(np.uint8),
    "classes 0, 100, 200": lambda: (LABELS * 100).astype(np.uint8),
    "classes 0, 80, 255": lambda: np.array([0, 80, 255], np.uint8)[LABELS],
    "classes 0, 1, 255": lambda: np.array([0, 1, 255], np.uint8)[LABELS],
    "16 bits, 0 and 65535": lambda: TRUTH.astype(np.uint16) * 65535,
    "16 bits, 0, 1, 2": lambda: LABELS.astype(np.uint16),
    "noise of recompression": lambda: (
        np.where(TRUTH, 248, 0) + np.random.default_rng(0).integers(0, 8, TRUTH.shape)
    ).astype(np.uint8),
    "red and green": lambda: of_colours((0, 0, 0), (255, 0, 0), (0, 255, 0)),
    "blue and dark green": lambda: of_colours((0, 0, 0), (0, 0, 255), (0, 90, 0)),
    "palette, black first": lambda: palette((0, 0, 0), (200, 0, 0), (0, 0, 130)),
    "palette, black last": lambda: Image.fromarray(np.where(TRUTH, 0, 1).astype(np.uint8)).convert("P"),
    "alpha, white on nothing": lambda: of_colours((255, 255, 255, 0), (255, 255, 255, 255), (255, 255, 255, 255)),
    "alpha, red on nothing": lambda: of_colours((0, 0, 0, 0), (255, 0, 0, 255), (255, 0, 0, 255)),
    "alpha, colours on nothing": lambda: of_colours((255, 255, 255, 0), (255, 0, 0, 255), (0, 255, 0, 255)),
    "alpha, all opaque": lambda: of_colours((0, 0, 0, 255), (255, 255, 255, 255), (9, 200, 9, 255)),
    "alpha, all 0": lambda: of_colours((0, 0, 0, 0), (255, 255, 255, 0), (255, 255, 255, 0)),
    "grey and alpha": lambda: Image.fromarray(of_colours((0, 0), (0, 255), (0, 255)), "LA"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_whatever_is_not_background_is_a_defect(tmp_path: Path, name: str) -> None:
    made = SHOWN[name]()
    image = made if isinstance(made, Image.Image) else Image.fromarray(made)
    if name == "palette, black last":
        image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), TRUTH)


def test_a_smoothed_edge_is_cut_at_half(tmp_path: Path) -> None:
    smoothed().save(tmp_path / "m.png")
    whole = np.repeat(np.repeat(TRUTH, 10, 0), 10, 1)
    assert (read_mask(tmp_path / "m.png") != whole).mean() < 0.01


def test_a_jpeg_mask_lies_as_its_header_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    large = np.repeat(np.repeat(TRUTH, 8, 0), 8, 1)
    Image.fromarray(large[::-1, ::-1]).convert("L").save(tmp_path / "m.jpg", quality=95, exif=exif)
    assert (read_mask(tmp_path / "m.jpg") != large).mean() < 0.01


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (np.random.default_rng(0).integers(0, 256, (24, 16)).astype(np.uint8), "neither black nor white"),
        (of_colours((255, 255, 255), (255, 0, 0), (0, 0, 255)), "none of them black"),
        (np.zeros((24, 16), np.float32), "floating-point"),
        (np.full((24, 16), 70_000, np.int32), "values from 70000"),
    ],
)
def test_what_is_no_mask_is_refused_in_one_line(tmp_path: Path, made: np.ndarray, said: str) -> None:
    Image.fromarray(made).save(tmp_path / "m.tif")
    with pytest.raises(DataError, match=rf"m\.tif: cannot be read as a mask \(.*{said}") as caught:
        read_mask(tmp_path / "m.tif")
    assert "\n" not in str(caught.value)


def test_several_masks_of_an_image_add_up(tmp_path: Path) -> None:
    Image.fromarray(FIRST).save(tmp_path / "0.png")
    Image.fromarray(TRUTH & ~FIRST).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_masks([tmp_path / "0.png", tmp_path / "1.png"]), TRUTH)
    Image.new("1", (16, 16)).save(tmp_path / "2.png")
    with pytest.raises(DataError, match=r"16×16 pixels beside 0\.png of 16×24"):
        read_masks([tmp_path / "0.png", tmp_path / "2.png"])


@pytest.mark.parametrize(
    ("stem", "image"),
    [
        ("000_mask", "000"), ("000-MASK", "000"), ("Part0_label", "Part0"), ("10000_GT", "10000"), ("a_mask2", "a"),
        ("a.mask", "a"), ("a_ground_truth", "a"), ("a b_seg", "a b"), ("mask", None), ("a", None), ("unmask", None),
    ],
)  # fmt: skip
def test_words_that_name_a_mask(stem: str, image: str | None) -> None:
    assert named_stem(stem) == image


def photo(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(40, 215, (24, 16, 3)).astype(np.uint8)).save(path)


def mask(path: Path, empty: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(TRUTH & (not empty)).save(path)


def laid_out(root: Path, *names: str) -> Dataset:
    """A data set of these files: those that begin with + are masks, with - empty ones, others photographs."""
    for number, name in enumerate(names):
        if name[0] in "+-":
            mask(root / name[1:], empty=name[0] == "-")
        else:
            photo(root / name, number)
    return open_dataset(root)


LAYOUTS = {
    "MVTec": ("train/good/0.png", "test/crack/1.png", "+ground_truth/crack/1_mask.png"),
    "MVTec, another case": ("Train/Good/0.png", "Test/Crack/1.PNG", "+Ground_Truth/crack/1_MASK.png"),
    "of the same name": ("train/good/0.png", "test/crack/1.jpg", "+ground_truth/crack/1.bmp"),
    "LOCO": ("train/good/0.png", "test/logical/000.png", "+ground_truth/logical/000/000.png"),
    "BTAD": ("train/ok/0.png", "test/ko/1.png", "test/ok/2.png", "+ground_truth/ko/1.png", "-ground_truth/ok/2.png"),
    "VisA, converted": ("train/good/0.png", "test/bad/001.jpg", "+ground_truth/bad/001.png"),
    "masks in one folder": ("train/good/0.png", "test/crack/1.png", "+masks/1-mask.png"),
    "below each other": ("train/good/a/0.png", "test/crack/b/1.png", "+ground_truth/crack/b/1_gt.png"),
    "beside": ("train/good/0.png", "test/crack/1.png", "+test/crack/1_GT.png"),
    "a folder each": ("train/good/0.png", "test/crack/1/image.png", "+test/crack/1/mask.png"),
    "Kolektor 2": ("train/0.png", "-train/0_GT.png", "train/9.png", "+train/9_GT.png", "test/1.png", "+test/1_GT.png"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_others(tmp_path: Path, name: str) -> None:
    dataset = laid_out(tmp_path, *LAYOUTS[name])
    assert [path.stem for path in dataset.train] == ["0"]
    (found,) = [sample for sample in dataset.test if sample.anomalous]
    np.testing.assert_array_equal(read_masks(found.masks), TRUTH)
    assert (dataset.without_mask, dataset.stray) == ((), ())


def test_label_studio(tmp_path: Path) -> None:
    """Two brush strokes of a task are two files, whose image only the JSON export names."""
    laid_out(tmp_path, "train/good/0.png", "test/crack/part 1.jpg", "test/crack/2.jpg")
    truth = tmp_path / "ground_truth"
    truth.mkdir()
    for number, shown in enumerate((FIRST, TRUTH & ~FIRST)):
        Image.fromarray(shown).save(truth / f"task-17-annotation-3-by-a@b.org-tag-Crack-{number}.png")
    with pytest.raises(DataError, match="whose task no JSON file"):
        open_dataset(tmp_path)
    tasks = [
        {"id": 16, "data": {"image": "/data/upload/1/0a1b2c3d-2.jpg"}, "annotations": []},
        {"id": 17, "data": {"text": "none", "image": "/data/upload/1/deadbeef-part%201.jpg"}, "annotations": []},
    ]
    (truth / "project.json").write_text(json.dumps(tasks))
    dataset = open_dataset(tmp_path)
    with_mask = {sample.path.name: sample.masks for sample in dataset.test if sample.masks}
    assert list(with_mask) == ["part 1.jpg"]
    np.testing.assert_array_equal(read_masks(with_mask["part 1.jpg"]), TRUTH)
    assert dataset.stray == ()


def test_kolektor_in_folders_of_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = laid_out(
        tmp_path, "kos01/Part0.jpg", "-kos01/Part0_label.bmp", "kos01/Part1.jpg", "+kos01/Part1_label.bmp"
    )
    assert [path.name for path in dataset.train] == ["Part0.jpg"]
    assert "1 of 2 images not taken as normal: their masks show something" in capsys.readouterr().err


def test_what_does_not_match_is_named(tmp_path: Path) -> None:
    dataset = laid_out(
        tmp_path, "train/good/0.png", "test/Good/1.png", "test/crack/2.png", "test/crack/3.png",
        "+ground_truth/crack/2_mask.png", "+ground_truth/crack/9_mask.png", "+ground_truth/gone/1.png",
    )  # fmt: skip
    assert [sample.path.name for sample in dataset.without_mask] == ["3.png"]
    assert [path.name for path in dataset.stray] == ["9_mask.png", "1.png"]
    assert [(sample.kind, sample.anomalous) for sample in dataset.test[:1]] == [("Good", False)]


@pytest.mark.parametrize("name", ["anomaly", "Test", "MASKS", "ng"])
def test_a_flat_folder_holds_nothing_that_is_not_normal_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"holds {name}/, whose images are not normal by its name"):
        laid_out(tmp_path, "0.png", f"{name}/1.png")


def test_folders_below_a_flat_one_are_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = laid_out(tmp_path, "0.png", "monday/1.png", "monday/2.png", "tuesday/3.png")
    assert len(dataset.train) == 4
    assert "images of these folders are taken as normal: . 1, monday 2, tuesday 1" in capsys.readouterr().err


def test_loose_images_and_further_folders_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out(tmp_path, "train/good/0.png", "train/scratched/1.png", "test/2.png", "test/good/3.png")
    said = capsys.readouterr().err
    assert "only good is taken as normal, not scratched" in said
    assert "passed over what lies in no folder of it, images: 1, 2.png for one" in said
