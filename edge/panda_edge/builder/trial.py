"""What a bundle would become: pictures that should not join it, and figures before and after."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panda_edge.builder.progress import Progress, silent
from panda_edge.builder.spread import evenly_spread
from panda_edge.decide.decision import Decision
from panda_edge.decide.joining import Joining, joining
from panda_edge.detector import Detector
from panda_edge.errors import PandaError

_TIMED = 20  # pictures that say how long one takes


@dataclass(frozen=True)
class Candidate:
    """A picture that is to join, and what the calibration says of it; None without calibration."""

    path: Path
    joining: Joining | None


def candidates(detector: Detector, pictures: Sequence[Path], progress: Progress = silent) -> list[Candidate]:
    """Each picture that can be read, the one with the highest score first.

    One of them in the bank raises the threshold of all: a picture that is called normal calibrates.
    """
    found = []
    for path in progress(pictures, "comparing", len(pictures)):
        try:
            decision = detector.segment(path).decision
        except PandaError:  # `extend_bundle` names it
            continue
        known = None if decision is None or detector.decider is None else joining(detector.decider, decision.score)
        found.append(Candidate(path, known))
    return sorted(found, key=lambda one: -one.joining.severity if one.joining else 0.0)


def compared(
    detectors: Sequence[Detector], pictures: Mapping[str, Sequence[Path]], progress: Progress = silent
) -> list[dict[str, Any]]:
    """Figures of bundles, ready for JSON.

    pictures: by kind: `new`, `normal`, `defects`, `kept`; those that cannot be read are passed over. Each figure:

    threshold: the highest score that is normal; promised: the false-alarm rate that is kept; null without calibration.
    calibration_images, train_images, bytes: of the bundle. ms: the median of what a picture takes, all bundles in
    turns. judged, alarms: by kind, how many of the pictures were judged, and are anomalous. finds_all: the least
    false-alarm rate at which every one of the `defects` is found; null without any.
    """
    decisions: list[dict[str, list[Decision]]] = [{kind: [] for kind in pictures} for _ in detectors]
    every = [(kind, path) for kind, paths in pictures.items() for path in paths]
    timed = set(evenly_spread(len(every), _TIMED).tolist())
    times: list[list[float]] = [[] for _ in detectors]
    for number, (kind, path) in enumerate(progress(every, "judging", len(every))):
        for detector, found, took in zip(detectors, decisions, times, strict=True):
            try:
                result = detector.segment(path)
            except PandaError:
                continue
            if result.decision is not None:
                found[kind].append(result.decision)
            if number in timed:
                took.append(result.ms)
    return [_figures(*one) for one in zip(detectors, decisions, times, strict=True)]


def _figures(detector: Detector, decisions: Mapping[str, Sequence[Decision]], times: Sequence[float]) -> dict[str, Any]:
    decider, manifest = detector.decider, detector.bundle.manifest
    defects = decisions.get("defects", ())
    return {
        "threshold": None if decider is None else decider.threshold,
        "promised": None if decider is None else decider.promised,
        "calibration_images": 0 if decider is None else decider.calibration.images,
        "train_images": manifest.recipe.train_images,
        "bytes": detector.bundle.total_bytes(),
        "ms": round(statistics.median(times), 1) if times else None,
        "judged": {kind: len(found) for kind, found in decisions.items()},
        "alarms": {kind: sum(one.anomalous for one in found) for kind, found in decisions.items()},
        "finds_all": max((one.p_value for one in defects), default=None),
    }
