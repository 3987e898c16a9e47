"""The rate of false alarms that a decision is asked for, and the normal images that it takes to promise it."""

from __future__ import annotations

import math

DEFAULT_FPR = 0.01
_LEAST = 1e-12  # a rate below it needs as many as this one: more than there are


def images_needed(fpr: float) -> int:
    """How many calibration images it takes to promise a false-alarm rate: the least n with 1 / (n + 1) ≤ fpr."""
    return math.ceil(1 / max(fpr, _LEAST) - 1 - 1e-9)
