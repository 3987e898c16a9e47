"""What context finds of normal pictures themselves, so that only what is beyond it counts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from panda_edge import kernel
from panda_edge.banks import open_gallery
from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.exact import frame_levels, stored_frames
from panda_edge.banks.level_files import grid_of
from panda_edge.banks.query import Query
from panda_edge.builder.bundle_writer import with_new_files
from panda_edge.builder.progress import Progress
from panda_edge.builder.spread import evenly_spread
from panda_edge.builder.steps.leave_one_out import (
    DEFAULT_SHARE,
    check_share,
    similar_frames,
    write_leave_one_out,
)
from panda_edge.bundle.fields import number, table
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.bundle.space import reserved_array
from panda_edge.errors import PandaError
from panda_edge.process_group import ProcessGroup
from panda_edge.search.candidates import frames_of_pictures
from panda_edge.search.steps import open_steps
from panda_edge.search.steps.context import (
    CONTEXT_LEAVE_ONE_OUT_FILE,
    Context,
    ContextSearch,
    context_frames,
    context_levels,
)

_MOST_WEIGHT = 100
_PICTURES = 64  # spread over all, that say what is normal
_HIGH = 0.9  # quantile of normal distances: where all are below, context is not asked, or adds nothing


@dataclass(frozen=True)
class ContextRecipe:
    """weight: of a context distance, each kind over its mean in normal pictures, 0 to 100. share: of the match's
    leave-one-out distance that is subtracted, 0 to 1."""

    name: ClassVar[str] = Context.name
    after: ClassVar[tuple[str, ...]] = ()
    tiles: ClassVar[bool] = True
    weight: float = 0.5  # chosen with one set left out: `benchmarks/studies/map_steps`
    share: float = DEFAULT_SHARE

    def __post_init__(self) -> None:
        check_share(self.share)
        if not 0 <= self.weight <= _MOST_WEIGHT:
            raise PandaError(f"context weight is {self.weight:g}; expected 0 to {_MOST_WEIGHT}")

    @classmethod
    def read(cls, plain: Any, where: str) -> ContextRecipe:
        return table(cls, weight=number(0, _MOST_WEIGHT), share=number(0, 1))(plain, where)

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def measure(self, bundle: Bundle, progress: Progress, group: ProcessGroup) -> Context | None:
        """Write the stored frames' averages and their leave-one-out distances; find what they are in normal pictures.

        A stored picture is compared with the others, as if it were new. None where there are no others, or these tell
        nothing.
        """
        if len(frames_of_pictures(bundle)) < 2:
            return None
        bundle = Bundle(bundle.path, group.on_rank_zero(lambda: _with_averages(bundle)))
        averages = context_frames(bundle)
        write_leave_one_out(bundle, CONTEXT_LEAVE_ONE_OUT_FILE, averages, "context", progress, group)
        return group.on_rank_zero(lambda: self._measured(bundle))

    def _measured(self, bundle: Bundle) -> Context | None:
        near, averaged = _normal_distances(bundle, self.share)
        mean, averaged_mean = float(np.mean(near)), float(np.mean(averaged))
        if not mean > 0 or not averaged_mean > 0:
            for name in Context.files(bundle.manifest.levels):
                (bundle.path / name).unlink()
            return None
        factor = self.weight * mean / averaged_mean
        floor, above = factor * float(np.quantile(averaged, _HIGH)), float(np.quantile(near, _HIGH))
        return Context(_rounded(factor), _rounded(floor), _rounded(above), self.share)


def _rounded(value: float) -> float:
    """To six digits, so that the manifest is short."""
    return float(f"{value:.6g}")


def _with_averages(bundle: Bundle) -> Manifest:
    """Write the stored frames' averages over 3 × 3 cells; returns the manifest that lists the files."""
    count, files = bundle.manifest.segmentation.count, context_levels(bundle.manifest.levels)
    out = [reserved_array(bundle.path / name, array.dtype, (count, *array.shape)) for name, array in files.items()]
    kernel.gallery_averages(stored_frames(bundle), grid_of(bundle), out, default_threads())
    for array in out:
        array.flush()
    return with_new_files(bundle.path, bundle.manifest)


def _normal_distances(bundle: Bundle, share: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Distances of some stored pictures' frames after the steps so far, and their context distances."""
    bundle = Bundle(bundle.path, with_new_files(bundle.path, bundle.manifest))
    options = SearchOptions(default_threads())
    gallery, steps = open_gallery(bundle, options), open_steps(bundle, options)
    context = ContextSearch(bundle, options, share)
    rows, every = stored_frames(bundle), frames_of_pictures(bundle)
    pictures = [every[i] for i in evenly_spread(len(every), _PICTURES)]
    near: list[np.ndarray] = []
    averaged: list[np.ndarray] = []
    for frames, similar in zip(pictures, similar_frames(bundle, pictures), strict=True):
        for frame, numbers in zip(frames, similar, strict=True):
            query = Query(frame_levels(rows, frame), numbers)
            near.append(steps(gallery.search(query), query))
            averaged.append(context.distances(query))
    return near, averaged


RECIPE = ContextRecipe
