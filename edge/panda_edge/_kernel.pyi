from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def simd_level() -> str: ...
def simd_levels() -> tuple[str, ...]: ...
def force_simd(name: str, /) -> None: ...
def allocations() -> int: ...
def never_destroy(kept: object, /) -> None: ...
def end_without_handlers() -> None: ...
def topk(
    queries: NDArray[np.float32],
    bank: NDArray[Any],
    k: int,
    threads: int,
    distances: NDArray[np.float32],
    indices: NDArray[np.int64],
    /,
) -> None: ...
def k_centre(points: NDArray[Any], start: int, threads: int, indices: NDArray[np.int64], /) -> None: ...
def gaussian_distance(
    x: NDArray[np.float32],
    mean: NDArray[np.float32],
    factors: NDArray[Any],
    rows: int,
    triangular: bool,
    threads: int,
    distances: NDArray[np.float32],
    /,
) -> None: ...
def resample(
    map: NDArray[np.float32],
    row_weights: NDArray[np.float32],
    row_starts: NDArray[np.int64],
    column_weights: NDArray[np.float32],
    column_starts: NDArray[np.int64],
    out: NDArray[np.float32],
    /,
) -> None: ...

class Pyramid:
    def __new__(
        cls,
        gallery: Sequence[NDArray[Any]],
        scales: Sequence[NDArray[np.float32] | None],
        grid_h: int,
        grid_w: int,
        nested: bool,
        /,
    ) -> Pyramid: ...
    def nearest(
        self,
        query: Sequence[NDArray[np.float32]],
        images: NDArray[np.int64] | None,
        cells: NDArray[np.bool_] | None,
        window: int,
        enough: float,
        epsilon: float,
        threads: int,
        distances: NDArray[np.float32],
        indices: NDArray[np.int64],
        /,
    ) -> None: ...

def averages(
    levels: Sequence[NDArray[np.float32]], grid_h: int, grid_w: int, out: Sequence[NDArray[np.float32]], /
) -> None: ...
def gallery_averages(
    gallery: Sequence[NDArray[Any]],
    scales: Sequence[NDArray[np.float32] | None],
    grid_h: int,
    grid_w: int,
    threads: int,
    out: Sequence[NDArray[np.float16]],
    /,
) -> None: ...
def joint_descriptors(
    levels: Sequence[NDArray[np.float32]], grid_h: int, grid_w: int, average: int, out: NDArray[np.float32], /
) -> None: ...
def heatmap_bands(sigma: float, weights: NDArray[np.float32], first: NDArray[np.int64], /) -> int: ...
def project(
    rows: NDArray[np.float32],
    mean: NDArray[np.float32],
    basis: NDArray[np.float32],
    threads: int,
    out: NDArray[np.float32],
    /,
) -> None: ...

class Flat:
    def __new__(cls, bank: NDArray[Any], /) -> Flat: ...
    def nearest(
        self,
        queries: NDArray[np.float32],
        threads: int,
        distances: NDArray[np.float32],
        indices: NDArray[np.int64],
        /,
    ) -> None: ...
