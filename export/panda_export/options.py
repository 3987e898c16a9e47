"""What can be chosen about the banks of a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from panda_edge.builder.steps import check_recipes, default_recipes
from panda_edge.builder.steps.recipe import Recipe
from panda_edge.bundle import manifest
from panda_edge.decide.calibration import DEFAULT_RULE
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

# --dtype: of the stored levels.
DTYPES = ("float16", "float32", "uint8")

# --compare: which normal tiles a tile is compared with; auto lets normal pictures decide (`compare.py`).
COMPARE = ("auto", *manifest.COMPARE)

# --embeddings: how image embeddings are searched where the bank keeps them all.
EMBEDDINGS = ("auto", "exact", "hnsw")
# auto: a graph from so many images on. Medians of one query on two threads, exact search of float32 (float16) against
# hnswlib (`benchmarks/speed/results/scaling.json`: 2 neighbours, ef 64, recall 1.0): 3,000 images 0.71 (0.58) ms,
# hnswlib 0.58; 10,000 images 3.46 (2.58), hnswlib 0.67. With the 50 neighbours and ef 200 of a bundle, on a busy
# machine, 10,000 images 10.3 (6.9), hnswlib 1.8, recall 1.0.
HNSW_FROM = 10_000

_NEIGHBORS, _TILE_NEIGHBORS, _TILE_AVERAGE = 50, 20, 3
_TILE_WEIGHTS = (1.0, 1.0, 0.0)  # what the finest level adds on boards is within .002, and costs half of the search
_OWN_AVERAGE = {"gaussian": 3, "coreset": 3}  # banks on the cells of the second-finest level


@dataclass(frozen=True)
class BankOptions:
    """What is kept of the normal images.

    bank: a key of BANKS. means: centres of a k-means bank (kmeans-levels: of each level). vectors: descriptors of a
    coreset or joint-hnsw bank. neighbors: similar images that SPADE searches (K), 0 for all, None for 50, or 20 of
    tiles. knn: neighbours that the image score averages, None for the bank's own (2, or 1 over means). dtype: of the
    stored pyramid features. max_bank_mb: the bank's files take at most so many megabytes (10⁶ bytes).
    average: side of the square that descriptors are averaged over, odd, in stride-8 cells (of a coreset: in cells of
    each level); None for the bank's own (3 for gaussian, coreset and exact banks of tiles, else 1).
    shrinkage: of a gaussian bank's covariances (`gaussian.shrunk`). rank: directions kept of them, None for all (see
    `gaussian.low_rank_factor`). standardise: each channel is divided by its spread over normal images.
    level_weights: of the levels' squared distances, coarse first; None for 1 each, or 1, 1, 0 of exact banks of tiles.
    embeddings: one of EMBEDDINGS. compare: one of COMPARE, for tiles. window: of an exact gallery, how many cells of
    the coarsest level away from its own place a position is compared; None for everywhere.
    steps: of an exact gallery, what is asked of the heat map's steps, in order (`panda_edge.builder.steps`); None for
    the default. Without any, the map is SPADE's, as in the paper.
    """

    bank: str = "exact"
    means: int = 50
    vectors: int = 5000
    neighbors: int | None = None
    knn: int | None = None
    dtype: str = "float16"
    max_bank_mb: float | None = None
    average: int | None = None
    shrinkage: float = 1e-3
    rank: int | None = None
    standardise: bool = False
    level_weights: tuple[float, ...] | None = None
    embeddings: str = "auto"
    compare: str = "auto"
    window: int | None = None
    steps: tuple[Recipe, ...] | None = None

    def __post_init__(self) -> None:
        if self.bank not in BANKS:
            raise PandaError(f"unknown --bank {self.bank!r}; expected one of {', '.join(BANKS)}")
        if self.embeddings not in EMBEDDINGS:
            raise PandaError(f"unknown --embeddings {self.embeddings!r}; expected one of {', '.join(EMBEDDINGS)}")
        if self.compare not in COMPARE:
            raise PandaError(f"unknown --compare {self.compare!r}; expected one of {', '.join(COMPARE)}")
        if self.compare in ("near", "place") and (self.gallery != "exact" or self.embeddings == "hnsw"):
            raise PandaError(f"--compare {self.compare}: needs --bank exact, got {self.bank}; leave one of them out")
        if self.dtype not in DTYPES:
            raise PandaError(f"unknown --dtype {self.dtype!r}; expected one of {', '.join(DTYPES)}")
        if self.dtype == "uint8" and self.gallery in ("coreset", "gaussian", "hnsw"):
            raise PandaError(f"--dtype uint8: a {self.bank} bank keeps no levels; choose float16 or float32")
        if self.window is not None and not (self.gallery == "exact" and 0 <= self.window <= manifest.MAX_WINDOW):
            raise PandaError(
                f"--window {self.window}: expected 0 to {manifest.MAX_WINDOW} cells, with --bank exact or hnsw"
            )
        check_recipes(self.steps or (), self.gallery, tiled=False)
        own = BANKS[self.bank][0]
        if own != "exact" and self.embeddings not in ("auto", own):
            raise PandaError(f"--embeddings {self.embeddings}: a {self.bank} bank keeps {own}; leave one of them out")
        if self.average is not None and not (1 <= self.average <= 99 and self.average % 2):
            raise PandaError(f"--average {self.average}: expected an odd number of cells from 1 to 99")

    def resolved(self, tiled: bool) -> BankOptions:
        """With what was left to the bank: docs/decisions/0005-views-and-tiles.md says how tiles' were measured."""
        neighbors = (_TILE_NEIGHBORS if tiled else _NEIGHBORS) if self.neighbors is None else self.neighbors
        steps = default_recipes(self.gallery, tiled) if self.steps is None else self.steps
        check_recipes(steps, self.gallery, tiled)
        found = dataclasses.replace(self, neighbors=neighbors, steps=steps)
        if self.gallery != "exact":
            return found
        if not tiled:
            return found
        average = _TILE_AVERAGE if self.average is None else self.average
        weights = _TILE_WEIGHTS if self.level_weights is None else self.level_weights
        return dataclasses.replace(found, average=average, level_weights=weights)

    def kept_levels(self, count: int) -> int:
        """How many of so many levels a bundle has: the finest ones of weight 0 would only cost. The cells of gaussian
        and coreset banks are those of the second-finest level, so that they keep all."""
        every = self.level_weights is None or self.gallery in _OWN_AVERAGE
        weights = [1.0] * count if every or self.level_weights is None else self.level_weights
        return max((n for n, weight in enumerate(weights, 1) if weight > 0), default=count)

    @property
    def averaged(self) -> int:
        """Cells a side that descriptors are averaged over: of a coreset, of each level's own; else of stride 8."""
        return _OWN_AVERAGE.get(self.gallery, 1) if self.average is None else self.average

    def detection_bank(self, images: int) -> str:
        """How so many images' embeddings are kept."""
        own = BANKS[self.bank][0]
        if own != "exact" or self.embeddings == "exact" or self.compare in ("near", "place"):
            return own
        return "hnsw" if self.embeddings == "hnsw" or images >= HNSW_FROM else "exact"

    @property
    def by_place(self) -> bool:
        """Whether every picture must have the same tiles."""
        return self.gallery == "gaussian" or self.compare in ("near", "place")

    @property
    def gallery(self) -> str:
        return BANKS[self.bank][1]


@dataclass(frozen=True)
class ExportOptions:
    """method: its `name` and parameters, for the manifest. bank: what is kept of the normal images.

    rule: the image score that decides. leave_one_out: where no images are held out, calibrate with images of the bank,
    each scored without itself; only an exact bank can, and only features that were not adapted to those images keep the
    promise. device: that computes features, `cpu` or `cuda`. precision: `float32`, or `int8` where that is faster on
    this machine. extendable: keep what `panda-edge extend` needs: a gaussian bank's sums, the images held out. augment:
    which turned copies of the images go into the bank (`augment.py`).
    """

    method: Mapping[str, Any]
    bank: BankOptions = field(default_factory=BankOptions)
    rule: str = DEFAULT_RULE
    leave_one_out: bool = False
    seed: int = 0
    device: str = "cpu"
    precision: str = "float32"
    extendable: bool = False
    augment: str = "none"
