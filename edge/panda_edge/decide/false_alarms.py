"""The rate of false alarms that a decision is asked for, and the normal images that it takes to promise it."""

from __future__ import annotations

import math

DEFAULT_FPR = 0.01


def images_needed(fpr: float) -> int:
    """How many calibration images it takes to promise a false-alarm rate: the least n with 1 / (n + 1) ≤ fpr."""
    return math.ceil(1 / fpr - 1 - 1e-9)
