"""Means over classes with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half of its 95 % interval by Student's t; NaN of one value."""
    found = np.array(values)
    if len(found) < 2:
        return float(found.mean()), float("nan")
    return float(found.mean()), float(stats.t.ppf(0.975, len(found) - 1) * stats.sem(found))


def difference(values: Mapping[str, float], others: Mapping[str, float], digits: int = 1) -> str:
    """Mean of the differences of the classes that both have, ± half of its interval."""
    common = [values[name] - others[name] for name in values if name in others]
    if not common:
        return "–"
    mean, half = mean_and_half(common)
    return f"{mean:+.{digits}f} ± {half:.{digits}f}"
