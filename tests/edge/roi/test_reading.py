"""How a region of interest is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import ImageError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.roi import Roi, parse_roi, read_roi
from panda_edge.images.roi_mask import Rois
from rois import LEFT, SIDE, half, of_json

Texture = Callable[..., np.ndarray]


class TestReading:
    def test_a_mask_and_polygons_say_the_same(self, tmp_path: Path) -> None:
        Image.fromarray(half()).save(tmp_path / "mask.png")
        (tmp_path / "roi.json").write_text(json.dumps(LEFT))
        xs, ys = np.arange(640) + 0.5, np.arange(480) + 0.5
        for roi in (read_roi(tmp_path / "mask.png"), read_roi(str(tmp_path / "roi.json")), read_roi(half())):
            inside = roi.inside(xs, ys, (640, 480))
            assert inside.shape == (480, 640)
            assert inside[:, :320].all()
            assert not inside[:, 320:].any()

    def test_polygons_in_pixels_are_of_the_pictures_own(self) -> None:
        roi = of_json([[[10, 20], [30, 20], [30, 40], [10, 40]]])
        inside = roi.inside(np.arange(50) + 0.5, np.arange(50) + 0.5, (50, 50))
        expected = np.zeros((50, 50), dtype=bool)
        expected[20:40, 10:30] = True
        np.testing.assert_array_equal(inside, expected)

    def test_polygons_are_joined_and_each_is_even_odd(self) -> None:
        ring = [[0, 0], [40, 0], [40, 40], [0, 40], [0, 0], [10, 10], [10, 30], [30, 30], [30, 10], [10, 10]]
        roi = of_json([ring, [[15, 15], [20, 15], [20, 20], [15, 20]]])
        inside = roi.inside(np.arange(40) + 0.5, np.arange(40) + 0.5, (40, 40))
        assert inside[5, 5]
        assert inside[17, 17]
        assert not inside[25, 25]
        assert inside.sum() == 1600 - 400 + 25

    def test_a_polygon_is_that_of_its_points_by_brute_force(self) -> None:
        random = np.random.default_rng(0)
        points = random.uniform(0, 100, (7, 2))
        xs = ys = np.arange(100) + 0.5
        inside = of_json([points.tolist()]).inside(xs, ys, (100, 100))
        for x, y in random.integers(0, 100, (300, 2)):
            turns = 0
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
                if (y0 <= ys[y]) != (y1 <= ys[y]):
                    turns += xs[x] >= x0 + (ys[y] - y0) * (x1 - x0) / (y1 - y0)
            assert inside[y, x] == turns % 2

    def test_a_mask_is_scaled_by_its_nearest_pixel(self) -> None:
        mask = np.zeros((8, 8), dtype=bool)
        mask[2, 3] = True
        inside = Roi(mask).inside(np.arange(80) + 0.5, np.arange(16) + 0.5, (80, 16))
        assert inside.sum() == 20
        assert inside[4:6, 30:40].all()

    def test_what_a_bundle_keeps_is_what_was_given(self) -> None:
        for roi in (Roi(half()), of_json(LEFT), of_json([[[1, 2], [300.5, 4], [5, 600]]])):
            name, data = roi.file()
            again = parse_roi(data, name, name)
            np.testing.assert_array_equal(again.mask, roi.mask)
            np.testing.assert_array_equal(again.polygons, roi.polygons)
            assert again.fractions == roi.fractions

    @pytest.mark.parametrize(
        ("plain", "said"),
        [
            ({}, "expected a list of polygons"),
            ([], "no polygon"),
            ([[0, 0], [1, 0], [1, 1]], "polygon 1: expected a list"),
            ([[[0, 0], [1, 1]]], "2 points"),
            ([[[0, 0], [1, "a"], [1, 1]]], "polygon 1: expected a list"),
            ([[[0, 0], [1, True], [1, 1]]], "polygon 1: expected a list"),
            ([LEFT[0], [[0, 0], [-0.5, 0], [1, 1]]], "polygon 2: a point outside the picture"),
            ([[[0, 0], [float("nan"), 0], [1, 1]]], "outside the picture"),
            ([[[0, 0], [float("inf"), 0], [1, 1]]], "no area"),
            ([[[0, 0], [0.5, 0.5], [1, 1]]], "no area"),
            ([[[0, 0], [1.2, 0], [1, 1]]], "reaches 1.2"),
            ([[[i, i * i] for i in range(10_001)]], "more than 10000 points"),
        ],
    )
    def test_wrong_polygons_are_one_line(self, plain: Any, said: str) -> None:
        with pytest.raises(PandaError, match=said) as caught:
            of_json(plain)
        assert "\n" not in str(caught.value)

    def test_wrong_files_are_one_line(self, tmp_path: Path, texture: Texture) -> None:
        Image.new("L", (64, 64)).save(tmp_path / "empty.png")
        Image.fromarray(texture(64, 64)).save(tmp_path / "photo.png")
        Image.new("RGBA", (64, 64), (255, 255, 255, 0)).save(tmp_path / "clear.png")
        (tmp_path / "text.txt").write_text("left half")
        (tmp_path / "broken.json").write_text("[[[")
        (tmp_path / "deep.json").write_text("[" * 100_000)
        (tmp_path / "binary.json").write_bytes(bytes(range(128, 256)))
        for name, said in {
            "empty.png": "an empty mask",
            "photo.png": "neither black nor white",
            "clear.png": "transparent",
            "text.txt": "not an image",
            "broken.json": "not valid JSON",
            "deep.json": "not valid JSON",
            "binary.json": "not valid JSON",
            "missing.png": "no such file",
            ".": "cannot be read",
        }.items():
            with pytest.raises(PandaError, match=said) as caught:
                read_roi(tmp_path / name)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("array", [np.zeros((64, 64)), np.ones((4, 64), bool), np.zeros((64, 64), bool)])
    def test_wrong_arrays(self, array: np.ndarray) -> None:
        with pytest.raises(PandaError, match="roi"):
            read_roi(array)

    def test_a_picture_that_a_polygon_leaves(self) -> None:
        looking = Preprocessing(SIDE, SIDE, rois=Rois(of_json([[[0, 0], [300, 0], [300, 200]]])))
        assert looking.view((300, 200)).roi_mask is not None
        with pytest.raises(ImageError, match="polygon 1 of the roi reaches 300, 200"):
            looking.view((299, 200))

    def test_a_roi_that_the_crop_leaves_out(self) -> None:
        strip = of_json([[[0, 0], [0.01, 0], [0.01, 1], [0, 1]]])
        with pytest.raises(ImageError, match="leaves nothing"):
            Preprocessing(SIDE, SIDE, "crop", 1.0, rois=Rois(strip)).view((400, 200))
