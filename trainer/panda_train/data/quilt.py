"""Large pictures of a texture from a small photograph: image quilting (Efros and Freeman, SIGGRAPH 2001).

Square blocks are laid row by row, each over the edges of those before it, and cut where the two agree best. They come
from places in views of the photograph (`views.py`). A place is used once a picture, and two places of one view are at
least 32 pixels apart, so that no two blocks show more than half of their sides alike.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from panda_train.data.views import Views

BLOCK = 64  # pixels a side: a stone of the gravel, or a tuft of the grass, and what is around it
OVERLAP = 20
SPACING = 32  # between places of one view, in pixels
_STEP = BLOCK - OVERLAP
_CANDIDATES = 24  # places that are compared for a block
_TOLERANCE = 0.1  # section 2: one of those whose error is within a tenth of the least is drawn
_GAIN, _OFFSET = 0.05, 4.0  # largest change of a block's light


def quilt(views: Views, side: int, rng: np.random.Generator) -> np.ndarray:
    """A picture of the views' texture, float32 (side, side) in about 0 … 255. ValueError: it takes more places than
    the views have."""
    rows = -(-(side - OVERLAP) // _STEP)
    canvas = np.zeros([rows * _STEP + OVERLAP] * 2, dtype=np.float32)
    free = rng.permutation(places(views.inside, rng))
    if len(free) < rows * rows + _CANDIDATES * rows:
        raise ValueError(f"{side} pixels a side take {rows * rows} places, the views have {len(free)}")
    span = np.arange(BLOCK)
    # A block needs those to its left, above it and above to the right: all blocks of one wave are laid at once.
    for wave in range(3 * rows - 2):
        row = np.arange(max(0, (wave - rows + 2) // 2), min(rows - 1, wave // 2) + 1)
        column = wave - 2 * row
        count = len(row) * _CANDIDATES
        candidates, free = free[:count].reshape(len(row), _CANDIDATES, 3), free[count:]
        rectangle = (row * _STEP)[:, None, None] + span[:, None], (column * _STEP)[:, None, None] + span
        there = canvas[rectangle]
        error = _disagreement(views, candidates, there, row > 0, column > 0)
        near = error <= error.min(axis=1, keepdims=True) * (1 + _TOLERANCE) ** 2
        chosen = np.zeros(error.shape, dtype=bool)
        chosen[np.arange(len(row)), (rng.random(error.shape) * near).argmax(axis=1)] = True
        free = np.concatenate([free, rng.permutation(candidates[~chosen])])
        block = _cut_out(views, candidates[chosen], span, span)
        block *= rng.uniform(1 - _GAIN, 1 + _GAIN, (len(row), 1, 1)).astype(np.float32)
        block += rng.uniform(-_OFFSET, _OFFSET, (len(row), 1, 1)).astype(np.float32)
        canvas[rectangle] = np.where(_taken(block, there, row > 0, column > 0), block, there)
    return canvas[:side, :side]


def places(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where blocks lie wholly in the photograph: view, top, left, int64 (P, 3). Each view's grid is drawn anew."""
    found = []
    for view, shown in enumerate(inside):
        top, left = rng.integers(0, SPACING, 2)
        whole = sliding_window_view(shown, (BLOCK, BLOCK))[top::SPACING, left::SPACING].all(axis=(2, 3))
        row, column = np.nonzero(whole)
        found.append(np.stack([np.full_like(row, view), row * SPACING + top, column * SPACING + left], axis=1))
    return np.concatenate(found)


def boundary_cut(error: np.ndarray) -> np.ndarray:
    """The minimum-error boundary cut (section 2.1) from the first to the last row of overlaps, error (N, L, O).

    Returns bool (N, L, O): what lies on the cut or right of it.
    """
    count, length, width = error.shape
    cost = np.full((count, length, width + 2), np.inf, dtype=np.float32)
    cost[:, :, 1:-1] = error
    for i in range(1, length):
        before = cost[:, i - 1]
        cost[:, i, 1:-1] += np.minimum(np.minimum(before[:, :-2], before[:, 1:-1]), before[:, 2:])
    number = np.arange(count)
    path = np.empty((count, length), dtype=np.int64)
    path[:, -1] = cost[:, -1].argmin(axis=1)
    for i in range(length - 2, -1, -1):
        below = path[:, i + 1]
        around = np.stack([cost[number, i, below + shift] for shift in (-1, 0, 1)], axis=1)
        path[:, i] = below + around.argmin(axis=1) - 1
    return np.asarray(np.arange(width) >= path[:, :, None] - 1)  # the cost has a column more on either side


def _disagreement(
    views: Views, candidates: np.ndarray, there: np.ndarray, above: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """Mean squared difference over every other row and column of the overlaps: (N, C) for candidates (N, C, 3)."""
    error = np.zeros(candidates.shape[:2], dtype=np.float32)
    long, short = np.arange(0, BLOCK, 2), np.arange(0, OVERLAP, 2)
    for laid, rows, columns in ((above, short, long), (left, long, short)):
        block = _cut_out(views, candidates[laid], rows, columns)
        error[laid] += ((block - there[laid][:, None, rows[:, None], columns]) ** 2).mean(axis=(2, 3))
    return error


def _taken(block: np.ndarray, there: np.ndarray, above: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Which pixels of the blocks (N, BLOCK, BLOCK) are laid over those that are there."""
    taken = np.ones(block.shape, dtype=bool)
    error = (block - there) ** 2
    taken[left, :, :OVERLAP] = boundary_cut(error[left, :, :OVERLAP])
    upright = error[above, :OVERLAP].transpose(0, 2, 1)
    taken[above, :OVERLAP] &= boundary_cut(upright).transpose(0, 2, 1)
    return taken


def _cut_out(views: Views, where: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pixels of the blocks at places (..., 3): float32 (..., rows, columns)."""
    view, top, left = (where[..., None, None, i] for i in range(3))
    return np.asarray(views.images[view, top + rows[:, None], left + columns], dtype=np.float32)
