"""Odd pictures through every way in: read with the right pixels, or refused in one line; never read wrongly.

`PANDA_WRITE_DOCS=1` writes the table in docs/pictures.md anew, of what happened here.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.builder.pictures import Pictures
from panda_edge.errors import ImageError
from panda_edge.images.inputs import expand_inputs
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import image_header, open_image, open_image_bytes
from panda_edge.stream.sources.folder import FolderSource
from panda_train.data.folders import open_dataset
from panda_train.data.headers import headers_of
from panda_train.evaluation.scored import score_images


def _zoo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zoo", Path(__file__).parents[1] / "zoo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


zoo = _zoo()
ODD = {odd.name: odd for odd in zoo.zoo()}
PAGE = Path(__file__).parents[2] / "docs" / "pictures.md"
SIDE = 64

Way = Callable[[Path, "Preprocessing"], np.ndarray]


def by_path(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    return np.asarray(open_image(path, white=preprocessing.white).image)


def by_bytes(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    return np.asarray(open_image_bytes(path.read_bytes(), path.name, None, preprocessing.white).image.convert("RGB"))


def by_folder(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """As `detect`, `segment`, `bench`, `extend` and `archive` list and read."""
    (item,) = expand_inputs([str(path.parent)])
    assert item.path == path
    return by_path(item.path, preprocessing)


def by_watch(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    os.utime(path, (1, 1))  # long ago: it is not on its way
    whole = Preprocessing(10_000, 10_000, white=preprocessing.white)  # so large that nothing is decoded smaller
    (picture,) = FolderSource(path.parent, True, whole.decode).pictures(threading.Event())
    if picture.opened is None:
        raise ImageError(str(picture.problem))
    return np.asarray(picture.opened.image.convert("RGB"))


def by_fit(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """As `fit` lists, finds the depth, and reads."""
    (listed,) = open_dataset(path.parent).train
    white = headers_of([listed]).white
    height, width = by_path(listed, Preprocessing(SIDE, SIDE, white=white)).shape[:2]
    (picture,) = Pictures([listed], Preprocessing(height, width, white=white)).each([0])
    assert picture is not None
    return picture.canvas


def by_pil(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    # Not from its path: Pillow maps such a file into memory, and then turns a TIFF wrongly.
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return np.asarray(open_image(image, white=preprocessing.white).image)


WAYS: dict[str, Way] = {"path": by_path, "bytes": by_bytes, "folder": by_folder, "watch": by_watch, "fit": by_fit}


def check(odd: zoo.Odd, way: Way, path: Path, white: int | None) -> None:
    """The right pixels, or a refusal in one line that names the reason."""
    why = odd.refused or (odd.unfitted if white is None and way is not by_fit else "")
    if why:
        with pytest.raises(ImageError, match=why) as caught:
            way(path, Preprocessing(SIDE, SIDE, white=white))
        assert "\n" not in str(caught.value)
        return
    found = way(path, Preprocessing(SIDE, SIDE, white=white))
    assert found.dtype == np.uint8
    assert found.shape == odd.pixels.shape
    assert np.abs(found.astype(int) - odd.pixels).max() <= odd.tolerance


@pytest.fixture
def put(tmp_path: Path) -> Callable[[zoo.Odd], Path]:
    def write(odd: zoo.Odd) -> Path:
        path = tmp_path / f"odd{odd.suffix}"
        path.write_bytes(odd.file)
        return path

    return write


@pytest.mark.parametrize("name", ODD)
def test_every_way_in_gives_the_same_right_pixels(put: Callable[[zoo.Odd], Path], name: str) -> None:
    odd = ODD[name]
    path = put(odd)
    for way in WAYS.values():
        for white in {None, odd.white}:
            check(odd, way, path, white)
    if not odd.refused:
        assert open_image(path, white=odd.white).full_size == (odd.pixels.shape[1], odd.pixels.shape[0])
        header = image_header(path)
        assert header.size == (odd.pixels.shape[1], odd.pixels.shape[0])
        assert headers_of([path]).white == odd.white


@pytest.mark.parametrize("name", [name for name, odd in ODD.items() if not odd.refused])
def test_an_open_pil_image(put: Callable[[zoo.Odd], Path], name: str) -> None:
    """As a path, or, of 16-bit colours that Pillow keeps 8 bits of, refused where these are too few."""
    odd = ODD[name]
    path = put(odd)
    if odd.white not in (None, 65535) and name.startswith(("PNG, RGB", "TIFF, RGB")):
        with pytest.raises(ImageError, match="give the file's path"):
            by_pil(path, Preprocessing(SIDE, SIDE, white=odd.white))
    else:
        check(odd, by_pil, path, odd.white)


ARRAYS = {
    "grey": (zoo.GREY, zoo.THRICE),
    "grey, one channel": (zoo.GREY[..., None], zoo.THRICE),
    "RGB": (zoo.RGB, zoo.RGB),
    "RGBA, a hole": (np.dstack([zoo.RGB, zoo.MASK]), zoo.ON_WHITE),
    "RGBA, alpha 0 everywhere": (np.dstack([zoo.RGB, zoo.MASK * 0]), zoo.RGB),
    "uint16": (zoo.GREY.astype(np.uint16), None),
    "float32": (zoo.GREY.astype(np.float32), None),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str) -> None:
    array, pixels = ARRAYS[name]
    if pixels is None:
        with pytest.raises(ImageError, match=r"8 bits it seems|of uint8 or uint16"):
            open_image(array)
    else:
        np.testing.assert_array_equal(np.asarray(open_image(array).image), pixels)


def test_deep_pictures_of_one_camera_share_their_white(tmp_path: Path) -> None:
    """White is that of all pictures: one that is dark by itself stays dark."""
    deep = zoo.GREY.astype(np.uint16) * 4
    for name, values in (("bright", deep), ("dark", deep // 8)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    paths = open_dataset(tmp_path).train
    headers = headers_of(paths)
    assert headers.white == 1023
    bright, dark = (by_path(path, Preprocessing(SIDE, SIDE, white=headers.white)).astype(int) for path in paths)
    assert np.abs(dark - bright / 8).max() <= 1


def test_a_device_picture_of_another_depth_is_refused(tmp_path: Path) -> None:
    Image.fromarray(zoo.GREY.astype(np.uint16) * 16).save(tmp_path / "deep.png")
    with pytest.raises(ImageError, match=r"values up to 4080 where 1023 \(10 bits\) is white"):
        by_path(tmp_path / "deep.png", Preprocessing(SIDE, SIDE, white=1023))
    glint = zoo.GREY.astype(np.uint16) * 4
    glint[0, 0] = 4095
    Image.fromarray(glint).save(tmp_path / "glint.png")
    assert by_path(tmp_path / "glint.png", Preprocessing(SIDE, SIDE, white=1023))[0, 0, 0] == 255


def test_the_zoo_through_a_bundle(exact_bundle: Path, tmp_path: Path) -> None:
    """`evaluate` and a detector say of each file what they say of its right pixels, and judge none that is refused."""
    detector = panda_edge.load(exact_bundle)
    test = tmp_path / "test" / "odd"
    test.mkdir(parents=True)
    (tmp_path / "train" / "good").mkdir(parents=True)
    Image.fromarray(zoo.RGB).save(tmp_path / "train" / "good" / "0.png")
    odd_by_path = {}
    for number, odd in enumerate(ODD.values()):
        path = test / f"{number}{odd.suffix}"
        path.write_bytes(odd.file)
        odd_by_path[path] = odd
    scored = score_images(exact_bundle, open_dataset(tmp_path))
    for image in scored.images:
        odd = odd_by_path.pop(image.sample.path)
        assert not odd.refused
        assert not odd.unfitted
        expected = detector.segment(odd.pixels).embedding_distance
        assert image.raw["embedding"] == pytest.approx(expected, rel=1e-4 if not odd.tolerance else 0.2, abs=1e-3)
    assert {str(path) for path in odd_by_path} == {problem["input"] for problem in scored.problems}
    assert all(odd.refused or odd.unfitted for odd in odd_by_path.values())


def table(folder: Path) -> str:
    """What became of each file by each way, with a bundle that was fitted to such pictures, and with another."""
    lines = ["| file | " + " | ".join(HEADINGS) + " |", "| --- |" + " --- |" * len(HEADINGS)]
    for number, odd in enumerate(ODD.values()):
        path = folder / str(number) / f"odd{odd.suffix}"
        path.parent.mkdir()
        path.write_bytes(odd.file)
        cells = []
        for way in WAYS.values():
            first, fitted = (said(way, path, white) for white in (None, odd.white))
            cells.append(first if first == fitted else "fitted")
        lines.append(f"| {odd.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


HEADINGS = ("path", "bytes", "folder: `detect`, `segment`, `archive`, `extend`", "folder: `watch`", "`fit`")


def said(way: Way, path: Path, white: int | None) -> str:
    try:
        way(path, Preprocessing(SIDE, SIDE, white=white))
    except ImageError:
        return "refused"
    return "read"


def test_the_table_is_of_this_run(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif", reason="the table has a row of it: pip install 'panda-edge[heif]'")
    page = PAGE.read_text(encoding="utf-8")
    made = re.sub(
        r"(<!-- zoo: begin -->\n).*?(\n<!-- zoo: end -->)",
        lambda found: found[1] + table(tmp_path) + found[2],
        page,
        flags=re.DOTALL,
    )
    if os.environ.get("PANDA_WRITE_DOCS"):
        PAGE.write_text(made, encoding="utf-8")
    assert made == page or os.environ.get("PANDA_WRITE_DOCS"), "run this with PANDA_WRITE_DOCS=1"
