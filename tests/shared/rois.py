"""Regions of interest for the tests."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from panda_edge.images.roi import Roi, parse_roi

SIDE = 64
"""Pixels of a picture's side."""

LEFT = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
"""The left half, as polygons in shares of a picture."""


def half(width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """A mask of the left half."""
    mask = np.zeros((height, width), dtype=bool)
    mask[:, : width // 2] = True
    return mask


def of_json(plain: Any) -> Roi:
    return parse_roi(json.dumps(plain).encode(), "roi.json", "roi.json")
