"""What a candidate finds of painted defects, family by family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from panda_edge.decide.calibration import DEFAULT_RULE, RULES, SCORES, Calibration
from panda_edge.decide.local import local_score, local_scores, normal_map
from panda_train.choosing.trial import Seen, Tried
from panda_train.evaluation import metrics
from panda_train.evaluation.pixel_scores import PixelScores

_MANY = 20  # normal pictures that judge


@dataclass(frozen=True)
class Figures:
    """Of one kind of defect against all normal pictures. image: AUROC by score rule. found: share called anomalous at
    the false-alarm rate, by score rule. pixel, pro: of the heat maps, None where no true pixels are known."""

    image: dict[str, float]
    found: dict[str, float]
    pixel: float | None
    pro: float | None

    def plain(self) -> dict[str, Any]:
        def rounded(values: dict[str, float]) -> dict[str, float]:
            return {name: round(value, 4) for name, value in values.items()}

        pixel, pro = (None if value is None else round(value, 4) for value in (self.pixel, self.pro))
        return {"image": rounded(self.image), "found": rounded(self.found), "pixel": pixel, "pro": pro}


def figures(seen: Sequence[Seen], fpr: float) -> dict[str, Figures]:
    """By kind of defect, and `all` for all kinds together."""
    seen = _with_local_scores(seen)
    normal = [one for one in seen if one.kind is None]
    kinds = list(dict.fromkeys(one.kind for one in seen if one.kind is not None))
    calibrated = Calibration("max", {name: np.array([one.raw[name] for one in normal]) for name in SCORES})
    background = _together(normal)
    of_kind = {kind: [one for one in seen if one.kind == kind] for kind in kinds}
    of_kind["all"] = [one for one in seen if one.kind is not None]
    return {kind: _of(some, normal, calibrated, background, fpr) for kind, some in of_kind.items()}


def _with_local_scores(seen: Sequence[Seen]) -> list[Seen]:
    """The same, each with its local score: of a normal picture by the other normal ones."""
    normal = [one.cells for one in seen if one.kind is None]
    usual, own = normal_map([cells.mean for cells in normal]), iter(local_scores(normal))
    found = []
    for one in seen:
        local = next(own) if one.kind is None else local_score(one.cells.largest, usual)
        found.append(replace(one, raw=one.raw | {"local": local}))
    return found


def _of(
    some: Sequence[Seen], normal: Sequence[Seen], calibrated: Calibration, background: PixelScores, fpr: float
) -> Figures:
    image, found = {}, {}
    for rule in RULES:
        good = np.array([calibrated.score(one.raw, rule) for one in normal])
        bad = np.array([calibrated.score(one.raw, rule) for one in some])
        labels = np.repeat([False, True], [len(good), len(bad)])
        image[rule] = metrics.auroc(np.concatenate([good, bad]), labels) or 0.0
        found[rule] = float((bad > calibrated.threshold(fpr, rule)).mean())
    pixels = _together([one for one in some if one.pixels is not None])
    if not pixels.images:
        return Figures(image, found, None, None)
    pixels.merge(background)
    return Figures(image, found, pixels.auroc(), pixels.pro())


def _together(seen: Sequence[Seen]) -> PixelScores:
    whole = PixelScores()
    for one in seen:
        if one.pixels is not None:
            whole.merge(one.pixels)
    return whole


@dataclass(frozen=True)
class Verdict:
    """What a trial comes to; all plain numbers. score: what candidates are compared by, 0 … 1. rule: the image score
    that decides, see `best_rule`. image, pixel, pro: AUROC of the rule, AUROC and PRO of the map, means over the
    families. found: share of the painted defects called anomalous at the false-alarm rate. ms: of a picture on the
    device. vectors: of a coreset bank. lost: see `are_lost`."""

    score: float
    rule: str
    image: float
    found: float
    pixel: float
    pro: float
    ms: float
    megabytes: float
    vectors: int
    lost: bool = False


def best_rule(image: dict[str, float], normal: int, painted: int) -> str:
    """The default score rule; `embedding` where painted defects are lost (`are_lost`)."""
    return "embedding" if are_lost(image, normal, painted) else DEFAULT_RULE


def are_lost(image: dict[str, float], normal: int, painted: int) -> bool:
    """Whether no score rule's AUROC, image, is beyond what chance may give.

    Then normal pictures differ more from one another than from themselves with a defect: they show things, not one
    product, and what is anomalous will be another thing. Few pictures say nothing of the kind. normal, painted:
    pictures that it was measured on.
    """
    by_chance = math.sqrt((normal + painted + 1) / (12 * normal * painted))  # standard deviation of Mann-Whitney
    return normal >= _MANY and max(image.values()) <= 0.5 + 2 * by_chance


def verdict(tried: Tried, fpr: float, slowness: float = 1.0) -> Verdict:
    """slowness: the device's milliseconds over this machine's."""
    by_family = figures(tried.seen, fpr)
    families = [found for kind, found in by_family.items() if kind != "all"]
    image = {rule: float(np.mean([found.image[rule] for found in families])) for rule in RULES}
    normal = sum(one.kind is None for one in tried.seen)
    counts = normal, len(tried.seen) - normal
    rule = best_rule(image, *counts)
    pixel, pro = (float(np.mean([getattr(found, name) or 0.0 for found in families])) for name in ("pixel", "pro"))
    found = float(np.mean([one.found[rule] for one in families]))
    return Verdict(
        (image[DEFAULT_RULE] + pixel) / 2,
        rule,
        image[rule],
        found,
        pixel,
        pro,
        tried.ms * slowness,
        tried.megabytes,
        getattr(tried.bank.kind, "vectors", 0),
        are_lost(image, *counts),
    )
