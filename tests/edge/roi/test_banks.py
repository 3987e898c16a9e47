"""Nothing outside of a region of interest is looked at, whatever the bank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from panda_edge import kernel
from panda_edge.banks.query import FrameFeatures
from panda_edge.banks.settings import CHOICES as BANKS
from panda_edge.bundle.manifest import read_manifest
from panda_edge.decide.calibration import CALIBRATION_FILE
from panda_edge.images.roi import Roi
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.verify import verify
from rois import half

Texture = Callable[..., np.ndarray]


Fit = Callable[..., Path]


def outside_changed(picture: np.ndarray) -> np.ndarray:
    """The same picture with another right quarter: far enough from the left half for the tiny network."""
    changed = picture.copy()
    changed[:, 3 * picture.shape[1] // 4 :] = (255, 0, 255)
    return changed


@pytest.mark.parametrize("bank", list(BANKS))
class TestEveryBank:
    def test_cells_inside_are_those_of_the_whole_picture(self, fit_roi: Fit, odd: np.ndarray, bank: str) -> None:
        """The device's roi: no value is higher than without it, and those far inside are the same."""
        bundle = fit_roi(bank)
        whole, part = panda_edge.load(bundle), panda_edge.load(bundle, roi=half())
        expected, found = whole.segment(odd), part.segment(odd)
        assert expected.heatmap is not None
        assert found.heatmap is not None
        assert np.isnan(found.heatmap[:, 32:]).all()
        assert (found.heatmap[:, :32] <= expected.heatmap[:, :32] * (1 + 1e-5)).all()
        np.testing.assert_allclose(found.heatmap[:, :8], expected.heatmap[:, :8], rtol=1e-4)
        assert found.score <= np.nanmax(found.heatmap)
        assert found.p_value is not None
        assert expected.p_value is not None
        assert found.p_value >= expected.p_value
        assert part.detect(odd).p_value == found.p_value
        assert part.detect(odd).heatmap is None

    def test_nothing_outside_changes_anything(self, fit_roi: Fit, odd: np.ndarray, bank: str) -> None:
        for detector in (panda_edge.load(fit_roi(bank, Roi(half()))), panda_edge.load(fit_roi(bank), roi=half())):
            one, other = detector.segment(odd), detector.segment(outside_changed(odd))
            assert one.heatmap is not None
            assert other.heatmap is not None
            # Similar pictures are chosen by the whole one, and a coreset's descriptors, averaged and interpolated, see
            # half of so small a picture; of other banks nothing changes at all.
            if bank not in ("exact", "hnsw", "coreset"):
                np.testing.assert_array_equal(one.heatmap[:, :24], other.heatmap[:, :24])
            assert all(region.box[2] <= 32 for region in other.regions or ())

    def test_a_bundles_roi_is_calibrated_inside(
        self, fit_roi: Fit, normal_images: list[Path], odd: np.ndarray, bank: str
    ) -> None:
        bundle = fit_roi(bank, Roi(half()))
        manifest = read_manifest(bundle)
        assert manifest.roi is not None
        assert (manifest.roi.file, manifest.roi.inside) == ("roi.png", 0.5)
        assert manifest.preprocessing.rois is None
        assert verify(bundle)["ok"]
        detector = panda_edge.load(bundle)
        assert not any("roi" in remark for remark in detector.remarks)
        held = np.load(bundle / CALIBRATION_FILE)
        if manifest.calibration is not None and manifest.calibration["kind"] == "held-out":
            again = [np.nanmax(detector.segment(path).heatmap) for path in normal_images[8:]]
            np.testing.assert_allclose(held[1], again, rtol=1e-5)
        # Blurred into nothing that was not searched: the border of the roi is not darker for it.
        cut = panda_edge.load(fit_roi(bank), roi=half()).segment(odd).heatmap
        own = detector.segment(odd).heatmap
        assert own is not None
        assert cut is not None
        assert np.nanmean(own[:, 28:32] / cut[:, 28:32]) > 1.2


def test_the_share_of_the_blur_is_that_of_the_cells_by_brute_force(fit_roi: Fit, odd: np.ndarray) -> None:
    bundle = fit_roi("exact", Roi(half()))
    whole = panda_edge.load(fit_roi("exact"))
    found = panda_edge.load(bundle).segment(odd).heatmap
    features = whole.features(whole.preprocessing.apply(odd)[None])
    scored = whole._scorer.score(FrameFeatures.of(features, 0))
    cells, mask = scored.distances, np.zeros((16, 16), np.float32)
    assert cells is not None
    mask[:, :8] = 1
    expected, shares = (kernel.render_heatmap(part, 64, 64, 4.0)[:, :32] for part in (cells * mask, mask))
    assert found is not None
    np.testing.assert_allclose(found[:, :32], expected / shares, rtol=1e-4)


