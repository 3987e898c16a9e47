"""Running a bundle over the test images of a data set, through the device's own code, one picture at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import panda_edge
from panda_edge.decide.calibration import Calibration, image_scores
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import DataError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.result import Result
from panda_train.data.folders import Dataset, Sample
from panda_train.data.mask_pixels import read_masks
from panda_train.evaluation.pixel_scores import PixelScores
from panda_train.evaluation.true_regions import TrueRegion, faintest
from panda_train.progress import show

COLUMNS = (
    "input", "kind", "defective", "score", "threshold", "severity", "p_value", "anomalous", "ms", "error",
)  # fmt: skip
"""Of `evaluate --csv`, a line a test picture. kind: its folder; defective: what it is by that; anomalous: what it was
called; the rest as in `detect --csv`."""

COUNTED_ALONE = 20_000  # images whose pixels are kept apart for intervals: 20 kB each
MUCH_LARGER = 4  # times the pixels of the model's input: twice a side


@dataclass(frozen=True)
class ScoredImage:
    """What evaluating keeps of one image. score: the one that decides; raw: others; p_value and anomalous: None without
    calibration. pixels: None where its true pixels are not known. faintest: of its true
    regions, the one that the heat map says least of; None without a mask."""

    sample: Sample
    score: float
    raw: dict[str, float]
    p_value: float | None
    anomalous: bool | None
    ms: float
    pixels: PixelScores | None
    faintest: TrueRegion | None


@dataclass(frozen=True)
class Scored:
    """The images of a data set with what a bundle says of them. problems: see `evaluate`. pixels: by kind, at the
    network's resolution; native: the same at the images' own, where they are counted (see `evaluate`). stray: masks of
    no image. threshold: the highest score that is called normal. calibration: what decides."""

    images: list[ScoredImage]
    problems: list[dict[str, str]]
    pixels: dict[str, PixelScores]
    native: dict[str, PixelScores] | None
    warning: str | None
    promised: float | None
    rule: str | None
    stray: tuple[Path, ...] = ()
    threshold: float | None = None
    calibration: Calibration | None = None

    def rows(self) -> Iterator[tuple[object, ...]]:
        """A row of COLUMNS for each picture, in the order of the data set; what could not be scored comes last."""
        limit = self.threshold
        for image in self.images:
            severity = image.score / limit if limit is not None and limit > 0 else None
            yield (
                str(image.sample.path), image.sample.kind, image.sample.anomalous, image.score, limit, severity,
                image.p_value, image.anomalous, image.ms, None,
            )  # fmt: skip
        for problem in self.problems:
            if "used" not in problem:
                yield (problem["input"], *[None] * (len(COLUMNS) - 2), problem["error"])


def score_images(
    bundle: Path, dataset: Dataset, threads: int | None = None, fpr: float = DEFAULT_FPR, native: bool | None = None
) -> Scored:
    """Run the bundle's detector over the test images, holding one of them at a time. Raises as `evaluate` does."""
    if not dataset.test:
        raise DataError(f"{dataset.root}: no test images; put some under test/good and test/<kind>")
    detector = panda_edge.load(bundle, threads=threads, fpr=fpr)
    images: list[ScoredImage] = []
    problems: list[dict[str, str]] = []
    by_kind: dict[str, PixelScores] = {}
    native_by_kind: dict[str, PixelScores] = {}
    for sample in show(dataset.test, "evaluate", len(dataset.test)):
        try:
            result = detector.segment(sample.path)
        except PandaError as error:
            problems.append({"input": str(sample.path), "error": str(error)})
            continue
        assert result.heatmap is not None  # segment() always makes one
        if native is None:
            native = _much_larger(result.image_size, detector.preprocessing)
        pixels, faint = None, None
        try:
            mask = _true_pixels(sample, result.image_size)
        except DataError as error:
            problems.append({"input": str(sample.path), "error": str(error), "used": "score"})
            mask = None
        if mask is not None:
            where = result.view.roi_mask
            active = None if where is None else where.judged
            pixels = _counted(result.heatmap, detector.preprocessing.apply_mask(mask), active)
            by_kind.setdefault(sample.kind, PixelScores()).merge(pixels)
            if native or sample.anomalous:
                heatmap = on_whole_image(result)
                on_image = _active(result)
                faint = faintest(heatmap, mask if on_image is None else mask & on_image)
                if native:
                    native_by_kind.setdefault(sample.kind, PixelScores()).merge(_counted(heatmap, mask, on_image))
        decision = result.decision
        images.append(
            ScoredImage(
                sample=sample,
                score=result.score,
                raw=image_scores(result.embedding_distance, result.view.compared(result.heatmap)),
                p_value=decision.p_value if decision else None,
                anomalous=decision.anomalous if decision else None,
                ms=result.ms,
                pixels=pixels.coarsened() if pixels is not None and len(images) < COUNTED_ALONE else None,
                faintest=faint,
            )
        )
    if not images:
        first = problems[0]["error"]
        raise DataError(f"{dataset.root}: none of {len(dataset.test)} test images could be scored; {first}")
    decider = detector.decider
    return Scored(
        images=images,
        problems=problems,
        pixels=by_kind,
        native=native_by_kind if native else None,
        warning=decider.warning if decider else None,
        promised=decider.promised if decider else None,
        rule=decider.rule if decider else None,
        stray=dataset.stray,
        threshold=decider.threshold if decider else None,
        calibration=decider.calibration if decider else None,
    )


def on_whole_image(result: Result) -> np.ndarray:
    """The heat map on the image's own pixels: float32 (H, W). What a crop left out was never looked at: -inf, as it
    counts as the most normal."""
    heatmap = result.heatmap_on_image()
    if np.isnan(heatmap.min()):
        heatmap = np.where(np.isfinite(heatmap), heatmap, np.float32(-np.inf))
    return heatmap


def _much_larger(image_size: tuple[int, int], preprocessing: Preprocessing) -> bool:
    """Whether an image has so many more pixels than the model's input that figures at its own size say more."""
    return image_size[0] * image_size[1] > MUCH_LARGER * preprocessing.width * preprocessing.height


def _true_pixels(sample: Sample, image_size: tuple[int, int]) -> np.ndarray | None:
    """bool (H, W) on the image's pixels; None where an anomalous image has no mask."""
    width, height = image_size
    if not sample.anomalous:
        return np.zeros((height, width), dtype=bool)
    if not sample.masks:
        return None
    mask = read_masks(sample.masks)
    if mask.shape != (height, width):
        got = f"{mask.shape[1]}×{mask.shape[0]}"
        raise DataError(f"{sample.masks[0]}: mask of {got} for an image of {width}×{height} pixels")
    return mask


def _active(result: Result) -> np.ndarray | None:
    """Which of the image's own pixels lie in the bundle's roi: bool (H, W); None without one."""
    where, (width, height) = result.view.roi_mask, result.image_size
    return None if where is None else where.on_picture(np.arange(width) + 0.5, np.arange(height) + 0.5, (width, height))


def _counted(heatmap: np.ndarray, mask: np.ndarray, active: np.ndarray | None) -> PixelScores:
    pixels = PixelScores()
    pixels.add(heatmap, mask, active)
    return pixels
