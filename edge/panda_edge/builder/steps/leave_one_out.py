"""What a normal cell is itself from other normal pictures: a search of the bank by its own frames."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks.exact import frame_levels, stored_frames
from panda_edge.builder.progress import Progress
from panda_edge.builder.stored import stored_embeddings
from panda_edge.bundle.fields import number, table
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.model import default_threads
from panda_edge.bundle.space import reserved_array
from panda_edge.errors import PandaError
from panda_edge.process_group import ProcessGroup, shared
from panda_edge.search.candidates import frames_of_pictures, open_candidates, open_places
from panda_edge.search.steps.leave_one_out import LEAVE_ONE_OUT_DTYPE, LEAVE_ONE_OUT_FILE, LeaveOneOut

DEFAULT_SHARE = 0.35  # chosen with one set left out: `benchmarks/studies/map_steps`
_MOST = float(np.finfo(LEAVE_ONE_OUT_DTYPE).max)


@dataclass(frozen=True)
class LeaveOneOutRecipe:
    """share: of the match's leave-one-out distance that is subtracted, 0 to 1."""

    name: ClassVar[str] = LeaveOneOut.name
    after: ClassVar[tuple[str, ...]] = ()
    tiles: ClassVar[bool] = True
    share: float = DEFAULT_SHARE

    def __post_init__(self) -> None:
        check_share(self.share)

    @classmethod
    def read(cls, plain: Any, where: str) -> LeaveOneOutRecipe:
        return table(cls, share=number(0, 1))(plain, where)

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def measure(self, bundle: Bundle, progress: Progress, group: ProcessGroup) -> LeaveOneOut | None:
        """Write the leave-one-out distances of all stored cells.

        A stored frame is searched in the similar frames of other pictures just as a new one would be. Where there is no
        other picture they are 0.
        """
        write_leave_one_out(bundle, LEAVE_ONE_OUT_FILE, stored_frames(bundle), "leave one out", progress, group)
        return LeaveOneOut(self.share)


def check_share(share: float) -> None:
    """Raises PandaError."""
    if not 0 <= share <= 1:
        raise PandaError(f"leave-one-out share is {share:g}; expected 0 to 1")


def write_leave_one_out(
    bundle: Bundle, name: str, stored: Sequence[kernel.Rows], stage: str, progress: Progress, group: ProcessGroup
) -> None:
    """Write the file `name`: the leave-one-out distance of each cell of the finest of these levels of all stored
    frames, float16 (N, h, w)."""
    coarsest, maps = bundle.manifest.levels[0], bundle.manifest.segmentation
    pictures, depth = frames_of_pictures(bundle), len(stored) - 1
    height, width = coarsest.height << depth, coarsest.width << depth

    def work(own: Sequence[range]) -> Iterator[np.ndarray]:
        return _distances(bundle, stored, own, (height, width))

    found = progress(shared(group, pictures, work), stage, len(pictures))
    if group.is_rank_zero:
        file = reserved_array(bundle.path / name, LEAVE_ONE_OUT_DTYPE, (maps.count, height, width))
        for frames, distances in zip(pictures, found, strict=True):
            file[frames.start : frames.stop] = distances
        file.flush()
    else:
        deque(found, maxlen=0)


def similar_frames(bundle: Bundle, pictures: Sequence[range]) -> Iterator[list[np.ndarray]]:
    """Of each of these stored pictures: of each of its frames, the numbers of the similar ones of other pictures."""
    candidates, places = open_candidates(bundle, default_threads()), open_places(bundle)
    vectors, neighbors = stored_embeddings(bundle), bundle.manifest.segmentation.neighbors
    for frames in pictures:
        begin, end = frames.start, frames.stop
        lie = [(0, 0)] * len(frames) if places is None else _rows_and_columns(places.rows[begin:end])
        exclude = begin if places is None else int(places.pictures()[begin])
        yield [numbers for _, numbers in candidates.nearest(vectors[begin:end], neighbors, lie, exclude=exclude)]


def _distances(
    bundle: Bundle, stored: Sequence[kernel.Rows], pictures: Sequence[range], shape: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Of these stored pictures' frames, float16 (frames, *shape)."""
    maps, coarsest = bundle.manifest.segmentation, bundle.manifest.levels[0]
    search = kernel.PyramidSearch(list(stored), (coarsest.height, coarsest.width), default_threads())
    for frames, similar in zip(pictures, similar_frames(bundle, pictures), strict=True):
        own = np.zeros((len(frames), *shape), LEAVE_ONE_OUT_DTYPE)
        for i, numbers in enumerate(similar):
            if len(numbers):
                squared, _ = search.nearest(frame_levels(stored, frames.start + i), numbers, window=maps.window)
                own[i] = np.minimum(np.sqrt(squared), _MOST)
        yield own


def _rows_and_columns(places: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for _, row, column in places]


RECIPE = LeaveOneOutRecipe
