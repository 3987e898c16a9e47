"""Bundles of the tiny backbone that tests of `extend` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bank_choice import settings_for
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.roi_mask import Rois
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from tiny import SIDE, TinyBackbone

Fit = Callable[..., Path]


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, texture: Callable[..., np.ndarray]) -> list[Path]:
    """Pictures of one scene: the same structure with a little noise."""
    folder = tmp_path_factory.mktemp("many")
    for seed in range(24):
        random = np.random.default_rng(seed)
        noisy = texture(SIDE, SIDE, seed=1).astype(int) + random.integers(-9, 10, (SIDE, SIDE, 3))
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{seed:02d}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def fit(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    folder = tmp_path_factory.mktemp("extend")
    made: dict[str, Path] = {}

    def call(images: list[Path], bank: str = "exact", held_out: tuple[Path, ...] = (), **more: Any) -> Path:
        name = f"{len(images)}-{bank}-{len(held_out)}-{sorted(more.items(), key=str)}".replace("/", "_")
        if name in made:
            return made[name]
        out = made[name] = folder / f"{len(made)}.panda"
        tiles, roi = more.pop("tiles", None), more.pop("roi", None)
        extendable, calibrated = more.pop("extendable", True), more.pop("calibrated", True)
        steps = more.pop("steps", None)
        if tiles is not None and bank in ("exact", "hnsw"):
            more = {"average": 1, "level_weights": (1.0, 1.0, 1.0), **more}
        if bank == "coreset":
            more = {"vectors": 300, **more}
        options = ExportOptions(
            {"name": "dn2"},
            settings_for(bank, means=5, **{"neighbors": 6, **more}),
            steps,
            leave_one_out=calibrated and bank in ("exact", "hnsw") and not held_out,
            extendable=extendable,
        )
        preprocessing = Preprocessing(SIDE, SIDE, tiles=tiles, rois=None if roi is None else Rois(roi))
        export_bundle(out, TinyBackbone(), images, preprocessing, options, held_out)
        return out

    return call
