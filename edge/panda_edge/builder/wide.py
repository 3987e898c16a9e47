"""What a wider look finds of normal pictures themselves, so that only what is beyond it counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.builder.own_distances import frames_of_pictures, similar_frames, write_own_distances
from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.builder.progress import Progress
from panda_edge.builder.space import reserved_array
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest, Wide
from panda_edge.bundle.model import default_threads
from panda_edge.search import kernel
from panda_edge.search.evened import divisors
from panda_edge.search.gallery import SearchOptions, frame_levels, grid_of, open_gallery, stored_frames
from panda_edge.search.query import Query
from panda_edge.search.wide import WIDE_DTYPE, WIDE_OWN_DISTANCES_FILE, wide_files, wide_frames, wide_gallery

_PICTURES = 64  # spread over all, that say what is usual
_USUAL = 0.9  # quantile of normal pictures' distances: where all are below no wider look is taken, or adds nothing


def with_wider_look(
    staging: Path, manifest: Manifest, weight: float, progress: Progress, group: ProcessGroup = ALONE
) -> Manifest:
    """Write the wider look's own distances; returns the manifest that says how much is added, and beyond what.

    weight: of a distance at a wider look, each kind over its mean in normal pictures. A stored picture is compared with
    the others, as if it were new. Unchanged where there are no others, or these tell nothing.
    """
    bundle = Bundle(staging, manifest)
    if len(frames_of_pictures(bundle)) < 2:
        return manifest
    manifest = group.on_rank_zero(lambda: _with_wide_frames(bundle))
    bundle = Bundle(staging, manifest)
    write_own_distances(bundle, WIDE_OWN_DISTANCES_FILE, wide_frames(bundle), "wider look", progress, group)

    def measured() -> Manifest:
        written = write_manifest(staging, manifest)
        beyond = _usual(Bundle(staging, written), weight)
        if beyond is None:
            for name in (WIDE_OWN_DISTANCES_FILE, *wide_files(manifest.levels)):
                (staging / name).unlink()
            return write_manifest(staging, manifest)
        segmentation = dataclasses.replace(manifest.segmentation, wide=beyond)
        return write_manifest(staging, dataclasses.replace(manifest, segmentation=segmentation))

    return group.on_rank_zero(measured)


def _with_wide_frames(bundle: Bundle) -> Manifest:
    """Write what the stored frames are at a wider look; returns the manifest that lists the files."""
    count, files = bundle.manifest.segmentation.count, wide_files(bundle.manifest.levels)
    out = [reserved_array(bundle.path / name, WIDE_DTYPE, (count, *shape)) for name, shape in files.items()]
    kernel.widen_gallery(stored_frames(bundle), grid_of(bundle), out, default_threads())
    for array in out:
        array.flush()
    return write_manifest(bundle.path, bundle.manifest)


def _usual(bundle: Bundle, weight: float) -> Wide | None:
    """By the distances of some stored pictures' frames at both looks."""
    options = SearchOptions(default_threads())
    gallery, wider = open_gallery(bundle, options), wide_gallery(bundle, options)
    finest = bundle.manifest.levels[-1]
    evened = divisors(bundle.manifest.segmentation.evened, finest.height, finest.width)
    rows, every = stored_frames(bundle), frames_of_pictures(bundle)
    pictures = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, _PICTURES).astype(int))]
    near: list[np.ndarray] = []
    wide: list[np.ndarray] = []
    for frames, similar in zip(pictures, similar_frames(bundle, pictures), strict=True):
        for number, numbers in zip(frames, similar, strict=True):
            levels = frame_levels(rows, number)
            distances = np.sqrt(gallery.search(Query(levels, numbers)).squared)
            near.append(distances if evened is None else distances / evened)
            query = Query(kernel.widened(levels, grid_of(bundle)), numbers)
            wide.append(np.sqrt(wider.search(query).squared))
    usual, wider_usual = float(np.mean(near)), float(np.mean(wide))
    if not usual > 0 or not wider_usual > 0:
        return None
    factor = weight * usual / wider_usual
    high, wider_high = float(np.quantile(near, _USUAL)), float(np.quantile(wide, _USUAL))
    return Wide(*(float(f"{value:.6g}") for value in (factor, factor * wider_high, high)))
