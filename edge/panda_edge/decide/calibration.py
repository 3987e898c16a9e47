"""From raw scores to p-values and decisions, by the scores of normal images that are not in the bank.

Split conformal prediction (Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, §4.2; Laxhammar
and Falkman, 2010): of n held-out normal images and one new normal image, all drawn alike, each is as likely as any
other to have the highest score. So P(p-value ≤ α) ≤ α for every α, whatever the distribution of the scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import SCORE_RULES
from panda_edge.decide.false_alarms import images_needed
from panda_edge.errors import BundleError

CALIBRATION_FILE = "calibration.npy"
SCORES = ("embedding", "max", "top1", "local")  # rows of CALIBRATION_FILE
RULES = SCORE_RULES
MAP_RULES = ("local", "max", "top1")  # of the heat map alone, so that they can leave out what lies outside a roi
DEFAULT_RULE = "local"
TILES_RULE = "top1"  # of pictures in tiles, if nothing is asked for
UNCALIBRATED_RULE = "max"  # where no normal pictures say what is usual

_LARGEST = float(np.finfo(np.float32).max)  # of a score; a heat map is float32, and JSON has no infinity
_TOP_SHARE = 0.01  # of the pixels, that `top1` averages


def image_scores(
    embedding_score: float, heatmap: np.ndarray | None, rule: str | None = None, local: float | None = None
) -> dict[str, float]:
    """The raw image scores that a rule may be of: the embedding's, the map's maximum, the mean of its top 1 %, and the
    local one where it is given.

    heatmap: the values that are looked at (`View.compared`), of any shape; None gives the embedding's alone. rule:
    leave out `top1`, which takes most of the time, where this rule does not need it; None for all. local: as of
    `panda_edge.decide.local`.
    """
    scores = {"embedding": float(embedding_score)} | ({} if local is None else {"local": local})
    if heatmap is None:
        return scores
    scores["max"] = float(heatmap.max())
    if rule in (None, "top1"):
        pixels = heatmap.ravel()
        top = max(1, round(_TOP_SHARE * pixels.size))
        scores["top1"] = float(np.partition(pixels, pixels.size - top)[-top:].mean())
    return scores


@dataclass(frozen=True)
class Calibration:
    """Raw scores of held-out normal images.

    rule: which image score decides (RULES). scores: of each of SCORES, float64 (n,), one image an index.
    """

    rule: str
    scores: dict[str, np.ndarray]

    def normal_scores(self, rule: str | None = None) -> np.ndarray:
        """The held-out images' scores that a rule decides by, float64 (n,)."""
        return self._of_rule(self.scores, rule or self.rule)

    @property
    def images(self) -> int:
        """n, the held-out normal images."""
        return len(self.scores["max"])

    def score(self, raw: dict[str, float], rule: str | None = None) -> float:
        """The score that the rule decides by, of an image's raw scores (`image_scores`).

        `combined` adds the embedding's and the map's maximum, each less its median and over its spread (interquartile
        range) among the held-out images.
        """
        rule = rule or self.rule
        return float(self._of_rule({name: np.array([value]) for name, value in raw.items()}, rule)[0])

    def p_value(self, raw: dict[str, float], rule: str | None = None) -> float:
        """The share of normal images that score at least as high, 1 / (n + 1) to 1; a NaN score gives 1 / (n + 1)."""
        rule = rule or self.rule
        score = self.score(raw, rule)
        below = self.images if math.isnan(score) else int(np.count_nonzero(self._of_rule(self.scores, rule) < score))
        return (1 + self.images - below) / (self.images + 1)

    def promised(self, fpr: float) -> float:
        """The false-alarm rate that is kept when `fpr` is asked for: fpr itself, or 1 / (n + 1) where that is more."""
        return max(fpr, 1 / (self.images + 1))

    def is_anomalous(self, p_value: float, fpr: float) -> bool:
        """The decision: at most a share `promised(fpr)` of normal images is called anomalous."""
        return p_value <= self.promised(fpr) * (1 + 1e-9)

    def threshold(self, fpr: float, rule: str | None = None) -> float:
        """The highest score that is still called normal at `fpr`."""
        scores = np.sort(self._of_rule(self.scores, rule or self.rule))
        rank = math.ceil((self.images + 1) * (1 - self.promised(fpr)) - 1e-9)  # 1 … n
        return float(scores[min(max(rank, 1), self.images) - 1])

    def pixel_threshold(self, fpr: float) -> float:
        """Heat map values above this are anomalous pixels.

        Family-wise: at most a share `promised(fpr)` of normal images has even one such pixel, since an image has one
        exactly when its maximum is above.
        """
        return self.threshold(fpr, "max")

    def warning(self, fpr: float) -> str | None:
        """What cannot be promised, in one line; None where `fpr` can."""
        needed = images_needed(fpr)
        if self.images >= needed:
            return None
        return (
            f"{self.images} calibration images cannot promise a false-alarm rate of {fpr:g}, only "
            f"{self.promised(fpr):.3g}; {needed} are needed (give more normal images, or a larger --fpr)"
        )

    def _of_rule(self, scores: dict[str, np.ndarray], rule: str) -> np.ndarray:
        if rule != "combined":
            return scores[rule]
        total = np.zeros(len(scores["max"]))
        for name in ("embedding", "max"):
            middle, spread = self._scales[name]
            total += (scores[name] - middle) / spread
        return total

    @cached_property
    def _scales(self) -> dict[str, tuple[float, float]]:
        """Median of the held-out images' scores, and spread."""
        scales = {}
        for name in ("embedding", "max"):
            low, middle, high = np.quantile(self.scores[name], [0.25, 0.5, 0.75])
            scales[name] = (float(middle), float(max(high - low, 1e-12 * max(abs(middle), 1.0))))
        return scales


def promise_in_words(images: int | None, fpr: float) -> str:
    """What a calibration by so many images promises, and how many more it takes to promise `fpr`; None for none."""
    needed = images_needed(fpr)
    if images is None:
        return (
            f"no decisions, only scores: {needed} normal pictures promise {100 * fpr:g} % false alarms, 19 promise 5 %"
        )
    promised = f"{images} calibration pictures promise at most {100 / (images + 1):.2g} % false alarms"
    return promised if images >= needed else f"{promised}; {needed - images} more are needed for {100 * fpr:g} %"


def open_calibration(bundle: Bundle) -> Calibration | None:
    """The calibration in a bundle, None where it was made without held-out images. Raises BundleError."""
    facts = bundle.manifest.calibration
    if facts is None:
        return None
    path = bundle.path
    images = facts.get("images")
    if not isinstance(images, int) or isinstance(images, bool) or images < 1:
        raise BundleError(f"{path}: calibration.images is {str(images)[:60]!r}, expected a whole number from 1")
    bundle.checked_file(CALIBRATION_FILE)
    stored = np.array(bundle.array(CALIBRATION_FILE, (len(SCORES), images), "float64"))
    if not (np.abs(stored) <= _LARGEST).all():
        raise BundleError(f"{path / CALIBRATION_FILE}: holds NaN or what no score can be; export the bundle again")
    return Calibration(bundle.manifest.decision.score, dict(zip(SCORES, stored, strict=True)))
