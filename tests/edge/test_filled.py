"""What lies between high places of a heat map is raised to them, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from panda_edge.search.filled import filled


def expected(heatmap: np.ndarray, reach: int, above: float) -> np.ndarray:
    """Value by value, as FORMAT.md says."""
    side = 2 * (reach // 2) + 1
    excess = np.maximum(heatmap - above, 0)
    widened = ndimage.maximum_filter(excess, size=side, mode="constant", cval=-np.inf)
    closed = ndimage.minimum_filter(widened, size=side, mode="constant", cval=np.inf)
    return np.asarray(np.minimum(np.minimum(heatmap, above) + closed, 1.25 * heatmap))


@pytest.mark.parametrize("reach", [1, 2, 5, 8, 48, 300])
@pytest.mark.parametrize("shape", [(40, 56), (1, 9), (17, 1)])
def test_as_the_format_says(shape: tuple[int, int], reach: int) -> None:
    heatmap = np.random.default_rng(reach).gamma(1.0, 1.0, shape).astype(np.float32)
    found = filled(heatmap, reach, 1.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(heatmap, reach, 1.0), rtol=1e-5)


def ring(inside: float) -> np.ndarray:
    heatmap = np.full((60, 60), 1.0, np.float32)
    heatmap[20:40, 20:40] = 5.0
    heatmap[24:36, 24:36] = inside
    return heatmap


def test_a_rim_is_filled_and_two_far_places_stay_two() -> None:
    rim = filled(ring(4.0), 16, 3.0)
    assert (rim[20:40, 20:40] == 5.0).all()
    assert (rim[:18] == 1.0).all()
    assert filled(ring(2.0), 16, 3.0)[30, 30] == 2.5  # by a quarter of itself at most
    np.testing.assert_array_equal(filled(ring(4.0), 8, 3.0), ring(4.0))  # the gap is wider
    np.testing.assert_array_equal(filled(ring(4.0), 16, 6.0), ring(4.0))  # nothing is high


def test_no_value_falls_and_the_order_of_maps_stays() -> None:
    rng = np.random.default_rng(0)
    low = rng.gamma(1.0, 1.0, (50, 50)).astype(np.float32)
    high = low + rng.random(low.shape, dtype=np.float32)
    found, higher = filled(low, 9, 1.5), filled(high, 9, 1.5)
    assert (found >= low).all()
    assert found.max() == low.max()
    assert (found <= higher + 1e-6).all()
