"""What a bundle finds, and how often it is wrong, at several false-alarm rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from panda_edge.decide.calibration import Calibration
from panda_edge.decide.false_alarms import images_needed
from panda_train.evaluation import metrics
from panda_train.evaluation.scored import ScoredImage

RATES = (0.001, 0.005, 0.01, 0.02, 0.05)


def operating_points(calibration: Calibration, images: Sequence[ScoredImage]) -> list[dict[str, Any]]:
    """A row for each of RATES, ready for JSON.

    asked: the rate; promised: what the calibration can keep, more than was asked for where it has too few images;
    needed: how many it would take. false_alarms, found: images called anomalous of normal_images, anomalous_images;
    fpr, tpr: their shares; fpr_interval, tpr_interval: 95 %, Clopper and Pearson; None without such images.
    """
    normal = [image for image in images if not image.sample.anomalous]
    anomalous = [image for image in images if image.sample.anomalous]
    rows = []
    for asked in RATES:
        alarms, found = (_called(calibration, asked, some) for some in (normal, anomalous))
        rows.append(
            {
                "asked": asked,
                "promised": calibration.promised(asked),
                "calibration_images": calibration.images,
                "needed": images_needed(asked),
                "threshold": calibration.threshold(asked),
                "normal_images": len(normal),
                "false_alarms": alarms,
                "fpr": alarms / len(normal) if normal else None,
                "fpr_interval": metrics.binomial_interval(alarms, len(normal)),
                "anomalous_images": len(anomalous),
                "found": found,
                "tpr": found / len(anomalous) if anomalous else None,
                "tpr_interval": metrics.binomial_interval(found, len(anomalous)),
            }
        )
    return rows


def _called(calibration: Calibration, rate: float, images: Sequence[ScoredImage]) -> int:
    """How many are called anomalous at a rate."""
    return sum(image.p_value is not None and calibration.is_anomalous(image.p_value, rate) for image in images)
