"""Second and third step of an export: pictures → features, once, and from them the banks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from panda_edge.builder.features import SeenFrame, features_of_all
from panda_edge.builder.gaussian import GaussianWriter
from panda_edge.builder.pictures import Pictures, every_frame, none_readable
from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.builder.progress import Progress
from panda_edge.builder.pyramids import keep_images, representative_images
from panda_edge.builder.stored import write_sizes
from panda_edge.bundle.manifest import Detection, Level, Segmentation
from panda_edge.bundle.model import Features
from panda_edge.images.view import View
from panda_edge.search.candidates import PLACES_FILE
from panda_export.budget import Budget, fit_budget
from panda_export.embedding_banks import write_embeddings
from panda_export.gallery_banks import JOINT_HNSW_EF, gallery_writer
from panda_export.network import Network
from panda_export.options import BankOptions

SIGMA = 4.0  # input pixels (SPADE)


@dataclass(frozen=True)
class Banks:
    """pictures: how many there are banks of, copies not counted. numbers: of those pictures among the given ones → in
    the bank, where they can be left out when they are scored; None for those whose frames are not stored. said: what
    --max-bank-mb chose."""

    pictures: int
    detection: Detection
    segmentation: Segmentation
    numbers: dict[int, int | None]
    said: str


def write_banks(
    staging: Path,
    network: Network,
    pictures: Pictures,
    options: BankOptions,
    seed: int,
    progress: Progress,
    extendable: bool = False,
    group: ProcessGroup = ALONE,
) -> Banks:
    """Write the banks of all pictures; extendable: with what further pictures can be added to. Raises PandaError,
    DataError."""
    # A bank by place has Gaussians for every frame; of others, frames that nobody looks at are left out.
    stored_frames = every_frame if options.gallery == "gaussian" else View.active_frames
    count = pictures.frame_count(stored_frames)
    frames, tiled = pictures.preprocessing.frames, pictures.preprocessing.tiles is not None
    budget = fit_budget(options, network.levels, network.embedding_size, count, frames, tiled)
    options = budget.options
    gallery = gallery_writer(staging, network.levels, options, count, seed, frames, group)
    frames_seen = _Seen(pictures.copies)
    everyone = isinstance(gallery, GaussianWriter)
    for seen, features in features_of_all(pictures, stored_frames, network.run, group, everyone, progress):
        assert gallery is not None
        gallery.add(features, [frame.frame for frame in seen])
        frames_seen.add(seen, features)
    if gallery is not None and not frames_seen.numbers:
        raise none_readable(len(pictures))
    stored = 0 if gallery is None else gallery.close()
    if extendable and isinstance(gallery, GaussianWriter):
        gallery.write_sums()
    return group.on_rank_zero(lambda: _finished(staging, network.levels, budget, seed, tiled, stored, frames_seen))


@dataclass
class _Seen:
    """The frames that went into a bank. copies: of each picture. numbers: of their pictures, among those given → in the
    order of the bank. sizes: of each picture. places: of each frame its picture's number in that order, row and column;
    a picture's copies have its number."""

    copies: int
    embeddings: list[np.ndarray] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    places: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, seen: Sequence[SeenFrame], features: Features) -> None:
        self.embeddings.append(features.embedding)
        for frame in seen:
            itself = frame.picture - frame.picture % self.copies
            if itself not in self.numbers:
                self.sizes.append(frame.size)
            number = self.numbers.setdefault(itself, len(self.numbers))
            self.places.append((number, *frame.place))


def _finished(
    staging: Path, levels: Sequence[Level], budget: Budget, seed: int, tiled: bool, stored: int, seen: _Seen
) -> Banks:
    """Write the rest once the gallery stands, of so many entries."""
    options, numbers = budget.options, seen.numbers
    vectors, rows = np.concatenate(seen.embeddings), np.array(seen.places, dtype=np.int32)
    if options.gallery == "exact":
        kept = representative_images(vectors, budget.images)
        keep_images(staging, levels, kept)
        vectors, rows, stored = vectors[kept], rows[kept], len(kept)
        left_pictures = np.unique(rows[:, 0])
        write_sizes(staging, [seen.sizes[number] for number in left_pictures])
    detection = write_embeddings(staging, vectors, options, seed)
    segmentation = Segmentation(
        bank=options.gallery,
        count=stored,
        neighbors=min(options.neighbors or len(vectors), len(vectors)),
        dtype=options.dtype,
        sigma=SIGMA,
        normal_low=0.0,
        normal_high=0.0,
        ef=JOINT_HNSW_EF if options.gallery == "hnsw" else None,
        average=options.averaged if options.gallery == "gaussian" else 1,
        rank=options.rank if options.gallery == "gaussian" else None,
        window=options.window,
    )
    if not tiled and seen.copies == 1:
        # A bank of whole pictures numbers what it has kept.
        left: dict[int, int | None] = {int(row[0]): number for number, row in enumerate(rows)}
        own = {picture: left.get(number) for picture, number in numbers.items()}
    else:
        own = dict(numbers)
        if detection.bank != "kmeans":
            np.save(staging / PLACES_FILE, rows, allow_pickle=False)
    return Banks(len(numbers), detection, segmentation, own, budget.said)
