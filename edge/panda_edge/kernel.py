"""The C kernels on numpy arrays: exact search over banks and pyramids, and the heat map's upsampling and blur.

Distances are squared L2 throughout; a NaN distance counts as +inf and equal distances resolve to the lowest index.
Wrong shapes and dtypes raise ValueError and TypeError. The instruction set is chosen once, at the first call;
the environment variable ``PANDA_SIMD`` (scalar, avx2, avx512 or neon) overrides the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import panda_edge._kernel as _kernel
from panda_edge.errors import PandaError

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
Rows = NDArray[Any] | tuple[NDArray[np.uint8], Float32]
"""A stored level: float16 or float32, or bytes with the offset and scale of each row, as `quantise_rows` gives them."""


def simd_levels() -> tuple[str, ...]:
    """The instruction-set levels that this build and this CPU have, slowest first."""
    return _kernel.simd_levels()


def simd_level() -> str:
    """The level in use. Raises PandaError when ``PANDA_SIMD`` names one that this CPU lacks."""
    try:
        return _kernel.simd_level()
    except ValueError as error:
        import os

        raise PandaError(
            f"PANDA_SIMD={os.environ.get('PANDA_SIMD')}: this CPU has {', '.join(simd_levels())}; "
            "choose one of these or unset it"
        ) from error


def _rows(array: ArrayLike) -> Float32:
    return np.ascontiguousarray(array, dtype=np.float32)


def topk(queries: ArrayLike, bank: NDArray[Any], k: int, threads: int = 1) -> tuple[Float32, Int64]:
    """The k nearest bank rows of every query, by exact search.

    Args:
        queries: (Q, D), converted to float32.
        bank: (N, D) float32 or float16, C-contiguous; a read-only memory map is read in place.
        k: neighbours wanted, at least 1; with k > N there are N columns.

    Returns:
        Squared distances (Q, k) float32, ascending, and row numbers (Q, k) int64.
    """
    queries = _rows(queries)
    k = min(k, len(bank))
    shape = (len(queries), max(k, 0))
    distances, indices = np.empty(shape, np.float32), np.empty(shape, np.int64)
    _kernel.topk(queries, bank, k, threads, distances, indices)
    return distances, indices


def project(rows: ArrayLike, mean: ArrayLike, basis: ArrayLike, threads: int = 1) -> Float32:
    """(rows - mean) @ basis: rows (N, D), mean (D,), basis (D, P) → float32 (N, P).

    By the kernels' own threads: those of numpy's matrix library would spin on the cores that the model needs next.
    """
    rows, basis = _rows(rows), _rows(basis)
    out = np.empty((len(rows), basis.shape[-1]), np.float32)
    _kernel.project(rows, _rows(mean), basis, threads, out)
    return out


class FlatSearch:
    """Exact search for the nearest row of a large flat bank, without looking at every row.

    Fast where rows near to each other in memory are near in space and the first columns vary most; exact in any case.

    Args:
        bank: (N, D) float32 or float16, C-contiguous; a read-only memory map is read in place.
        threads: threads of one search. Several callers may search at once, each in memory of its own.
    """

    def __init__(self, bank: NDArray[Any], threads: int = 1) -> None:
        self._flat = _kernel.Flat(bank)
        self._threads = threads

    def nearest(self, queries: ArrayLike) -> tuple[Float32, Int64]:
        """The nearest row of every query.

        Args:
            queries: (Q, D), converted to float32; those that follow each other are best alike.

        Returns:
            Squared distances (Q,) float32 and row numbers (Q,) int64.
        """
        queries = _rows(queries)
        distances, indices = np.empty(len(queries), np.float32), np.empty(len(queries), np.int64)
        self._flat.nearest(queries, self._threads, distances, indices)
        return distances, indices


def k_centre(points: NDArray[Any], count: int, start: int = 0, threads: int = 1) -> Int64:
    """Greedy k-centre coreset: each further point is the one farthest from those taken before it.

    Args:
        points: (N, D) float32 or float16, C-contiguous, finite; a memory map is read in place.
        count: points to take, 1 to N.
        start: row number of the first one.

    Returns:
        Row numbers (count,) int64 in the order taken, all different; ties go to the lowest.
    """
    indices = np.empty(max(count, 0), np.int64)
    _kernel.k_centre(points, start, threads, indices)
    return indices


_PANEL = 16  # rows of a whitening factor that lie side by side in memory (PANDA_PANEL)


def pack_factors(factors: ArrayLike, triangular: bool, dtype: np.dtype[Any] | type = np.float16) -> NDArray[Any]:
    """Whitening factors in the order that `gaussian_distance` reads.

    Panels of 16 rows, each stored column by column; the last is filled up with zero rows. Of a lower triangular
    factor, a panel keeps the columns up to its own last row.

    Args:
        factors: (P, R, D), W with WᵀW = Σ⁻¹; lower triangular and R = D where `triangular` (the inverse of the
            Cholesky factor of Σ).
        dtype: float16 or float32.

    Returns:
        (P, S) of that dtype: S = 16·⌈R/16⌉·D, about half of it where triangular.
    """
    factors = np.asarray(factors)
    positions, rows, d = factors.shape
    if triangular and rows != d:
        raise ValueError(f"factors: got {rows} rows and {d} columns, expected a square where triangular")
    panels = []
    for first in range(0, rows, _PANEL):
        width = min(first + _PANEL, d) if triangular else d
        panel = np.zeros((positions, width, _PANEL), dtype)
        part = factors[:, first : first + _PANEL, :width]
        panel[:, :, : part.shape[1]] = part.transpose(0, 2, 1)
        panels.append(panel.reshape(positions, -1))
    return np.concatenate(panels, axis=1)


def gaussian_distance(
    x: ArrayLike, mean: ArrayLike, packed: NDArray[Any], rows: int, triangular: bool, threads: int = 1
) -> Float32:
    """Squared Mahalanobis distance of every position's descriptor to that position's Gaussian.

    Args:
        x: (P, D).
        mean: (P, D).
        packed: (P, S) float16 or float32 from `pack_factors`; a memory map is read in place.
        rows: R of the factors packed.
        triangular: as they were packed.

    Returns:
        |W_p (x_p - mean_p)|², (P,) float32.
    """
    x = _rows(x)
    distances = np.empty(len(x), np.float32)
    _kernel.gaussian_distance(x, _rows(mean), packed, rows, triangular, threads, distances)
    return distances


def joint_descriptors(levels: Sequence[ArrayLike], grid: tuple[int, int], average: int = 1) -> Float32:
    """The levels joined on the grid of the second-finest one, finer cells averaged and coarser ones repeated; then each
    descriptor averaged over a square of cells.

    Args:
        levels: coarse first, each (cells, C) in nested order.
        grid: (height, width) of the coarsest level.
        average: side of the square, odd; at the border, the cells that are there.

    Returns:
        (cells, all channels) float32, row by row.
    """
    rows = [_rows(level) for level in levels]
    cells = grid[0] * grid[1] << 2 * max(len(rows) - 2, 0)
    out = np.empty((cells, sum(level.shape[1] for level in rows)), np.float32)
    _kernel.joint_descriptors(rows, *grid, average, out)
    return out


_AVERAGE_LEVELS = 2


def averages(levels: Sequence[ArrayLike], grid: tuple[int, int]) -> list[Float32]:
    """A frame's averages for context: each value averaged over 3 × 3 cells of its own level, zeros beyond the border;
    levels finer than the second-coarsest averaged over its cells, behind its own channels.

    Args:
        levels: coarse first, each (cells, C) in nested order.
        grid: (height, width) of the coarsest level.

    Returns:
        At most two levels, float32 (cells, C) in nested order.
    """
    rows = [_rows(level) for level in levels]
    out = [np.empty(shape, np.float32) for shape in average_shapes([level.shape for level in rows])]
    _kernel.averages(rows, *grid, out)
    return out


def gallery_averages(
    gallery: Sequence[Rows], grid: tuple[int, int], out: Sequence[NDArray[np.float16]], threads: int = 1
) -> None:
    """The same of all frames of a gallery: levels as of `PyramidSearch`, each (N, cells, C), into `out`, float16
    (N, cells, C) of `average_shapes`."""
    rows = [level[0] if isinstance(level, tuple) else level for level in gallery]
    scales = [level[1] if isinstance(level, tuple) else None for level in gallery]
    _kernel.gallery_averages(rows, scales, *grid, threads, list(out))


def average_shapes(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    """(cells, channels) of each level of averages, from those of all levels."""
    last = min(len(shapes), _AVERAGE_LEVELS) - 1
    joint = sum(shape[1] for shape in shapes[last:])
    return [*((cells, channels) for cells, channels in shapes[:last]), (shapes[last][0], joint)]


def quantise_rows(array: ArrayLike) -> tuple[NDArray[np.uint8], Float32]:
    """Rows in 8 bits each value: what a row holds is the float32 nearest to offset + scale * byte.

    The error is at most half of the row's scale, which is a 255th of its range. A row that is not finite gets NaN for
    its scale, so that it is at +inf from everything.

    Args:
        array: (..., C), the last axis being a row.

    Returns:
        Bytes (..., C) uint8, and each row's offset and scale (..., 2) float32.
    """
    rows = _rows(array)
    low = rows.min(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        scale = (rows.max(axis=-1, keepdims=True) - low) / np.float32(255)
        finite = np.isfinite(scale)
        steps = np.divide(rows - low, scale, out=np.zeros_like(rows), where=finite & (scale > 0))
    scales = np.concatenate([np.where(finite, low, 0), np.where(finite, scale, np.nan)], axis=-1)
    return np.clip(np.rint(steps), 0, 255).astype(np.uint8), scales.astype(np.float32)


_EVERYWHERE = -1  # PANDA_EVERYWHERE
_WIDEST = 65535  # cells a side of the largest grid


class _GridSearch:
    """Nearest joint descriptor of every finest position of a query pyramid."""

    def __init__(self, gallery: Sequence[Rows], grid: tuple[int, int], nested: bool, threads: int) -> None:
        rows = [level[0] if isinstance(level, tuple) else level for level in gallery]
        scales = [level[1] if isinstance(level, tuple) else None for level in gallery]
        self._pyramid = _kernel.Pyramid(rows, scales, grid[0], grid[1], nested)
        self._threads = threads
        fineness = 2 ** (len(gallery) - 1)
        self._shape = (grid[0] * fineness, grid[1] * fineness)

    def _nearest(
        self,
        query: Sequence[ArrayLike],
        images: ArrayLike | None,
        epsilon: float,
        cells: NDArray[np.bool_] | None,
        window: int | None,
        enough: float,
    ) -> tuple[Float32, Int64]:
        if window is not None and window < 0:
            raise ValueError(f"window: got {window}, expected 0 or more cells, or None for everywhere")
        reach = _EVERYWHERE if window is None else min(window, _WIDEST)
        levels = [_rows(level) for level in query]
        chosen = None if images is None else np.ascontiguousarray(images, dtype=np.int64)
        wanted = None if cells is None else np.ascontiguousarray(cells)
        distances, indices = np.empty(self._shape, np.float32), np.empty(self._shape, np.int64)
        self._pyramid.nearest(levels, chosen, wanted, reach, enough, epsilon, self._threads, distances, indices)
        return distances, indices


class PyramidSearch(_GridSearch):
    """Exact SPADE correspondence search (Cohen & Hoshen; PANDA, Reiss et al. 2021, section 4.2) over a gallery.

    The descriptor of a position joins its features of every level, coarser ones repeated over the cells they cover.
    The search prunes by the coarser levels' share of the distance, which loses nothing.

    Args:
        gallery: levels, coarse first, each (N, cells, C) float16 or float32, C-contiguous, in nested order
            (ARCHITECTURE.md), or a pair of uint8 (N, cells, C) and the rows' offsets and scales, float32 (N, cells, 2)
            (`quantise_rows`); memory maps are read in place. 1 to 4 levels, each with 4 times the cells of the last.
        grid: (height, width) of the coarsest level.
        threads: threads of one search. Several callers may search at once, each in memory of its own.
    """

    def __init__(self, gallery: Sequence[Rows], grid: tuple[int, int], threads: int = 1) -> None:
        super().__init__(gallery, grid, True, threads)

    def nearest(
        self,
        query: Sequence[ArrayLike],
        images: ArrayLike | None = None,
        epsilon: float = 0.0,
        cells: NDArray[np.bool_] | None = None,
        window: int | None = None,
        enough: float = 0.0,
    ) -> tuple[Float32, Int64]:
        """The nearest gallery position of every position of the finest grid (H, W).

        Args:
            query: levels, coarse first, each (cells, C) in nested order.
            images: gallery images to compare with, (K,) integers, repeats allowed; None means all.
            epsilon: the root of a reported distance may exceed the true one by a factor of 1 + epsilon.
            cells: bool, of the coarsest grid: where False, nothing is searched. None means everywhere.
            window: R >= 0: a position is compared only with gallery positions whose coarsest cell lies at most R rows
                and R columns from its own coarsest cell; exact within that set. None means with all.
            enough: a position that has found a squared distance below this may stop at it, nearest or not.

        Returns:
            Squared distances (H, W) float32, and positions (H, W) int64: image * H * W + row * W + column. 0 and -1
            where `cells` is False.
        """
        return self._nearest(query, images, epsilon, cells, window, enough)


class MeanSearch(_GridSearch):
    """Exact search over M joint descriptors: k-means means (section 4.3.3) or a coreset.

    Args:
        means: the descriptors' parts, coarse first, each (M, C) float16 or float32, C-contiguous, or a pair of uint8
            (M, C) and float32 (M, 2) (`quantise_rows`); memory maps are read in place.
        grid: (height, width) of the coarsest level.
        threads: threads of one search. Several callers may search at once, each in memory of its own.
    """

    def __init__(self, means: Sequence[Rows], grid: tuple[int, int], threads: int = 1) -> None:
        super().__init__(means, grid, False, threads)

    def nearest(self, query: Sequence[ArrayLike], cells: NDArray[np.bool_] | None = None) -> tuple[Float32, Int64]:
        """The nearest descriptor of every position of the finest grid (H, W).

        Args:
            query: levels, coarse first, each (cells, C) in nested order.
            cells: bool, of the coarsest grid: where False, nothing is searched. None means everywhere.

        Returns:
            Squared distances (H, W) float32 and descriptor numbers (H, W) int64; 0 and -1 where `cells` is False.
        """
        return self._nearest(query, None, 0.0, cells, None, 0.0)


def nearest_mean(
    query: Sequence[ArrayLike], means: Sequence[Rows], grid: tuple[int, int], threads: int = 1
) -> tuple[Float32, Int64]:
    """`MeanSearch` for one query."""
    return MeanSearch(means, grid, threads).nearest(query)


@lru_cache(maxsize=16)
def _heatmap_bands(length: int, out_length: int, sigma: float) -> tuple[Float32, Int64]:
    """Bilinear upsampling, then Gaussian blur, of one axis as one banded matrix: weights (out, taps), starts (out,)."""
    room, first = np.empty((out_length, length), np.float32), np.empty(out_length, np.int64)
    taps = _kernel.heatmap_bands(sigma, room, first)
    return room.ravel()[: out_length * taps].reshape(out_length, taps).copy(), first


def render_heatmap(distances: ArrayLike, out_height: int, out_width: int, sigma: float) -> Float32:
    """Bilinear upsampling (half-pixel centres) followed by a Gaussian blur (reflected borders, cut at 4 sigma).

    Args:
        distances: (h, w).
        sigma: standard deviation in output pixels; 0 for no blur.

    Returns:
        (out_height, out_width) float32.
    """
    distances = _rows(distances)
    if distances.ndim != 2 or distances.size == 0:
        raise ValueError(f"distances: got shape {distances.shape}, expected (height, width)")
    if out_height < 1 or out_width < 1 or not 0 <= sigma < 1e4:
        raise ValueError(
            f"got a {out_height} x {out_width} output and sigma {sigma}, expected >= 1 and 0 <= sigma < 1e4"
        )
    out = np.empty((out_height, out_width), np.float32)
    rows = _heatmap_bands(distances.shape[0], out_height, float(sigma))
    columns = _heatmap_bands(distances.shape[1], out_width, float(sigma))
    _kernel.resample(distances, *rows, *columns, out)
    return out
