"""Where a region of interest lies in the model's input and in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.roi import Roi
from panda_edge.images.roi_mask import Rois
from panda_edge.images.tiling import Tiling
from panda_edge.images.view import View
from rois import LEFT, SIDE, half, of_json


class TestView:
    def test_cells_that_hold_a_pixel_of_it_are_active(self) -> None:
        view = Preprocessing(SIDE, SIDE, rois=Rois(None, of_json([[[17, 0], [33, 0], [33, 31], [17, 31]]]))).view(
            (64, 64)
        )
        cells = view.active_cells(0, 16)
        assert cells is not None
        np.testing.assert_array_equal(cells, [[False, True, True, False]] * 2 + [[False] * 4] * 2)
        finer = view.active_cells(0, 8)
        assert finer is not None
        np.testing.assert_array_equal(finer, cells.repeat(2, 0).repeat(2, 1))
        coarser = view.active_cells(0, 32)
        assert coarser is not None
        np.testing.assert_array_equal(coarser, [[True, True], [False, False]])

    def test_padding_stays_out(self) -> None:
        view = Preprocessing(SIDE, SIDE, "fit", rois=Rois(Roi(half()))).view((64, 32))
        cells = view.active_cells(0, 16)
        assert cells is not None
        np.testing.assert_array_equal(cells, [[True, True, False, False]] * 2 + [[False] * 4] * 2)

    def test_tiles_outside_are_left_out(self) -> None:
        plain = Preprocessing(SIDE, SIDE, tiles=Tiling(0.25, 1.0)).view((256, 64))
        view = Preprocessing(SIDE, SIDE, tiles=Tiling(0.25, 1.0), rois=Rois(Roi(half()))).view((256, 64))
        assert list(plain.active_frames()) == list(range(plain.count))
        looked = view.active_frames()
        assert list(looked) == [n for n in range(view.count) if view.corner(n)[1] < 128]
        assert 0 < len(looked) < view.count

    @pytest.mark.parametrize("preprocessing", [Preprocessing(SIDE, SIDE), Preprocessing(SIDE, SIDE, "crop", 1.0)])
    def test_on_the_picture_the_map_ends_where_the_roi_does(self, preprocessing: Preprocessing) -> None:
        size = (200, 120)
        view = Preprocessing(SIDE, SIDE, preprocessing.resize, rois=Rois(None, of_json(LEFT))).view(size)
        assert view.roi_mask is not None
        heatmap = np.where(view.roi_mask.judged, np.float32(3), np.float32(np.nan))
        shown = view.to_picture(heatmap)
        seen = np.isfinite(shown)
        np.testing.assert_allclose(shown[seen], 3, rtol=1e-6)
        assert not seen[:, 100:].any()
        assert seen[60, 50:99].all()
        assert np.isfinite(view.to_picture(heatmap, (50, 30))[15, 13:24]).all()


def test_a_view_without_a_roi_is_as_before() -> None:
    view = Preprocessing(SIDE, SIDE).view((64, 64))
    assert view == View((64, 64), (0.0, 0.0, 64.0, 64.0), (64, 64), (64, 64))
    heatmap = np.ones((64, 64), np.float32)
    assert view.compared(heatmap) is heatmap
