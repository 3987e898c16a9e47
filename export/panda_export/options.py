"""What can be chosen about the banks of a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from panda_edge.errors import PandaError

# --bank → how embeddings are kept (detection), how pyramid features are kept (segmentation).
BANKS = {
    "exact": ("exact", "exact"),
    "kmeans": ("kmeans", "kmeans"),
    "kmeans-levels": ("kmeans", "kmeans-levels"),
    "hnsw": ("hnsw", "exact"),
    "coreset": ("exact", "coreset"),
    "joint-hnsw": ("exact", "hnsw"),
    "gaussian": ("exact", "gaussian"),
}

_GAUSSIAN_AVERAGE = 3


@dataclass(frozen=True)
class BankOptions:
    """bank: a key of BANKS. means: centres of a k-means bank (kmeans-levels: of each level). vectors: descriptors of a
    coreset or joint-hnsw bank. neighbors: similar images that SPADE searches (K), 0 for all. knn: neighbours that the
    image score averages, None for the bank's own (2, or 1 over means). dtype: of the stored pyramid features.
    max_bank_mb: the bank's files take at most so many megabytes (10⁶ bytes). average: side, in stride-8 cells, of the
    square that descriptors are averaged over, odd; None for the bank's own (3 for gaussian, 1 for the others).
    shrinkage: of a gaussian bank's covariances (`gaussian.shrunk`). rank: directions kept of them, None for all (see
    `gaussian.low_rank_factor`). standardise: every channel is divided by its spread over normal images. level_weights:
    of the levels' squared distances, coarse first."""

    bank: str = "exact"
    means: int = 50
    vectors: int = 5000
    neighbors: int = 50
    knn: int | None = None
    dtype: str = "float16"
    max_bank_mb: float | None = None
    average: int | None = None
    shrinkage: float = 1e-3
    rank: int | None = None
    standardise: bool = False
    level_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.bank not in BANKS:
            raise PandaError(f"unknown --bank {self.bank!r}; expected one of {', '.join(BANKS)}")
        if self.average is not None and not (1 <= self.average <= 99 and self.average % 2):
            raise PandaError(f"--average {self.average}: expected an odd number of cells from 1 to 99")

    @property
    def averaged(self) -> int:
        """Stride-8 cells a side that descriptors are averaged over."""
        if self.average is not None:
            return self.average
        return _GAUSSIAN_AVERAGE if self.gallery == "gaussian" else 1

    @property
    def detection_bank(self) -> str:
        return BANKS[self.bank][0]

    @property
    def gallery(self) -> str:
        return BANKS[self.bank][1]
