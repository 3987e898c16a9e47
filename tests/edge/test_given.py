"""What a program hands over as a picture scores as its file does, or is refused in a line that says what to give."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.errors import ImageError, PandaError


@pytest.fixture(scope="module")
def detector(exact_bundle: Path) -> panda_edge.Detector:
    return panda_edge.load(exact_bundle, threads=1)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory, odd_image: Path) -> Path:
    """With colours; the sample's pictures are grey."""
    path = tmp_path_factory.mktemp("given") / "part.png"
    pixels = np.asarray(Image.open(odd_image).convert("RGB")) // np.array([1, 2, 4], np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def rgb(picture: Path) -> np.ndarray:
    return np.asarray(Image.open(picture))


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], 2)


# The same picture in every form, of its file and its pixels, and the order of the colours.
FORMS: dict[str, tuple[Callable[[Path, np.ndarray], Any], str]] = {
    "path": (lambda path, rgb: path, "RGB"),
    "str": (lambda path, rgb: str(path), "RGB"),
    "bytes": (lambda path, rgb: path.read_bytes(), "RGB"),
    "bytearray": (lambda path, rgb: bytearray(path.read_bytes()), "RGB"),
    "memoryview": (lambda path, rgb: memoryview(path.read_bytes()), "RGB"),
    "BytesIO": (lambda path, rgb: io.BytesIO(path.read_bytes()), "RGB"),
    "open file": (lambda path, rgb: path.open("rb"), "RGB"),
    "PIL": (lambda path, rgb: Image.open(path), "RGB"),
    "array": (lambda path, rgb: rgb, "RGB"),
    "RGBA": (lambda path, rgb: with_alpha(rgb), "RGB"),
    "16 bits": (lambda path, rgb: rgb.astype(np.uint16) * 257, "RGB"),
    "16 bits, big-endian": (lambda path, rgb: (rgb.astype(np.uint16) * 257).astype(">u2"), "RGB"),
    "BGR": (lambda path, rgb: np.ascontiguousarray(rgb[..., ::-1]), "BGR"),
    "BGRA": (lambda path, rgb: with_alpha(rgb[..., ::-1]), "BGR"),
    "BGR, 16 bits": (lambda path, rgb: rgb[..., ::-1].astype(np.uint16) * 257, "BGR"),
    "file, BGR asked": (lambda path, rgb: path, "BGR"),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_scores_alike(name: str, detector: panda_edge.Detector, picture: Path, rgb: np.ndarray) -> None:
    expected = detector.segment(picture)
    make, color = FORMS[name]
    given = make(picture, rgb)
    result = detector.segment(given, color=color)
    assert result.score == expected.score
    assert np.array_equal(np.asarray(result.overlay()), np.asarray(expected.overlay()))
    if hasattr(given, "close"):
        given.close()


def test_the_order_of_colours_counts(detector: panda_edge.Detector, rgb: np.ndarray) -> None:
    assert detector.detect(rgb, color="BGR").score != detector.detect(rgb).score


def test_grey_arrays(detector: panda_edge.Detector, rgb: np.ndarray) -> None:
    grey = rgb[..., 1]
    expected = detector.segment(np.stack([grey] * 3, 2)).score
    for form in (grey, grey[..., None], grey.astype(np.uint16) * 257, grey[..., None].astype(np.uint16) * 257):
        for color in ("RGB", "BGR"):
            assert detector.segment(form, color=color).score == expected


class Tensor:
    """As torch has it."""


Tensor.__module__ = "torch"

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "None": (lambda: None, "got NoneType; give a path"),
    "number": (lambda: 7, "got int; give a path"),
    "list of lists": (lambda: [[0] * 64] * 64, "got list; give a path"),
    "tensor": (lambda: Tensor(), r"got torch\.Tensor; .*permute\(1, 2, 0\)"),
    "floats": (lambda: np.zeros((64, 64, 3), np.float32), r"array of float32 .*scale to 0 … 255"),
    "channels first": (lambda: np.zeros((3, 64, 64), np.uint8), r"shape \(3, 64, 64\); .*transpose\(1, 2, 0\)"),
    "two channels": (lambda: np.zeros((64, 64, 2), np.uint8), r"shape \(64, 64, 2\); give a path"),
    "stack": (lambda: np.zeros((2, 64, 64, 3), np.uint8), "detect_batch or segment_batch"),
    "one row": (lambda: np.zeros(64, np.uint8), r"shape \(64,\)"),
    "bool": (lambda: np.zeros((64, 64), bool), "array of bool"),
    "int64": (lambda: np.zeros((64, 64), np.int64), "array of int64"),
    "empty": (lambda: np.zeros((0, 64), np.uint8), "too small"),
    "12 bits": (lambda: np.full((64, 64), 4000, np.uint16), "array: 16 bits with values up to 4000 only"),
    "no bytes": (lambda: b"", "image: not an image"),
    "text as bytes": (lambda: b"part.png", "image: not an image"),
    "read to its end": (lambda: io.BytesIO(), r"nothing left to read; seek\(0\)"),
    "text file": (lambda: io.StringIO("part"), "open it with mode 'rb'"),
    "closed file": (lambda: closed(), r"cannot be read \(I/O operation on closed file"),
}


