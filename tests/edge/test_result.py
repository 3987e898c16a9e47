"""What a program takes away of a result, and detectors and results in a pickle."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.reading import open_image


@pytest.fixture(scope="module")
def detector(calibrated_bundles: dict[str, Path]) -> panda_edge.Detector:
    return panda_edge.load(calibrated_bundles["exact"], threads=1, fpr=0.2)


@pytest.fixture(scope="module")
def anomalous(detector: panda_edge.Detector, odd_image: Path) -> panda_edge.Result:
    """Of a picture with a patch that no normal one has."""
    pixels = np.asarray(Image.open(odd_image).convert("RGB")).copy()
    pixels[20:44, 12:40] = (255, 0, 255)
    return detector.segment(pixels)


def test_the_mask_is_of_the_regions(anomalous: panda_edge.Result) -> None:
    assert anomalous.mask is not None
    assert anomalous.regions
    assert (anomalous.mask.dtype, anomalous.mask.shape) == (bool, (64, 64))
    left, top, right, bottom = anomalous.regions[0].box
    assert anomalous.mask[top:bottom, left:right].any()
    outside = anomalous.mask.copy()
    for region in anomalous.regions:
        left, top, right, bottom = region.box
        outside[top:bottom, left:right] = False
    assert not outside.any()
    assert int(anomalous.mask.sum()) == sum(region.area for region in anomalous.regions)


def test_a_dict_is_json_with_the_properties(anomalous: panda_edge.Result) -> None:
    plain = json.loads(json.dumps(anomalous.to_dict(), allow_nan=False))
    assert plain["score"] == anomalous.score
    assert plain["threshold"] == anomalous.threshold
    assert plain["severity"] == pytest.approx(anomalous.score / anomalous.threshold)
    assert plain["p_value"] == anomalous.p_value
    assert plain["anomalous"] is anomalous.anomalous is True
    assert tuple(plain["regions"][0]["box"]) == anomalous.regions[0].box


def test_without_heat_map_or_calibration(
    detector: panda_edge.Detector, exact_bundle: Path, odd_image: Path, tmp_path: Path
) -> None:
    detected = detector.detect(odd_image)
    assert detected.mask is None
    assert "regions" not in detected.to_dict()
    with pytest.raises(ValueError, match="use segment"):
        detected.overlay()
    bare = panda_edge.load(exact_bundle, threads=1).segment(odd_image)
    assert bare.mask is None
    assert bare.to_dict()["regions"] is None
    bare.save(tmp_path / "bare.png")


class TestOverlays:
    def test_one_is_saved_as_its_suffix_says(self, anomalous: panda_edge.Result, tmp_path: Path) -> None:
        drawn = anomalous.overlay()
        assert drawn.width == 64
        assert drawn.height > 64
        for name, kind in (("a.png", "PNG"), ("folder/b.JPG", "JPEG"), ("c.webp", "WEBP")):
            anomalous.save(str(tmp_path / name))
            with Image.open(tmp_path / name) as saved:
                assert (saved.format, saved.size) == (kind, drawn.size)
        with Image.open(tmp_path / "a.png") as saved:
            assert np.array_equal(np.asarray(saved), np.asarray(drawn))

    @pytest.mark.parametrize("name", ["overlay", "overlay.txt"])
    def test_no_kind_of_picture(self, name: str, anomalous: panda_edge.Result, tmp_path: Path) -> None:
        with pytest.raises(PandaError, match=r"name it \.png or \.jpg"):
            anomalous.save(tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_where_nothing_can_be_written(self, anomalous: panda_edge.Result, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(PandaError, match="cannot be written"):
            anomalous.save(tmp_path / "file" / "overlay.png")

    def test_a_file_that_is_gone(self, detector: panda_edge.Detector, odd_image: Path, tmp_path: Path) -> None:
        path = Path(shutil.copy(odd_image, tmp_path / "part.png"))
        result = detector.segment(path)
        path.unlink()
        with pytest.raises(panda_edge.ImageError, match="no such file"):
            result.overlay()

    def test_what_watch_judged_is_let_go(self, detector: panda_edge.Detector, odd_image: Path) -> None:
        with pytest.raises(PandaError, match="holds no image"):
            detector.segment(open_image(odd_image)).overlay()


class TestPickle:
    def test_a_detector_is_opened_anew(
        self, detector: panda_edge.Detector, odd_image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        path = detector.bundle.path
        monkeypatch.chdir(path.parent)
        asked = panda_edge.load(path.name, threads=1, fpr=0.2, roi=np.ones((64, 64), bool))
        asked.decide_at(0.4)
        packed = pickle.dumps(asked)
        assert len(packed) < 20_000  # no bank in it
        monkeypatch.chdir(tmp_path)  # a relative path means the same bundle
        again = pickle.loads(packed)
        assert again.segment(odd_image).to_dict() == asked.segment(odd_image).to_dict()
        assert again.decider.fpr == 0.4

    def test_another_bundle_there_is_refused(
        self, calibrated_bundles: dict[str, Path], tmp_path: Path, odd_image: Path
    ) -> None:
        place = shutil.copytree(calibrated_bundles["exact"], tmp_path / "x.panda")
        packed = pickle.dumps(panda_edge.load(place, threads=1))
        shutil.rmtree(place)
        with pytest.raises(BundleError, match="no such bundle"):
            pickle.loads(packed)
        shutil.copytree(calibrated_bundles["gaussian"], place)
        with pytest.raises(BundleError, match="not the bundle that the pickled detector had"):
            pickle.loads(packed)

    def test_one_that_load_did_not_make(self, detector: panda_edge.Detector) -> None:
        with pytest.raises(PandaError, match=r"panda_edge\.load"):
            pickle.dumps(panda_edge.Detector(detector.bundle, 1))

    def test_a_result(self, anomalous: panda_edge.Result) -> None:
        again = pickle.loads(pickle.dumps(anomalous))
        assert again.to_dict() == anomalous.to_dict()
        assert np.array_equal(again.heatmap, anomalous.heatmap)
        assert np.array_equal(np.asarray(again.overlay()), np.asarray(anomalous.overlay()))
