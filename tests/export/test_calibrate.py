"""Calibration from the normal images to the decision on the device."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.banks.query import FrameFeatures
from panda_edge.bundle.folder import open_bundle
from panda_edge.decide.calibration import CALIBRATION_FILE, Calibration, image_scores, open_calibration
from panda_edge.decide.decision import Decider
from panda_edge.errors import BundleError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.search.scoring import Scorer


def calibration_of(bundle: Path) -> Calibration:
    found = open_calibration(open_bundle(bundle))
    assert found is not None
    return found


def test_held_out_scores_are_the_detectors(calibrated_bundles: dict[str, Path], normal_images: list[Path]) -> None:
    bundle = calibrated_bundles["gaussian"]
    held, detector = calibration_of(bundle), panda_edge.load(bundle)
    assert open_bundle(bundle).manifest.calibration == {"images": 4, "kind": "held-out"}
    for i, path in enumerate(normal_images[8:]):
        result = detector.segment(path)
        assert result.heatmap is not None
        for name, value in image_scores(result.embedding_distance, result.heatmap).items():
            assert held.scores[name][i] == pytest.approx(value, rel=1e-5)


def test_leave_one_out_scores_are_those_without_the_image(
    calibrated_bundles: dict[str, Path], normal_images: list[Path]
) -> None:
    path = calibrated_bundles["exact"]
    bundle, detector = open_bundle(path), panda_edge.load(path)
    held, scorer = calibration_of(path), Scorer(bundle, 1)
    assert bundle.manifest.calibration == {"images": 12, "kind": "leave-one-out"}
    for i, image in enumerate(normal_images):
        features = detector.features(detector.preprocessing.apply(image)[None])
        scored = scorer.score(FrameFeatures.of(features, 0), exclude=i)
        assert held.scores["embedding"][i] == pytest.approx(scored.score, rel=1e-5)
        assert held.scores["embedding"][i] > 1.5 * detector.detect(image).score, "it found itself, at 0"


def test_bundles_without_calibration_give_raw_scores(made_bundles: dict[str, Path], normal_images: list[Path]) -> None:
    result = panda_edge.load(made_bundles["exact"]).segment(normal_images[0])
    assert (result.decision, result.p_value, result.anomalous, result.regions) == (None, None, None, None)


def test_the_device_chooses_the_rate(
    calibrated_bundles: dict[str, Path],
    normal_images: list[Path],
    tmp_path: Path,
    edit_manifest: Callable[..., None],
) -> None:
    bundle = Path(shutil.copytree(calibrated_bundles["gaussian"], tmp_path / "max.panda"))
    edit_manifest(bundle, lambda plain: plain["decision"].update(score="max"), reseal=True)
    strict, lenient = panda_edge.load(bundle, fpr=0.2), panda_edge.load(bundle, fpr=0.6)
    held = calibration_of(bundle)
    verdicts = [(strict.segment(path).anomalous, lenient.segment(path).anomalous) for path in normal_images[8:]]
    # A held-out image's own score is among the four, so its p-value is (its rank from above + 1) / 5.
    ranks = np.argsort(np.argsort(-held.scores["max"]))
    assert verdicts == [((rank + 2) / 5 <= 0.2, (rank + 2) / 5 <= 0.6) for rank in ranks]
    assert strict.decider is not None
    assert strict.decider.warning is None
    assert "cannot promise" in str(panda_edge.load(bundle, fpr=0.01).decider.warning)  # type: ignore[union-attr]


@pytest.mark.parametrize("fpr", [0.0, 1.0, -1.0, float("nan")])
def test_rates_that_are_none(calibrated_bundles: dict[str, Path], fpr: float) -> None:
    with pytest.raises(PandaError, match="expected a false-alarm rate above 0 and below 1"):
        panda_edge.load(calibrated_bundles["gaussian"], fpr=fpr)


def test_detect_decides_as_segment_does(calibrated_bundles: dict[str, Path], odd_image: Path) -> None:
    detector = panda_edge.load(calibrated_bundles["gaussian"])
    decision = detector.detect(odd_image).decision
    assert decision is not None
    assert (decision.rule, decision.regions) == ("local", ())
    assert decision.score == detector.segment(odd_image).score


def test_regions_are_in_pixels_of_the_image_also_after_a_crop() -> None:
    scores = {name: np.ones(20) for name in ("embedding", "max", "top1")}
    decider = Decider(Calibration("max", scores), fpr=0.05)
    heatmap = np.zeros((64, 64), np.float32)
    heatmap[16:32, 8:16] = 2.0
    squash = decider.decide(image_scores(0.0, heatmap), heatmap, Preprocessing(64, 64).view((128, 256)))
    assert squash.anomalous
    (region,) = squash.regions
    assert (region.box, region.area) == ((16, 64, 32, 128), 128 * 8)
    # The crop sees the central 64×64 of 128×64 pixels, one to one.
    (region,) = decider.decide(
        image_scores(0.0, heatmap), heatmap, Preprocessing(64, 64, "crop", 1.0).view((128, 64))
    ).regions
    assert region.box == (40, 16, 48, 32)
    assert not decider.decide(image_scores(0.0, heatmap * 0), heatmap * 0, Preprocessing(64, 64).view((64, 64))).regions


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": 0}, "calibration.images is '0', expected a whole number"),
        ({"images": 5}, r"holds float64 \(4, 4\)"),
    ],
)
def test_damaged_calibrations(
    calibrated_bundles: dict[str, Path], tmp_path: Path, change: dict[str, object], said: str
) -> None:
    copy = tmp_path / "copy.panda"
    shutil.copytree(calibrated_bundles["gaussian"], copy)
    bundle = open_bundle(copy)
    assert bundle.manifest.calibration is not None
    bundle.manifest.calibration.update(change)
    with pytest.raises(BundleError, match=said):
        open_calibration(bundle)


def test_an_altered_calibration_file_is_refused(calibrated_bundles: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.panda"
    shutil.copytree(calibrated_bundles["gaussian"], copy)
    stored = (copy / CALIBRATION_FILE).read_bytes()
    (copy / CALIBRATION_FILE).write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(BundleError, match="sha256"):
        panda_edge.load(copy)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_scores_that_cannot_be_are_refused(
    calibrated_bundles: dict[str, Path], with_value: Callable[..., Path], value: float
) -> None:
    """Found by fuzzing: a threshold beyond float32 made numpy warn on stderr, an infinite one is no JSON."""
    copy = with_value(calibrated_bundles["gaussian"], CALIBRATION_FILE, (1, 2), value)
    with pytest.raises(BundleError, match=r"calibration\.npy: holds NaN or what no score can be"):
        panda_edge.load(copy)


def test_segment_gives_the_decision_and_says_what_it_cannot_promise(
    calibrated_bundles: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from panda_edge.commands.app import main

    odd_image = tmp_path / "stripes.png"
    Image.fromarray(np.tile(np.array([0, 255], np.uint8).repeat(4), (64, 8))).save(odd_image)
    command = ["panda-edge", "segment", calibrated_bundles["gaussian"], odd_image, "--out", tmp_path, "--fpr", "0.02"]
    command.append("--json")
    monkeypatch.setattr("sys.argv", list(map(str, command)))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    said = capsys.readouterr()
    line = json.loads(said.out)
    assert line["p_value"] == pytest.approx(1 / 5)
    assert line["anomalous"] is True
    assert {"box", "area", "peak", "peak_at"} <= set(line["regions"][0])
    assert "4 calibration images cannot promise a false-alarm rate of 0.02, only 0.2; 49 are needed" in said.err
