"""Names of the files that hold a gallery, and what a joint descriptor is; shared by reader and writer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.manifest import Level

JOINT_HNSW_FILE = "bank/joint.hnsw"


def level_file(level: Level) -> str:
    """The bundle file that holds a level's features."""
    return f"bank/stride{level.stride:02d}.npy"


def joint_descriptors(levels: Sequence[np.ndarray]) -> np.ndarray:
    """The joint descriptor of each finest cell, float32 (cells, all channels): coarse features over their children.

    levels: of one image, coarse first, each (cells, channels) in nested order, which the result keeps.
    """
    finest = len(levels[-1])
    return np.concatenate([np.repeat(level, finest // len(level), axis=0) for level in levels], axis=1)
