"""Where tiles lie, and the way back from their heat map to the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from panda_edge.errors import ImageError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import ALIGNED, MAX_TILES, Tiling
from panda_edge.images.view import View
from panda_edge.search.stitch import Stitcher

SIDES = st.sampled_from([64, 96, 224])
OVERLAPS = st.floats(0, 0.75)


@given(length=st.integers(1, 5000), side=SIDES, overlap=OVERLAPS)
def test_tiles_cover_an_axis(length: int, side: int, overlap: float) -> None:
    starts = Tiling(overlap, 1.0).starts(length, side)
    assert starts[0] == 0
    assert all(start % ALIGNED == 0 for start in starts)
    assert 0 <= starts[-1] + side - max(length, side) < ALIGNED
    steps = np.diff(starts)
    assert (steps > 0).all()
    # Starts are rounded, so that two neighbours may share less than was asked for by that.
    assert (steps <= min(side, side * (1 - overlap) + ALIGNED)).all()


@given(rows=st.integers(1, 20), columns=st.integers(1, 20), side=SIDES, overlap=st.floats(0, 0.7))
def test_a_grid_has_the_tiles_that_were_asked_for(rows: int, columns: int, side: int, overlap: float) -> None:
    preprocessing = Preprocessing(side, side, tiles=Tiling.grid(rows, columns, side, side, overlap))
    for picture in ((640, 480), (100, 3000)):
        view = preprocessing.view(picture)
        assert (len(view.tops), len(view.lefts)) == (rows, columns)
    assert preprocessing.frames == rows * columns


@given(width=st.integers(64, 700), height=st.integers(64, 700), overlap=OVERLAPS)
def test_every_pixel_lies_in_a_frame(width: int, height: int, overlap: float) -> None:
    view = Preprocessing(64, 64, tiles=Tiling(overlap, 1.0)).view((width, height))
    seen = np.zeros(view.canvas, int)
    for number in range(view.count):
        top, left = view.corner(number)
        seen[top : top + 64, left : left + 64] += 1
    assert seen.min() >= 1
    assert view.map_shape == (-(-height // 2), -(-width // 2))


def test_frames_are_parts_of_the_picture_at_its_own_scale(texture) -> None:  # type: ignore[no-untyped-def]
    picture = texture(150, 200)
    preprocessing = Preprocessing(64, 64, tiles=Tiling(0.25, 1.0))
    view = preprocessing.view((200, 150))
    canvas = preprocessing.apply(picture)
    assert (canvas[:150, :200] == picture).all()
    assert (canvas[150:, :200] == picture[-1]).all()  # its border repeated
    frames = view.frames(canvas)
    assert frames.shape == (view.count, 64, 64, 3)
    for number, frame in enumerate(frames):
        top, left = view.corner(number)
        assert (frame == canvas[top : top + 64, left : left + 64]).all()
    assert (view.frames(canvas, range(2, 4)) == frames[2:4]).all()


def test_what_lies_on_padding_is_not_active() -> None:
    view = Preprocessing(64, 64, tiles=Tiling(0, 1.0)).view((100, 64))
    assert view.active_cells(0, 16) is None
    looked = view.active_cells(1, 16)
    assert looked is None  # 100 is padded to 112, whose last cells begin at 96
    fitted = Preprocessing(64, 64, "fit").view((100, 40))
    looked = fitted.active_cells(0, 16)
    assert looked is not None
    assert looked.tolist() == [[True] * 4, [True] * 4, [False] * 4, [False] * 4]


@pytest.mark.parametrize(("size", "shape"), [((200, 100), (32, 64)), ((100, 200), (64, 32)), ((64, 64), (64, 64))])
def test_fit_keeps_the_aspect(size: tuple[int, int], shape: tuple[int, int], texture) -> None:  # type: ignore[no-untyped-def]
    preprocessing = Preprocessing(64, 64, "fit")
    view = preprocessing.view(size)
    assert view.map_shape == shape
    picture = texture(size[1], size[0])
    frame = preprocessing.apply(picture)
    assert frame.shape == (64, 64, 3)
    resized = Image.fromarray(picture).resize(shape[::-1], Image.Resampling.BILINEAR)
    assert (frame[: shape[0], : shape[1]] == np.asarray(resized)).all()
    on_picture = view.to_picture(np.ones(shape, np.float32))
    assert on_picture.shape == size[::-1]
    assert (on_picture == 1).all()


def test_a_map_of_tiles_lies_where_the_picture_does() -> None:
    view = Preprocessing(64, 64, tiles=Tiling(0.25, 0.5)).view((401, 301))
    mask = np.zeros((301, 401), bool)
    mask[100:160, 200:280] = True
    on_map = view.mask_on_map(mask)
    assert on_map.shape == view.map_shape
    back = view.to_picture(on_map.astype(np.float32)) > 0.5
    assert (back & mask).sum() / (back | mask).sum() > 0.9
    across, down = view.map_scale()
    assert (across, down) == pytest.approx((401 * 2 / 200, 301 * 2 / 150))


@pytest.mark.parametrize(
    ("size", "tiles", "said"),
    [
        ((50, 400), Tiling(0, 1.0), "50×400 pixels is smaller than a tile of 64×64"),
        ((400, 100), Tiling(0, 0.5), "400×100 pixels, scaled to 200×50, is smaller than a tile"),
        ((20_000, 4000), Tiling(0.5, 4.0), "is more than 100 megapixels; fit with a smaller --scale"),
        ((9000, 9000), Tiling(0.5, 1.0), f"tiles, at most {MAX_TILES} are allowed"),
    ],
)
def test_pictures_that_cannot_be_cut(size: tuple[int, int], tiles: Tiling, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        Preprocessing(64, 64, tiles=tiles).view(size)


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (100, 100)])
def test_grids_that_are_none(rows: int, columns: int) -> None:
    with pytest.raises(PandaError, match="expected at least one, and at most 4096"):
        Tiling.grid(rows, columns, 64, 64)


class TestStitching:
    def test_a_smooth_field_comes_back_without_seams(self) -> None:
        view = Preprocessing(64, 64, tiles=Tiling(0.25, 1.0)).view((320, 240))
        ys, xs = np.mgrid[: view.canvas[0] // 4, : view.canvas[1] // 4]
        field = (10 + np.sin(ys / 9) + np.cos(xs / 7)).astype(np.float32)
        stitcher, whole = Stitcher(view), Stitcher(View((320, 240), view.box, (320, 240), (240, 320), step=2))
        for number in range(view.count):
            top, left = (side // 4 for side in view.corner(number))
            stitcher.add(number, field[top : top + 16, left : left + 16])
        whole.add(0, field[:60, :80])
        np.testing.assert_allclose(stitcher.heatmap(4.0), whole.heatmap(4.0), rtol=1e-5)

    def test_a_border_counts_less_than_another_frames_middle(self) -> None:
        view = View((96, 64), (0, 0, 96, 64), (96, 64), (64, 64), (0,), (0, 32), 2)
        stitcher = Stitcher(view)
        border = np.ones((16, 16), np.float32)
        border[:, -1] = 100.0  # what the left frame claims of its last column of cells
        stitcher.add(0, border)
        stitcher.add(1, np.ones((16, 16), np.float32))
        assert stitcher.heatmap(0.0).max() < 100 / 10

    def test_padding_does_not_leak_into_the_picture(self) -> None:
        view = Preprocessing(64, 64, "fit").view((64, 32))
        distances = np.ones((16, 16), np.float32)
        distances[8:] = 1e6
        stitcher = Stitcher(view)
        stitcher.add(0, distances)
        heatmap = stitcher.heatmap(4.0)
        assert heatmap.shape == (32, 64)
        np.testing.assert_allclose(heatmap, 1.0, rtol=1e-6)
