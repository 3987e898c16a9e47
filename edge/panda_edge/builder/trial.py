"""What a bundle would become: pictures that should not join it, and figures before and after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panda_edge.builder.progress import Progress, silent
from panda_edge.detector import load
from panda_edge.errors import PandaError


@dataclass(frozen=True)
class Unlike:
    """A picture that is too far from the normal ones. severity: its score over the bundle's threshold."""

    path: Path
    severity: float


def unlike(
    bundle: Path,
    pictures: Sequence[Path],
    most_severity: float,
    require_signature: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> list[Unlike]:
    """The pictures whose severity is above `most_severity`, worst first.

    One of them in the bank would raise the threshold of all: a picture that is called normal calibrates. None are found
    with a bundle that is not calibrated. A picture that cannot be read is passed over. Raises PandaError, BundleError.
    """
    detector = load(bundle, require_signature=require_signature)
    if detector.decider is None:
        return []
    found = []
    for path in progress(pictures, "comparing", len(pictures)):
        try:
            severity = detector.segment(path).severity
        except PandaError:  # `extend_bundle` names it
            continue
        if severity is not None and not severity <= most_severity:
            found.append(Unlike(path, severity))
    return sorted(found, key=lambda one: -one.severity)


def figures(bundle: Path, fpr: float) -> dict[str, Any]:
    """threshold: the highest score that is normal at a false-alarm rate, and promised: the rate that is kept; null
    without calibration. bytes: of the bundle. Raises PandaError, BundleError."""
    detector = load(bundle, fpr=fpr)
    decider = detector.decider
    return {
        "threshold": None if decider is None else decider.threshold,
        "promised": None if decider is None else decider.promised,
        "calibration_images": 0 if decider is None else decider.calibration.images,
        "bytes": sum(entry.bytes for entry in detector.bundle.manifest.files.values()),
    }
