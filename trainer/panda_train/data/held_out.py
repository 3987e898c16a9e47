"""Which normal images are kept out of a bank, to calibrate its decisions with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panda_edge.decide.false_alarms import DEFAULT_FPR, images_needed

_SHARE = 0.2
_LARGEST_SHARE = 1 / 3  # where a fifth is too few to promise the default false-alarm rate
_MOST = 2000  # p-values down to 1 / 2001


def held_out_count(images: int) -> int:
    """How many of so many normal images are held out: a fifth; up to a third where that helps to promise a
    false-alarm rate of 0.01; at most 2000. At least one, and two are left for the bank; none of fewer than three."""
    if images < 3:
        return 0
    wanted = max(round(_SHARE * images), min(images_needed(DEFAULT_FPR), int(_LARGEST_SHARE * images)))
    return max(1, min(wanted, _MOST, images - 2))


def split_normal(
    images: Sequence[Path], held_out: int | None = None, seed: int = 0
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(images for the bank, images held out), each in the order given; drawn at random, as the promise needs.

    held_out: how many, None for `held_out_count`.
    """
    count = held_out_count(len(images)) if held_out is None else min(held_out, max(len(images) - 1, 0))
    drawn = set(np.random.default_rng(seed).permutation(len(images))[:count].tolist())
    return (
        tuple(image for i, image in enumerate(images) if i not in drawn),
        tuple(image for i, image in enumerate(images) if i in drawn),
    )
