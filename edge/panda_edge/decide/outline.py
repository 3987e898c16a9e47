"""The outlines of a heat map's regions, as polygons, without scipy."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from panda_edge.decide.regions import label_regions

Point = tuple[int, int]

# Of a pixel at (0, 0): the neighbour beyond each side, and that side as a step with the pixel on its right hand.
_SIDES = (((0, -1), (0, 0), (1, 0)), ((1, 0), (1, 0), (0, 1)), ((0, 1), (1, 1), (-1, 0)), ((-1, 0), (0, 1), (0, -1)))


def outlines(heatmap: np.ndarray, threshold: float) -> list[list[Point]]:
    """The outer outline of each region of a heat map, float (H, W), above a threshold, in the order of `find_regions`.

    A polygon's corners (x, y) lie on the corners of pixels, clockwise, so that it holds just the region's pixels and
    those of its holes. NaN pixels belong to no region.
    """
    with np.errstate(invalid="ignore"):
        labels, count = label_regions(heatmap > threshold)
    found = []
    for number in range(1, count + 1):
        ys, xs = np.nonzero(labels == number)
        found.append((float(heatmap[ys, xs].max()), _outer(xs, ys)))
    return [polygon for _, polygon in sorted(found, key=lambda pair: -pair[0])]


def _outer(xs: np.ndarray, ys: np.ndarray) -> list[Point]:
    """The outline of pixels that touch, corners included, from the first pixel's upper left corner."""
    pixels = set(zip(xs.tolist(), ys.tolist(), strict=True))
    steps: dict[Point, list[Point]] = defaultdict(list)  # from a corner: the ways to go on
    for x, y in pixels:
        for (across, down), (begin_x, begin_y), step in _SIDES:
            if (x + across, y + down) not in pixels:
                steps[x + begin_x, y + begin_y].append(step)
    start = here = (int(xs[0]), int(ys[0]))
    heading: Point | None = None
    corners = []
    while heading is None or here != start:
        ways = steps[here]
        # Where two pixels touch by a corner there are two ways; the left turn keeps both in one outline.
        left = ways[0] if heading is None else (heading[1], -heading[0])
        way = left if left in ways else ways[0]
        if way != heading:
            corners.append(here)
        ways.remove(way)
        here, heading = (here[0] + way[0], here[1] + way[1]), way
    return corners
