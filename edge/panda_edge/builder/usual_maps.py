"""What is usual in the heat maps of an exact bank's own pictures, and what the device does about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from panda_edge.builder.evened import with_evened_border
from panda_edge.builder.own_distances import with_own_distances
from panda_edge.builder.process_group import ALONE, ProcessGroup
from panda_edge.builder.progress import Progress
from panda_edge.builder.wide import with_wider_look
from panda_edge.bundle.manifest import Manifest


def with_usual_maps(staging: Path, manifest: Manifest, progress: Progress, group: ProcessGroup = ALONE) -> Manifest:
    """The manifest with what its `export` asks for, each step measured on maps that have the steps before it.

    All processes of the group call this.
    """
    asked = manifest.export
    bare = dataclasses.replace(manifest.segmentation, evened=(), wide=None)
    manifest = with_own_distances(staging, dataclasses.replace(manifest, segmentation=bare), progress, group)
    if manifest.segmentation.discount and manifest.preprocessing.tiles is None:
        manifest = with_evened_border(staging, manifest, group)
    if asked.get("wide"):
        manifest = with_wider_look(staging, manifest, asked["wide"], progress, group)
    return manifest
