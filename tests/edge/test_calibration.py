"""The promise of a false-alarm rate, tested over many refits, and the arithmetic of p-values and thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from panda_edge.decide.calibration import RULES, SCORES, Calibration, image_scores
from panda_edge.decide.false_alarms import images_needed
from panda_edge.decide.local import NORMAL_MAP_FILE
from panda_edge.detector import load
from panda_edge.errors import BundleError


def calibration(values: np.ndarray, rule: str = "max") -> Calibration:
    values = np.asarray(values, dtype=np.float64)
    return Calibration(rule, {"embedding": values[::-1].copy(), "max": values, "top1": values / 2})


def test_p_value_counts_the_images_that_score_at_least_as_high() -> None:
    held = calibration(np.arange(9.0))
    assert held.p_value({"embedding": 0, "max": 100.0, "top1": 0}) == pytest.approx(1 / 10)
    assert held.p_value({"embedding": 0, "max": 8.0, "top1": 0}) == pytest.approx(2 / 10), "a tie counts against"
    assert held.p_value({"embedding": 0, "max": -1.0, "top1": 0}) == 1.0
    assert held.p_value({"embedding": 0, "max": 0, "top1": 100.0}, "top1") == pytest.approx(1 / 10)
    assert held.p_value({"embedding": 0, "max": math.nan, "top1": 0}) == pytest.approx(1 / 10)
    assert held.p_value({"embedding": 0, "max": math.inf, "top1": 0}) == pytest.approx(1 / 10)


@pytest.mark.parametrize("images", [1, 8, 99, 250])
@pytest.mark.parametrize("fpr", [0.001, 0.01, 0.05, 0.1, 0.5, 0.95])
def test_threshold_and_p_value_decide_alike(images: int, fpr: float) -> None:
    held = calibration(np.random.default_rng(images).normal(size=images))
    threshold = held.threshold(fpr)
    for score in np.linspace(-4, 4, 101):
        p = held.p_value({"embedding": 0, "max": score, "top1": 0})
        assert held.is_anomalous(p, fpr) == (score > threshold)
    assert held.pixel_threshold(fpr) == threshold


def test_images_needed_and_what_is_promised_below_that() -> None:
    assert [images_needed(fpr) for fpr in (0.5, 0.1, 0.05, 0.01, 0.001)] == [1, 9, 19, 99, 999]
    few = calibration(np.arange(8.0))
    assert few.promised(0.01) == pytest.approx(1 / 9)
    assert few.promised(0.2) == 0.2
    assert few.warning(0.2) is None
    assert "cannot promise a false-alarm rate of 0.01, only 0.111; 99 are needed" in str(few.warning(0.01))
    assert calibration(np.arange(99.0)).warning(0.01) is None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("images", "fpr"), [(99, 0.01), (60, 0.05), (19, 0.1)])
def test_false_alarms_stay_within_their_binomial_bounds_over_refits(rule: str, images: int, fpr: float) -> None:
    """300 refits, 20 new normal images each. Expected is exactly ⌊α(n+1)⌋/(n+1); bounds are 99.9 %, and allow for new
    images of one refit sharing its threshold (beta-binomial). `combined` takes its units from the held-out images."""
    rng, refits, new = np.random.default_rng(5), 300, 20
    alarms = 0
    for _ in range(refits):
        draws = rng.gamma(2.0, 1.0, (images + new, 1)) + rng.normal(size=(images + new, len(SCORES)))  # correlated
        columns = dict(zip(SCORES, draws.T, strict=True))
        held = Calibration(rule, {name: values[:images] for name, values in columns.items()})
        for i in range(images, images + new):
            p = held.p_value({name: values[i] for name, values in columns.items()})
            alarms += held.is_anomalous(p, fpr)
    k = math.floor(fpr * (images + 1) + 1e-9)
    one_refit = stats.betabinom(new, k, images + 1 - k)
    expected, spread = refits * one_refit.mean(), math.sqrt(refits * one_refit.var())
    slack = 0.05 * expected if rule == "combined" else 0.0
    assert abs(alarms - expected) <= 3.3 * spread + slack, f"{alarms / refits / new:.4f} for {fpr}"


def test_combined_is_high_when_either_score_is() -> None:
    rng = np.random.default_rng(0)
    scores = {"embedding": rng.normal(5, 2, 100), "max": rng.normal(1e3, 10, 100), "top1": rng.normal(size=100)}
    held = Calibration("combined", scores)
    usual = held.score({"embedding": 5.0, "max": 1e3, "top1": 0})
    assert abs(usual) < 1
    assert held.score({"embedding": 15.0, "max": 1e3, "top1": 0}) > usual + 2
    assert held.score({"embedding": 5.0, "max": 1050.0, "top1": 0}) > usual + 2


def test_combined_of_images_that_are_all_alike() -> None:
    held = Calibration("combined", {name: np.ones(5) for name in ("embedding", "max", "top1")})
    assert held.p_value({"embedding": 1.0, "max": 1.0, "top1": 1.0}) == 1.0
    assert held.p_value({"embedding": 1.0, "max": 1.1, "top1": 1.0}) == pytest.approx(1 / 6)


def test_image_scores() -> None:
    heatmap = np.zeros((20, 20), np.float32)
    heatmap[3, 4:6] = 8.0, 6.0
    heatmap[0, :2] = 2.0
    assert image_scores(1.5, heatmap) == {"embedding": 1.5, "max": 8.0, "top1": 4.5}  # 1 % of 400 is 4 pixels
    assert image_scores(0.0, heatmap[:3, :3])["top1"] == 2.0
    for rule in RULES:
        held = Calibration(rule, {name: np.arange(5.0) for name in SCORES})
        assert held.score(image_scores(1.5, heatmap, rule, 2.0)) == held.score(image_scores(1.5, heatmap, local=2.0))


@pytest.mark.parametrize("value", [math.nan, -1.0, 1e13])
def test_a_normal_map_of_what_no_distance_can_be(
    calibrated_bundles: dict[str, Path], with_value: Callable[..., Path], value: float
) -> None:
    bundle = with_value(calibrated_bundles["exact"], NORMAL_MAP_FILE, (3, 5), value)
    with pytest.raises(BundleError, match="what no distance can be"):
        load(bundle, threads=1)
