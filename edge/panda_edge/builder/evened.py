"""How much further from normal a frame's border is than its inside, in normal pictures themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.search.evened import rings
from panda_edge.search.own_distances import open_own_distances

_DEPTH = 48  # input pixels from the border that are evened: three cells of stride 16
_BOUNDS = 1.0, 4.0
# Of a divisor. Below 1 it would come from a background that is more alike than the product, and raise its noise.


def with_evened_border(staging: Path, manifest: Manifest, group: ProcessGroup = ALONE) -> Manifest:
    """The manifest that says what distances near the border are divided by; all processes of the group call this.

    By the own distances of stored cells, which must be there: a picture's mean so many cells from the border, over its
    mean inside, both medians over all pictures, so that an odd one says nothing. Unchanged where normal pictures tell
    nothing.
    """

    def measured() -> Manifest:
        own = open_own_distances(Bundle(staging, manifest))
        assert own is not None
        evened = _divisors(own.values, manifest.levels[-1].stride)
        segmentation = dataclasses.replace(manifest.segmentation, evened=evened)
        return write_manifest(staging, dataclasses.replace(manifest, segmentation=segmentation))

    return group.on_rank_zero(measured)


def _divisors(own: np.ndarray, stride: int) -> tuple[float, ...]:
    """own: distances, float16 (N, h, w)."""
    height, width = own.shape[1:]
    depth = min(_DEPTH // stride, min(height, width) // 4)
    ring = np.minimum(rings(height, width), depth).ravel()
    cells = np.bincount(ring)
    means = np.array([np.bincount(ring, weights=frame.ravel().astype(np.float64)) for frame in own]) / cells
    usual = np.median(means, axis=0)
    if not usual.min() > 0:
        return ()
    shares = np.clip(usual[:-1] / usual[-1], *_BOUNDS)
    return tuple(round(float(share), 4) for share in shares)