def closed() -> io.BytesIO:
    stream = io.BytesIO(b"part")
    stream.close()
    return stream


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(name: str, detector: panda_edge.Detector) -> None:
    given, why = REFUSED[name]
    for way in (detector.detect, detector.segment):
        with pytest.raises(ImageError, match=why) as caught:
            way(given())
        assert "\n" not in str(caught.value)


def test_an_unknown_order(detector: panda_edge.Detector, picture: Path) -> None:
    for call in (
        lambda: detector.segment(picture, color="bgr"),
        lambda: detector.segment_batch([picture], color="HSV"),
    ):
        with pytest.raises(PandaError, match="give RGB, or BGR"):
            call()


class TestBatches:
    @pytest.mark.parametrize("way", ["detect_batch", "segment_batch"])
    def test_a_bad_image_costs_no_other(
        self, way: str, detector: panda_edge.Detector, picture: Path, tmp_path: Path
    ) -> None:
        cut = tmp_path / "cut.png"
        cut.write_bytes(picture.read_bytes()[:300])
        given = [picture, cut, tmp_path / "none.png", picture, None, picture]
        score = detector.detect(picture).score
        for size in (1, 2, 3, 8):
            found = list(getattr(detector, way)(iter(given), batch_size=size))
            assert [type(one) for one in found] == [
                panda_edge.Result, ImageError, ImageError, panda_edge.Result, ImageError, panda_edge.Result,
            ]  # fmt: skip
            assert [found[i].score for i in (0, 3, 5)] == pytest.approx([score] * 3, rel=1e-4)
            assert ["cut.png" in str(found[1]), "no such file" in str(found[2]), "NoneType" in str(found[4])] == [
                True
            ] * 3

    @pytest.mark.parametrize("way", ["detect_batch", "segment_batch"])
    def test_one_image_is_no_batch(
        self, way: str, detector: panda_edge.Detector, picture: Path, rgb: np.ndarray
    ) -> None:
        content = picture.read_bytes()
        for one in (str(picture), picture, content, io.BytesIO(content), Image.fromarray(rgb), rgb, rgb[..., 0]):
            with pytest.raises(ImageError, match=rf"{way} got .*expected many images; .* one image to {way[:6]}"):
                getattr(detector, way)(one)
        with pytest.raises(ImageError, match=f"{way} got NoneType"):
            getattr(detector, way)(None)

    def test_a_stack_of_frames_is_one(self, detector: panda_edge.Detector, rgb: np.ndarray) -> None:
        scores = [found.score for found in detector.detect_batch(np.stack([rgb, rgb[::-1]]))]
        assert scores == pytest.approx([detector.detect(rgb).score, detector.detect(rgb[::-1]).score], rel=1e-4)


def test_a_real_tensor_is_refused(detector: panda_edge.Detector, rgb: np.ndarray) -> None:
    import torch

    with pytest.raises(ImageError, match=r"got torch\.Tensor"):
        detector.segment(torch.from_numpy(rgb.copy()))
