"""How often drift is raised while nothing changes, and how soon after a change: python -m benchmarks.studies.drift

`simulated`: normal scores, calibrations as small as real ones, with and without one part in ten defective; beside them
the simple jumper of Vovk et al. over p-values against the calibration alone. `real`: a bundle (PANDA_BUNDLE, or a
gaussian one fitted here) on good test pictures, which then turn darker, lighter, blurred or move. Rows in
benchmarks/studies/drift/results.json.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge.decide.drift import DriftMartingale
from panda_edge.detector import load
from panda_edge.stream.drift import SourceDrift, Start
from panda_edge.stream.sinks.drift import DEFAULT_ALPHA

ALPHAS = (0.1, DEFAULT_ALPHA)
RUNS, FRAMES = 200, 3000
JUMPER_RUNS, JUMPER_FRAMES = 50, 20_000
ORDERS, BEFORE, AFTER = 200, 300, 2000


def simulated(rows: ResultsFile) -> None:
    """Nothing changes: the share of runs in which 1/alpha is ever reached; and delays after a shift."""
    for calibration in (12, 51, 254):
        for defects in (0.0, 0.1):
            random = np.random.default_rng(calibration)
            highest = []
            for seed in range(RUNS):
                scores = random.lognormal(size=calibration + FRAMES)
                stream = np.where(random.random(FRAMES) < defects, np.inf, scores[calibration:])
                highest.append(most_won(scores[:calibration], stream, seed))
            rows.update(
                f"simulated, {calibration} calibration images, {defects:.0%} defective",
                runs=RUNS,
                frames=FRAMES,
                raised={str(alpha): float(np.mean(np.array(highest) >= 1 / alpha)) for alpha in ALPHAS},
            )
        say(f"simulated: {calibration}")
    for calibration in (12, 51, 254):
        random, raised = np.random.default_rng(calibration), []
        for _ in range(JUMPER_RUNS):
            scores = np.sort(random.normal(size=calibration))
            above = calibration - np.searchsorted(scores, random.normal(size=JUMPER_FRAMES))
            raised.append(simple_jumper((above + random.random(JUMPER_FRAMES)) / (calibration + 1)))
        rows.update(
            f"p-values against {calibration} calibration images alone, simple jumper",
            runs=JUMPER_RUNS,
            frames=JUMPER_FRAMES,
            raised={str(alpha): float(np.mean(np.array(raised) >= math.log(1 / alpha))) for alpha in ALPHAS},
        )
    for before in (100, 1000, 5000):
        for shift in (0.5, 1.0, 3.0, -1.0):
            random, delays = np.random.default_rng(before), []
            for seed in range(20):
                scores = random.normal(size=51 + before + 3000)
                scores[51 + before :] += shift
                delays.append(delay(scores[:51], scores[51:], before, seed))
            rows.update(f"simulated shift by {shift:g} deviations after {before} frames", **summary(delays))


def most_won(scores: np.ndarray, stream: np.ndarray, seed: int) -> float:
    """The highest wealth of a run."""
    martingale, most = DriftMartingale(scores, seed), 1.0
    for score in stream.tolist():
        martingale.add(score)
        most = max(most, martingale.wealth)
    return most


def simple_jumper(p_values: np.ndarray, jump: float = 0.01) -> float:
    """The highest logarithm of wealth of the simple jumper (Vovk et al. 2021, Algorithm 1)."""
    epsilons, shares = np.array([-1.0, 0.0, 1.0]), np.full(3, 1 / 3)
    log_wealth = most = 0.0
    for p_value in p_values.tolist():
        shares = (1 - jump) * shares + jump * shares.sum() / 3
        shares = shares * (1 + epsilons * (p_value - 0.5))
        total = float(shares.sum())
        log_wealth, shares = log_wealth + math.log(total), shares / total
        most = max(most, log_wealth)
    return most


def delay(scores: np.ndarray, stream: np.ndarray, changed_at: int, seed: int) -> tuple[int, int, int] | None:
    """Frames from the change until drift is told, negative where it was told before; where it is said to have begun,
    counted from the change; one frame in how many was counted. None where nothing was told."""
    source = SourceDrift(DriftMartingale(scores, seed))
    for number, score in enumerate(stream.tolist(), 1):
        if source.add(score, Start(0.0, number, ""), 1 / DEFAULT_ALPHA) == "drift":
            assert source.found is not None
            return number - changed_at, source.found.since.number - changed_at - 1, source.every
    return None


def summary(found: list[tuple[int, int, int] | None]) -> dict[str, Any]:
    after = [one for one in found if one is not None and one[0] > 0]
    row: dict[str, Any] = {
        "runs": len(found),
        "told_before": sum(one is not None and one[0] <= 0 for one in found),
        "told": len(after),
    }
    if after:
        delays, begins, _ = np.array(after).T
        row["delay_p10_p50_p90"] = np.percentile(delays, [10, 50, 90]).round().astype(int).tolist()
        row["beginning_off_by_p10_p50_p90"] = np.percentile(begins, [10, 50, 90]).round().astype(int).tolist()
    return row


def moved(pixels: int) -> Callable[[Image.Image], Image.Image]:
    def move(image: Image.Image) -> Image.Image:
        array = np.asarray(image)
        padded = np.pad(array, [(0, 0), (pixels, 0), (0, 0)][: array.ndim], mode="reflect")
        return Image.fromarray(padded[:, : array.shape[1]])

    return move


def lit(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def blurred(radius: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"light × {factor:g}": lit(factor) for factor in (0.98, 0.95, 0.9, 0.8, 0.6, 1.1, 1.3)},
    **{f"blur of {radius:g} pixels": blurred(radius) for radius in (0.5, 1, 2, 4)},
    **{f"moved by {pixels} pixels": moved(pixels) for pixels in (4, 16, 48)},
}


def real(rows: ResultsFile, subject: Subject) -> None:
    """Good test pictures in random order; after some of them, the same ones changed."""
    given = os.environ.get("PANDA_BUNDLE")
    path = Path(given) if given else subject.bundle(["--bank", "gaussian"])
    detector = load(path)
    assert detector.decider is not None
    scores = detector.decider.calibration.normal_scores()
    images = [Image.open(sample.path).convert("RGB") for sample in subject.dataset.test if not sample.anomalous]

    def scored(change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
        results = [detector.segment(change(image)).decision for image in images]
        return np.array([decision.score for decision in results if decision is not None])

    good = scored(lambda image: image)
    random, found, pooled = np.random.default_rng(0), [], []
    everything = np.concatenate([scores, good])
    for seed in range(ORDERS):
        found.append(most_won(scores, random.permutation(good), seed))
        mixed = random.permutation(everything)
        pooled.append(most_won(mixed[: len(scores)], mixed[len(scores) :], seed))
    conditions = {
        "data": subject.name,
        "bundle": path.name,
        "calibration_images": len(scores),
        "good_test_images": len(images),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    for name, values in (("its own calibration", found), ("calibration and test mixed", pooled)):
        raised = {str(alpha): float(np.mean(np.array(values) >= 1 / alpha)) for alpha in ALPHAS}
        rows.update(f"real, good test pictures, {name}", runs=ORDERS, raised=raised, **conditions)
    for name, change in CHANGES.items():
        changed = scored(change)
        rank = np.searchsorted(np.sort(good), changed) / len(good)
        delays = []
        for seed in range(ORDERS):
            stream = np.concatenate([random.choice(good, BEFORE), random.choice(changed, AFTER)])
            delays.append(delay(scores, stream, BEFORE, seed))
        rows.update(f"real, {name}", **summary(delays), mean_rank_among_good=round(float(rank.mean()), 3), **conditions)
        say(f"real: {name}")


def main() -> None:
    rows = ResultsFile("studies/drift/results")
    parts = sys.argv[1:] or ["simulated", "real"]
    if "simulated" in parts:
        simulated(rows)
    if "real" in parts:
        real(rows, open_subject())
    for name in rows.names():
        print(name, rows.get(name))


if __name__ == "__main__":
    main()
