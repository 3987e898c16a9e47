"""What every bank promises of a search: outside the active cells the distance is 0, and inside it is what it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzz.small_bundles import KINDS, LEVELS, write_small_bundle

from panda_edge.banks import open_gallery
from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.query import Query
from panda_edge.bundle.folder import Bundle


@pytest.mark.parametrize("kind", KINDS)
def test_distances_outside_the_active_cells_are_0(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    manifest = write_small_bundle(tmp_path / "small.panda", kind)
    gallery = open_gallery(Bundle(tmp_path / "small.panda", manifest), SearchOptions(1))
    levels = [random.standard_normal((level.height * level.width, level.channels), np.float32) for level in LEVELS]
    active = random.random((LEVELS[0].height, LEVELS[0].width)) < 0.5
    neighbors = np.arange(4) if gallery.needs_neighbors else None

    every = gallery.search(Query(levels, neighbors))
    some = gallery.search(Query(levels, neighbors, active_cells=active))

    finer = every.squared.shape[0] // active.shape[0]
    inside = active.repeat(finer, axis=0).repeat(finer, axis=1)
    assert every.squared[~inside].min() > 0
    assert (some.squared[~inside] == 0).all()
    np.testing.assert_array_equal(some.squared[inside], every.squared[inside])
    if every.matches is not None:
        assert (some.matches[~inside] == -1).all()
        np.testing.assert_array_equal(some.matches[inside], every.matches[inside])
