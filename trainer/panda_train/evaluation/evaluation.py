"""How well a bundle tells the anomalous images and pixels of a data set. Scores come through the device's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.printable import printable
from panda_train.data.folders import Dataset
from panda_train.evaluation import metrics
from panda_train.evaluation.operating_points import operating_points
from panda_train.evaluation.pixel_scores import PixelScores, pixel_intervals
from panda_train.evaluation.scored import Scored, ScoredImage, score_images

# The image scores that are judged, by the name that the report gives them.
SCORES = {
    "image_auroc": "score",
    "image_auroc_embedding": "embedding",
    "image_auroc_map": "max",
    "image_auroc_top1": "top1",
}


def evaluate(
    bundle: Path, dataset: Dataset, threads: int | None = None, fpr: float = DEFAULT_FPR, native: bool | None = None
) -> dict[str, Any]:
    """Score all test images of a data set; the figures are ready for JSON, None where they are not defined.

    image_auroc, image_ap, image_f1: of the score that decides. image_auroc_embedding, image_auroc_map,
    image_auroc_top1: of the embedding's distance, the heat map's maximum, and the mean of its highest 1 %.
    pixel_auroc, pixel_ap, pro: at the network's input resolution, over the images whose true pixels are known: normal
    ones, and anomalous ones with a mask. native: the same at the
    images' own resolution; None for whether the first image has more than four times the input's pixels. intervals:
    95 %, by bootstrap over images. at_threshold: what the decision at `fpr` gives, operating_points: what
    it gives at other rates (see `operating_points`), None without calibration. kinds:
    figures of each kind of anomaly against all normal images. images: how many were scored. problems: [{"input",
    "error"}] of images left out, or (`"used": "score"`) of images whose mask was. without_mask, without_image: names of
    anomalous images of which no mask was found, and of masks of no image.
    Raises DataError with nothing to test, BundleError where the bundle cannot be read.
    """
    return figures(score_images(bundle, dataset, threads, fpr, native), fpr)


def figures(scored: Scored, fpr: float = DEFAULT_FPR) -> dict[str, Any]:
    """The figures that `evaluate` gives, of images already scored."""
    normal = [image for image in scored.images if not image.sample.anomalous]
    anomalous = [image for image in scored.images if image.sample.anomalous]
    kinds = list(dict.fromkeys(image.sample.kind for image in anomalous))
    of_kind = {kind: [image for image in anomalous if image.sample.kind == kind] for kind in kinds}
    best = metrics.best_f1(*_labelled(normal, anomalous, "score"))
    report = {
        **_figures(normal, anomalous, scored.pixels),
        "normal_images": len(normal),
        "image_f1": best.f1 if best else None,
        "image_f1_threshold": best.threshold if best else None,
        "at_threshold": _at_threshold(scored, fpr),
        "operating_points": None if scored.calibration is None else operating_points(scored.calibration, scored.images),
        "intervals": _intervals(normal, anomalous),
        "kinds": {kind: _figures(normal, some, scored.pixels) for kind, some in of_kind.items()},
        "problems": scored.problems,
        "without_mask": [str(image.sample.path) for image in anomalous if not image.sample.masks],
        "without_image": [str(mask) for mask in scored.stray],
    }
    for kind, some in of_kind.items():
        report["kinds"][kind]["tpr"] = _share(some)
    if scored.native is not None:
        whole = _merged(scored.native, list(scored.native))
        report["native"] = {"pixel_auroc": whole.auroc(), "pixel_ap": whole.average_precision(), "pro": whole.pro()}
    return report


def in_words(report: dict[str, Any]) -> str:
    """A report of `evaluate` as lines for a terminal."""
    columns = ("image_auroc", "pixel_auroc", "pro")
    width = max(len(name) for name in ("all kinds", *report["kinds"]))
    lines = [f"{'':{width}}  " + "  ".join(f"{name:>15}" for name in ("images", *columns))]
    for name, row in {"all kinds": report, **report["kinds"]}.items():
        cells = [f"{row['images']:>15}", *(f"{_in_figures(row[column]):>15}" for column in columns)]
        lines.append(f"{printable(name):{width}}  " + "  ".join(cells))
    spans = report["intervals"]
    cells = [f"{'95 %':>15}", *(f"{_in_figures(spans[column]):>15}" for column in columns)]
    lines.append(f"{'':{width}}  " + "  ".join(cells))
    own = report.get("native")
    if own and own["pixel_auroc"] is not None:  # with masks
        lines.append(
            f"at the images' own size: pixel AUROC {_in_figures(own['pixel_auroc'])}, "
            f"AP {_in_figures(own['pixel_ap'])}, PRO {_in_figures(own['pro'])}"
        )
    lines.append(f"best image F1: {_in_figures(report['image_f1'])}")
    if decided := report["at_threshold"]:
        lines.append(
            f"at --fpr {decided['asked']:g} (promised {decided['promised']:.3g}): "
            f"{decided['false_alarms']} false alarms in {decided['normal_images']} normal images, "
            f"{_in_figures(decided['tpr'])} of the anomalous found"
        )
        if decided["warning"]:
            lines.append(f"warning: {decided['warning']}")
    if report["without_mask"] or report["without_image"]:
        lines.append(
            f"{_counted(report['without_mask'], 'anomalous image')} without a mask, "
            f"{_counted(report['without_image'], 'mask')} without an image (--json names them)"
        )
    for problem in report["problems"]:
        what = "mask left out" if problem.get("used") == "score" else "left out"
        lines.append(f"{what}: {printable(problem['error'])}")
    return "\n".join(lines)


def _counted(names: list[str], what: str) -> str:
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'}"


def _in_figures(value: float | tuple[float, float] | None) -> str:
    if isinstance(value, tuple):
        return f"{value[0]:.3f}-{value[1]:.3f}"
    return "-" if value is None else f"{value:.3f}"


def _merged(by_kind: dict[str, PixelScores], kinds: list[str]) -> PixelScores:
    whole = PixelScores()
    for kind in kinds:
        if kind in by_kind:
            whole.merge(by_kind[kind])
    return whole


def _figures(
    normal: list[ScoredImage], anomalous: list[ScoredImage], by_kind: dict[str, PixelScores]
) -> dict[str, Any]:
    pixels = _merged(by_kind, list(dict.fromkeys(image.sample.kind for image in (*normal, *anomalous))))
    return {
        **{name: metrics.auroc(*_labelled(normal, anomalous, score)) for name, score in SCORES.items()},
        "image_ap": metrics.average_precision(*_labelled(normal, anomalous, "score")),
        "pixel_auroc": pixels.auroc(),
        "pixel_ap": pixels.average_precision(),
        "pro": pixels.pro(),
        "images": len(normal) + len(anomalous),
    }


def _intervals(normal: list[ScoredImage], anomalous: list[ScoredImage]) -> dict[str, Any]:
    """95 % intervals of the overall figures, (low, high) or None."""
    of_images = {
        name: metrics.bootstrap_interval(metrics.auroc, *_labelled(normal, anomalous, score))
        for name, score in SCORES.items()
    }
    alone = [image.pixels for image in (*normal, *anomalous) if image.pixels is not None]
    return {**of_images, **pixel_intervals(alone)}


def _at_threshold(scored: Scored, fpr: float) -> dict[str, Any] | None:
    """What the calibrated decision gives on these images."""
    if scored.promised is None:
        return None
    normal = [image for image in scored.images if not image.sample.anomalous]
    anomalous = [image for image in scored.images if image.sample.anomalous]
    alarms, found = sum(bool(image.anomalous) for image in normal), sum(bool(image.anomalous) for image in anomalous)
    return {
        "rule": scored.rule,
        "asked": fpr,
        "promised": scored.promised,
        "warning": scored.warning,
        "normal_images": len(normal),
        "false_alarms": alarms,
        "fpr": _share(normal),
        "fpr_interval": metrics.binomial_interval(alarms, len(normal)),
        "tpr": _share(anomalous),
        "tpr_interval": metrics.binomial_interval(found, len(anomalous)),
        "precision": found / (found + alarms) if found + alarms else None,
    }


def _share(images: list[ScoredImage]) -> float | None:
    """Of images called anomalous; None without images or without calibration."""
    if not images or images[0].anomalous is None:
        return None
    return sum(bool(image.anomalous) for image in images) / len(images)


def _labelled(normal: list[ScoredImage], anomalous: list[ScoredImage], score: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 (N,) and labels bool (N,), True for anomalous."""
    every = (*normal, *anomalous)
    values = np.array([image.score if score == "score" else image.raw[score] for image in every])
    return values, np.repeat([False, True], [len(normal), len(anomalous)])
