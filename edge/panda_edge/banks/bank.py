"""What a bank of pyramid features is: each kind is a module of this folder, and `BANKS` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from panda_edge.banks.centres import NO_CENTRES, Centres
from panda_edge.banks.embeddings import EmbeddingKind, image_embeddings
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Level, Manifest
from panda_edge.bundle.model import Features
from panda_edge.errors import PandaError
from panda_edge.process_group import ALONE, ProcessGroup


@dataclass(frozen=True)
class SearchOptions:
    """threads: of one search. epsilon: distances may be up to (1 + epsilon) times the true ones; 0 is exact."""

    threads: int
    epsilon: float = 0.0


class Gallery(Protocol):
    """An opened bank."""

    needs_neighbors: bool
    """Whether `Query.neighbors` must name the normal images that are similar."""

    def search(self, query: Query) -> Found:
        """The distance of each cell's joint descriptor to the nearest stored one.

        Below inactive cells it is 0, in every bank: steps of the map rely on it.
        """


class Writer(Protocol):
    """A bank that is being built, below `bank/`."""

    def add(self, features: Features, numbers: Sequence[int]) -> None:
        """Take in a batch of normal frames. numbers: which frame of its picture each is; 0 of whole pictures."""

    def close(self) -> int:
        """Finish the files; returns how many entries the bank has (frames, or descriptors)."""


@dataclass(frozen=True)
class Layout:
    """What a bank is of.

    Attributes:
        levels: Coarse first.
        dtype: Of what is stored.
        average: Side of the square that descriptors are averaged over, in cells; odd, 1 for none.
        frames: How many a picture has, where all pictures have the same.
        beside: Bytes that the map's steps store of each frame.
    """

    levels: Sequence[Level]
    dtype: str
    average: int = 1
    frames: int = 1
    beside: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the making of a bundle starts, and who makes it.

    Attributes:
        seed: Of every random choice.
        there: A bundle whose bank of the same kind is where the new one starts; None to start from nothing.
        kept: Of its stored frames those that stay, ascending; None for all. Only of banks that store frames.
        extendable: Whether to store what a later start needs, where the bank itself does not hold it.
        group: Those who share the work.
        centres: What makes k-means centres.
    """

    seed: int
    there: Bundle | None = None
    kept: np.ndarray | None = None
    extendable: bool = False
    group: ProcessGroup = ALONE
    centres: Centres = NO_CENTRES


@dataclass(frozen=True)
class Building(Start):
    """What a writer is told.

    Attributes:
        folder: Of the bundle that is being made.
        layout: What the bank is of.
        coming: How many frames will be added, about.
    """

    folder: Path
    layout: Layout
    coming: int


class Room(NamedTuple):
    """most: bytes that a bank may take. images: frames to be stored. embedding: bytes of each one's embedding."""

    most: float
    images: int
    embedding: int


class Averaging(NamedTuple):
    """How the exported graph averages levels. sides: of each level's square in its own cells, odd, coarse first.
    padded: whether what a square has beyond the border counts as zeros, so that the border weighs less."""

    sides: tuple[int, ...]
    padded: bool = False


def check_number(option: str, value: int) -> None:
    """Raise PandaError where a bank cannot keep so many."""
    if value < 1:
        raise PandaError(f"{option} {value}: expected 1 or more")


@dataclass(frozen=True)
class OfDescriptors:
    """What kinds of bank have in common that store joint descriptors, wherever they were seen.

    Attributes:
        vectors: How many, 1 or more.
    """

    by_place: ClassVar[bool] = False
    vectors: int = 5000

    def __post_init__(self) -> None:
        check_number("--vectors", self.vectors)

    def embeddings(self, asked: str, images: int) -> EmbeddingKind:
        """See `Bank`."""
        return image_embeddings(asked, images)


class Traits(NamedTuple):
    """What the builder asks of a kind of bank.

    Attributes:
        dtypes: That it can be stored in.
        own_average: Side of the square that descriptors are averaged over, where nothing else is asked for.
        needs_every_level: Whether its cells depend on how many levels there are, so that none may be left out.
        stores_frames: Whether its entries are the normal frames themselves, which can be searched one by one.
        all_write: Whether it is of every frame, watched or not, and every process of a group writes a share of it.
        keeps_dtype: Whether what is stored has the dtype asked for.
        takes_copies: Whether turned copies of few pictures can make it better.
        pipelined: Whether pictures take less time when the next one's features are made during a search.
        extend_files: What `extend` needs of a bundle; None where pictures cannot be added.
    """

    dtypes: tuple[str, ...] = ("float16", "float32", "uint8")
    own_average: int = 1
    needs_every_level: bool = False
    stores_frames: bool = False
    all_write: bool = False
    keeps_dtype: bool = True
    takes_copies: bool = False
    pipelined: bool = False
    extend_files: tuple[str, ...] | None = None


class Bank(Protocol):
    """A frozen dataclass of what can be chosen about one kind of bank. It checks its own fields, and raises PandaError.

    Attributes:
        name: What the manifest's `segmentation.bank` calls it.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits]

    @property
    def by_place(self) -> bool:
        """Whether every picture must have the same tiles."""

    def embeddings(self, asked: str, images: int) -> EmbeddingKind:
        """How so many images' embeddings are kept. asked: one of `embeddings.CHOICES`. Raises PandaError."""

    def averaging(self, strides: Sequence[int], average: int) -> Averaging:
        """How the graph averages levels of these strides, coarse first."""

    def shrunk(self, layout: Layout, room: Room) -> tuple[Any, int, str]:
        """The largest bank of the kind that fits: the bank, how many entries it keeps, 0 where none fits, and the
        choice in words. Only of a bank that stores frames are the entries images."""

    def writer(self, building: Building) -> Writer:
        """Start to write a bank. Raises PandaError, BundleError."""

    def fields(self, average: int) -> dict[str, Any]:
        """What the manifest's `segmentation` says of this kind alone."""

    @staticmethod
    def files(levels: Sequence[Level]) -> set[str]:
        """Names of all files below `bank/` that this kind may have."""

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        """Raise BundleError where the manifest's fields do not go with this kind."""

    @staticmethod
    def open(bundle: Bundle, options: SearchOptions) -> Gallery:
        """The bank of a bundle. Raises BundleError."""
