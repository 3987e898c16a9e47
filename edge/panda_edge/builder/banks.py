"""Pictures → features, once, and from them the banks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from panda_edge.banks import traits_of
from panda_edge.banks.bank import Building, Start
from panda_edge.banks.embeddings import Asked
from panda_edge.banks.exact import keep_images, representative_images
from panda_edge.banks.settings import Shrunk
from panda_edge.builder.build import Build
from panda_edge.builder.features import SeenFrame, features_of
from panda_edge.builder.pictures import every_frame, none_readable
from panda_edge.builder.stored import read_places, read_sizes, stored_embeddings, write_sizes
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Detection, Segmentation
from panda_edge.bundle.model import Features
from panda_edge.errors import PandaError
from panda_edge.images.view import View
from panda_edge.search.candidates import PLACES_FILE
from panda_edge.search.steps import STEPS

SIGMA = 4.0  # input pixels (SPADE)


@dataclass(frozen=True)
class Banks:
    """pictures: how many there are banks of, copies not counted. numbers: of those of the build → in the bank, where
    they can be left out when they are scored; None for those whose frames are not stored. said: what a limit of
    megabytes left of the bank."""

    pictures: int
    detection: Detection
    segmentation: Segmentation
    numbers: dict[int, int | None]
    said: str


def write_banks(build: Build) -> Banks:
    """Write the banks of the build's pictures, and of those that were there. Raises PandaError, DataError."""
    settings, pictures, network, group = build.settings, build.pictures, build.network, build.group
    traits = settings.kind.traits
    stored_frames = every_frame if traits.all_write else View.active_frames
    wanted = [number + copy for number in build.numbers for copy in range(pictures.copies)]
    seen = _Seen(pictures.copies) if build.there is None else _Seen.of(build.there, pictures.copies, build.kept)
    coming = pictures.frame_count(wanted, stored_frames)
    beside = sum(
        math.prod(array.shape) * np.dtype(array.dtype).itemsize
        for step in build.steps
        for array in STEPS[step.name].files(network.levels).values()
    )
    layout = settings.layout(network.levels, pictures.preprocessing.frames, beside)
    tiled = pictures.preprocessing.tiles is not None
    what = "tiles" if tiled else "images"
    shrunk = settings.shrunk(layout, seen.frames + coming, network.embedding_size, what)
    start = {field.name: getattr(build, field.name) for field in dataclasses.fields(Start)}
    told = Building(build.staging, layout, coming, **start)
    writer = shrunk.kind.writer(told) if traits.all_write or group.is_rank_zero else None
    found = features_of(pictures, wanted, stored_frames, network.run, group, traits.all_write, build.progress)
    for frames, features in found:
        assert writer is not None
        writer.add(features, [frame.frame for frame in frames])
        seen.add(frames, features)
    if writer is not None and wanted and not seen.numbers:
        raise none_readable(len(wanted))
    stored = 0 if writer is None else writer.close()
    return group.on_rank_zero(lambda: _finished(build, shrunk, stored, seen))


@dataclass
class _Seen:
    """The frames that went into a bank.

    Attributes:
        copies: Of each picture; they have its number.
        first: Number in the bank of the first picture that is new.
        embeddings: Of the frames, in batches.
        numbers: Of pictures of the build → in the bank.
        sizes: Of each picture, by its number in the bank.
        places: Of each frame its picture's number in the bank, row and column.
    """

    copies: int
    first: int = 0
    embeddings: list[np.ndarray] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    places: list[tuple[int, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, there: Bundle, copies: int, kept: np.ndarray | None) -> _Seen:
        """What a bundle has seen already. kept: the frames that stay, None for all. Raises BundleError."""
        vectors, places = stored_embeddings(there), read_places(there)
        pictures = np.unique(places[:, 0])
        found = read_sizes(there) if traits_of(there.manifest).stores_frames else []
        sizes = dict(zip(pictures.tolist(), found, strict=True)) if found else {}
        if kept is not None:
            # Those that stay are numbered as if the others had never been there.
            vectors, places = vectors[kept], places[kept]
            pictures, places[:, 0] = np.unique(places[:, 0], return_inverse=True)
            sizes = {number: sizes[old] for number, old in enumerate(pictures.tolist())}
            pictures = np.arange(len(pictures))
        return cls(copies, int(pictures[-1]) + 1, [vectors], {}, sizes, [tuple(row) for row in places.tolist()])

    @property
    def frames(self) -> int:
        return len(self.places)

    def add(self, seen: Sequence[SeenFrame], features: Features) -> None:
        self.embeddings.append(features.embedding)
        for frame in seen:
            itself = frame.picture - frame.picture % self.copies
            number = self.numbers.setdefault(itself, self.first + len(self.numbers))
            self.sizes.setdefault(number, frame.size)
            self.places.append((number, *frame.place))


def _finished(build: Build, shrunk: Shrunk, stored: int, seen: _Seen) -> Banks:
    """Write the rest once the bank of pyramid features stands, of so many entries."""
    settings, there = build.settings, build.there
    vectors, rows = np.concatenate(seen.embeddings), np.array(seen.places, dtype=np.int32)
    placed = build.pictures.preprocessing.tiles is not None or seen.copies > 1
    if shrunk.kind.traits.stores_frames:
        kept = representative_images(vectors, shrunk.images)
        if there is not None and placed and len(kept) < len(vectors):
            what = "turned copies" if seen.copies > 1 else "tiles"
            raise PandaError(
                f"--max-bank-mb {settings.max_bank_mb:g}: would drop {what} of pictures that must be whole; give more"
            )
        keep_images(build.staging, build.network.levels, kept)
        vectors, rows, stored = vectors[kept], rows[kept], len(kept)
        write_sizes(build.staging, [seen.sizes[number] for number in np.unique(rows[:, 0]).tolist()])
    neighbors = settings.neighbors or 0
    embeddings = shrunk.kind.embeddings(settings.embeddings, len(vectors))
    detection = embeddings.write(build.staging, vectors, Asked(settings.knn, neighbors, build.seed, build.centres))
    segmentation = dataclasses.replace(
        Segmentation(shrunk.kind.name, 0, 0, settings.dtype, SIGMA, 0.0, 0.0)
        if there is None
        else there.manifest.segmentation,
        count=stored,
        neighbors=min(neighbors or len(vectors), len(vectors)),
        **shrunk.kind.fields(settings.averaged),
    )
    own: dict[int, int | None] = dict(seen.numbers)
    if placed and embeddings.of_images:
        np.save(build.staging / PLACES_FILE, rows, allow_pickle=False)
    elif not placed:
        # A bank of whole pictures numbers what it has kept.
        left = {int(row[0]): number for number, row in enumerate(rows)}
        own = {picture: left.get(number) for picture, number in seen.numbers.items()}
    before = 0 if there is None else there.manifest.recipe.train_images if build.kept is None else seen.first
    return Banks(before + len(seen.numbers), detection, segmentation, own, shrunk.said)
