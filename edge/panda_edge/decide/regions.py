"""Connected anomalous regions of a heat map, without scipy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Region:
    """Anomalous pixels that touch, corners included.

    box: (left, top, right, bottom), right and bottom just outside; area: pixels; peak: the highest heat map value;
    peak_at: its (x, y). All in pixels of the mask that was given.
    """

    box: tuple[int, int, int, int]
    area: int
    peak: float
    peak_at: tuple[int, int]


def label_regions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the 8-connected regions of a mask, bool (H, W), in the order of their first pixel.

    Returns int32 (H, W), 0 where the mask is False, and how many there are.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]  # run i is row rows[i], columns starts[i] … ends[i] - 1
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first_of_row = np.searchsorted(rows, np.arange(height + 1)).tolist()
    start, end = starts.tolist(), ends.tolist()
    for row in range(1, height):
        above, last_above = first_of_row[row - 1], first_of_row[row]
        for run in range(first_of_row[row], first_of_row[row + 1]):
            while above < last_above and end[above] < start[run]:
                above += 1
            touching = above
            while touching < last_above and start[touching] <= end[run]:
                a, b = root(touching), root(run)
                parent[max(a, b)] = min(a, b)
                touching += 1
    roots = np.array([root(run) for run in range(len(rows))], dtype=np.int64)
    numbers = np.searchsorted(np.unique(roots), roots) + 1
    labels = np.zeros((height, width), dtype=np.int32)
    for run, number in enumerate(numbers.tolist()):
        labels[rows[run], start[run] : end[run]] = number
    return labels, int(numbers.max(initial=0))


def find_regions(heatmap: np.ndarray, threshold: float) -> tuple[Region, ...]:
    """The regions of a heat map, float (H, W), above a threshold; highest peak first. NaN pixels belong to none."""
    with np.errstate(invalid="ignore"):
        mask = heatmap > threshold
    if not mask.any():
        return ()
    ys, xs = np.nonzero(mask)
    top, left = ys.min(), xs.min()
    labels, _ = label_regions(mask[top : ys.max() + 1, left : xs.max() + 1])
    numbers = labels[ys - top, xs - left]
    by_region = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[by_region])) + 1
    regions = []
    for region in np.split(by_region, starts):
        y, x = ys[region], xs[region]
        values = heatmap[y, x]
        peak = int(np.argmax(values))
        box = (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
        regions.append(Region(box, len(x), float(values[peak]), (int(x[peak]), int(y[peak]))))
    return tuple(sorted(regions, key=lambda region: -region.peak))