TILED = Tiling(0.25, 2.0)


@pytest.mark.parametrize("bank", ["exact", "gaussian", "coreset"])
class TestTiles:
    def test_frames_outside_never_reach_the_model(
        self, fit_roi: Fit, odd: np.ndarray, bank: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        detector = panda_edge.load(fit_roi(bank, tiles=TILED), threads=2, roi=half())
        run = detector._tiles._run  # type: ignore[union-attr]
        seen: list[int] = []

        def counted(frames: np.ndarray) -> Any:
            seen.append(len(frames))
            return run(frames)

        monkeypatch.setattr(detector._tiles, "_run", counted)
        result = detector.segment(odd)
        assert sum(seen) == len(result.view.active_frames()) < result.view.count
        seen.clear()
        detector.model_floor(odd)
        assert sum(seen) == len(result.view.active_frames())

    def test_the_map_inside_is_that_of_the_whole_picture(self, fit_roi: Fit, odd: np.ndarray, bank: str) -> None:
        bundle = fit_roi(bank, tiles=TILED)
        whole = panda_edge.load(bundle).segment(odd)
        part = panda_edge.load(bundle, roi=half()).segment(odd)
        assert whole.heatmap is not None
        assert part.heatmap is not None
        across = whole.heatmap.shape[1]
        assert np.isnan(part.heatmap[:, across // 2 :]).all()
        assert (part.heatmap[:, : across // 2] <= whole.heatmap[:, : across // 2] * (1 + 1e-5)).all()
        inner = slice(0, across // 2 - 12)
        np.testing.assert_allclose(part.heatmap[:, inner], whole.heatmap[:, inner], rtol=1e-4)

    def test_the_bank_leaves_out_what_nobody_looks_at(self, fit_roi: Fit, bank: str, odd: np.ndarray) -> None:
        bundle = fit_roi(bank, Roi(half()), TILED)
        found, whole = read_manifest(bundle).detection.count, read_manifest(fit_roi(bank, tiles=TILED)).detection.count
        assert found == whole if bank == "gaussian" else found < whole
        assert verify(bundle)["ok"]
        result = panda_edge.load(bundle).segment(odd)
        assert result.p_value is not None
        assert result.heatmap is not None
        assert np.isfinite(result.heatmap).mean() == pytest.approx(0.5, abs=0.05)


def test_both_rois_are_one_within_the_other(fit_roi: Fit, odd: np.ndarray) -> None:
    top = np.zeros((64, 64), dtype=bool)
    top[:32] = True
    bundle = fit_roi("gaussian", Roi(half()))
    both, own = panda_edge.load(bundle, roi=top), panda_edge.load(bundle)
    found, wider = both.segment(odd).heatmap, own.segment(odd).heatmap
    assert found is not None
    assert wider is not None
    assert np.isfinite(found[:32, :32]).all()
    assert np.isnan(found[32:]).all()
    assert np.isnan(found[:, 32:]).all()
    assert (found[:32, :32] <= wider[:32, :32] * (1 + 1e-5)).all()
    assert any("its own roi" in remark for remark in both.remarks)


def test_a_bundle_that_decides_by_embedding_decides_by_the_map(fit_roi: Fit, odd: np.ndarray) -> None:
    for rule in ("embedding", "combined"):
        detector = panda_edge.load(fit_roi("gaussian", rule=rule), roi=half())
        assert any(f"decides by {rule}" in remark for remark in detector.remarks)
        decision = detector.detect(odd).decision
        assert decision is not None
        assert decision.rule == "local"
        detector.decide_at(0.2)
        assert detector.decider is not None
        assert detector.decider.rule == "local"


def test_the_mean_of_the_top_is_no_higher_than_of_the_whole(fit_roi: Fit, odd: np.ndarray) -> None:
    bundle = fit_roi("gaussian", rule="top1")
    small = np.zeros((64, 64), dtype=bool)
    small[:9, :9] = True
    for mask in (small, half()):
        whole, part = panda_edge.load(bundle).segment(odd), panda_edge.load(bundle, roi=mask).segment(odd)
        assert whole.decision is not None
        assert part.decision is not None
        assert part.decision.score <= whole.decision.score
        assert part.decision.p_value >= whole.decision.p_value


def test_pictures_of_another_size(fit_roi: Fit, texture: Texture) -> None:
    detector = panda_edge.load(fit_roi("exact", Roi(half())))
    shown = detector.segment(texture(90, 300)).heatmap_on_image()
    assert np.isfinite(shown[:, :149]).all()
    assert np.isnan(shown[:, 150:]).all()
