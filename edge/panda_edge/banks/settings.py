"""What `fit` is asked to keep of the normal images, and how the recipe in a manifest says it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from panda_edge.banks import BANKS
from panda_edge.banks.bank import Bank, Layout, Room
from panda_edge.banks.embeddings import EmbeddingKind, check_choice
from panda_edge.banks.exact import Exact
from panda_edge.banks.joint_hnsw import JointHnsw
from panda_edge.bundle.fields import Reader, choice, flag, number, optional, rows, table, text, whole
from panda_edge.bundle.manifest import Level
from panda_edge.errors import BundleError, PandaError

_NEIGHBORS, _TILE_NEIGHBORS, _TILE_AVERAGE = 50, 20, 3
_TILE_WEIGHTS = (1.0, 1.0, 0.0)  # what the finest level adds on boards is within .002, and costs half of the search

# --bank → the kind of bank, and how it must search embeddings.
CHOICES: dict[str, tuple[type[Bank], str]] = {
    **{name: (bank, "auto") for name, bank in BANKS.items() if bank is not JointHnsw},
    "hnsw": (Exact, "hnsw"),
    "joint-hnsw": (JointHnsw, "auto"),
}


@dataclass(frozen=True)
class BankSettings:
    """A kind of bank, and what all kinds have in common.

    Attributes:
        kind: The kind, with its own fields.
        neighbors: Similar images that an exact bank searches (K), 0 for all; None for 50, or 20 of tiles.
        knn: Neighbours that the image score averages; None for the bank's own (2, or 1 over means).
        embeddings: How image embeddings are searched: one of `embeddings.CHOICES`.
        dtype: Of what is stored.
        average: Side of the square that descriptors are averaged over, odd, in stride-8 cells (of a coreset: in cells
            of each level); None for the bank's own (3 of gaussian, coreset and exact banks of tiles, else 1).
        standardise: Whether each channel is divided by its spread over normal images.
        level_weights: Of the levels' squared distances, coarse first; None for 1 each, or 1, 1, 0 of exact banks of
            tiles.
        max_bank_mb: Megabytes (10⁶ bytes) that the bank's files may take; None for no limit.
    """

    kind: Bank = field(default_factory=Exact)
    neighbors: int | None = None
    knn: int | None = None
    embeddings: str = "auto"
    dtype: str = "float16"
    average: int | None = None
    standardise: bool = False
    level_weights: tuple[float, ...] | None = None
    max_bank_mb: float | None = None

    def __post_init__(self) -> None:
        check_choice(self.embeddings)
        self.embeddings_of(0)  # raises where they do not go together
        known = sorted({dtype for bank in BANKS.values() for dtype in bank.traits.dtypes})
        if self.dtype not in known:
            raise PandaError(f"unknown --dtype {self.dtype!r}; expected one of {', '.join(known)}")
        if self.dtype not in self.kind.traits.dtypes:
            usable = " or ".join(self.kind.traits.dtypes)
            raise PandaError(f"--dtype {self.dtype}: a {self.title} bank keeps no levels; choose {usable}")
        if self.average is not None and not (1 <= self.average <= 99 and self.average % 2):
            raise PandaError(f"--average {self.average}: expected an odd number of cells from 1 to 99")

    @property
    def title(self) -> str:
        """As --bank calls it."""
        return next(name for name, (kind, _) in CHOICES.items() if kind is type(self.kind))

    def resolved(self, tiled: bool, levels: int = len(_TILE_WEIGHTS)) -> BankSettings:
        """With what was left to the bank: measured on boards for tiles, the weights on networks of three levels."""
        neighbors = (_TILE_NEIGHBORS if tiled else _NEIGHBORS) if self.neighbors is None else self.neighbors
        average, weights = self.average, self.level_weights
        if tiled and self.kind.traits.stores_frames:
            average = _TILE_AVERAGE if average is None else average
            weights = _TILE_WEIGHTS if weights is None and levels == len(_TILE_WEIGHTS) else weights
        found = dataclasses.replace(self, neighbors=neighbors, average=average, level_weights=weights)
        return dataclasses.replace(found, average=found.averaged)

    @property
    def averaged(self) -> int:
        """`average`, or the bank's own."""
        return self.kind.traits.own_average if self.average is None else self.average

    def embeddings_of(self, images: int) -> EmbeddingKind:
        """How so many images' embeddings are kept."""
        return self.kind.embeddings(self.embeddings, images)

    def kept_levels(self, count: int) -> int:
        """How many of so many levels a bundle has: the finest ones of weight 0 would only cost."""
        if self.level_weights is None or self.kind.traits.needs_every_level:
            return count
        return max((n for n, weight in enumerate(self.level_weights, 1) if weight > 0), default=count)

    def layout(self, levels: tuple[Level, ...], frames: int = 1, beside: int = 0) -> Layout:
        """Of a bank of these settings."""
        return Layout(levels, self.dtype, self.averaged, frames, beside)

    def shrunk(self, layout: Layout, images: int, embedding_size: int, what: str = "images") -> Shrunk:
        """The largest bank of the kind that takes at most `max_bank_mb`.

        Args:
            layout: What the bank is of.
            images: Frames to be kept, tiles counted one by one.
            embedding_size: D.
            what: What those frames are called.

        Raises:
            PandaError: Not even the smallest would fit.
        """
        if self.max_bank_mb is None:
            return Shrunk(self.kind, images, "")
        embedding = self.embeddings_of(images).entry_bytes(embedding_size)
        room = Room(self.max_bank_mb * 1e6, images, embedding)
        kind, kept, said = self.kind.shrunk(layout, room)
        if kept < 1:
            raise PandaError(f"--max-bank-mb {self.max_bank_mb:g}: too small for any {self.title} bank; give more")
        stored = kind.traits.stores_frames
        said = f"{said} normal {what}" if stored else said
        return Shrunk(kind, kept if stored else images, said)

    def plain(self) -> dict[str, Any]:
        """As a manifest's recipe has it."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "kind"}
        own = dataclasses.asdict(self.kind)  # type: ignore[call-overload]
        return {"kind": self.kind.name, **own, **fields, "level_weights": self.level_weights and [*self.level_weights]}


@dataclass(frozen=True)
class Shrunk:
    """kind: with the field that gave way. images: frames that are kept. said: the choice in words, '' without a
    limit."""

    kind: Bank
    images: int
    said: str


def bank_settings(bank: str, **options: Any) -> BankSettings:
    """What `--bank` names, with options of its kind or of all. Raises PandaError: unknown, or not an option of it."""
    if bank not in CHOICES:
        raise PandaError(f"unknown --bank {bank!r}; expected one of {', '.join(CHOICES)}")
    kind, embeddings = CHOICES[bank]
    if embeddings != "auto":
        if options.get("embeddings", "auto") not in ("auto", embeddings):
            asked = options["embeddings"]
            raise PandaError(f"--embeddings {asked}: a {bank} bank keeps {embeddings}; leave one of them out")
        options["embeddings"] = embeddings
    own = {name: options.pop(name) for name in own_options(bank) if name in options}
    common = {f.name for f in dataclasses.fields(BankSettings)} - {"kind"}
    if unread := options.keys() - common:
        raise PandaError(f"{min(unread)} is not an option of a {bank} bank; leave one of them out")
    return BankSettings(kind(**own), **options)


def own_options(bank: str) -> tuple[str, ...]:
    """Names of the options that only such a bank reads; none of a bank that there is not."""
    return tuple(f.name for f in _own_fields(CHOICES[bank][0])) if bank in CHOICES else ()


def _own_fields(kind: type[Bank]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(kind)  # type: ignore[arg-type]


def read_settings(plain: Mapping[str, Any], where: str) -> BankSettings:
    """What `BankSettings.plain` wrote. Raises BundleError."""
    kind = BANKS[choice(*BANKS)(plain.get("kind"), f"{where}: kind")]
    own = {f.name: _like(f.default)(plain.get(f.name), f"{where}: {f.name}") for f in _own_fields(kind)}
    try:
        return _common_fields(lambda **common: BankSettings(kind(**own), **common))(plain, where)
    except (PandaError, TypeError) as error:
        raise BundleError(f"{where}: {error}; fit the bundle again") from error


def _common_fields(make: Callable[..., BankSettings]) -> Reader[BankSettings]:
    return table(
        make,
        neighbors=optional(whole(0)),
        knn=optional(whole()),
        embeddings=text(),
        dtype=text(),
        average=optional(whole(1, 99)),
        standardise=optional(flag(), False),
        level_weights=optional(rows(number(0, 1e6))),
        max_bank_mb=optional(number(0, 1e9)),
    )


def _like(default: Any) -> Reader[Any]:
    """A reader of what an option of a kind may hold, by its default; the kind checks the range."""
    if isinstance(default, str):
        return text()
    return number(0, 1e9) if isinstance(default, float) else optional(whole(0))
