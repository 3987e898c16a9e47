"""Bundles in a region of interest, or of whole pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bank_choice import settings_for
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.roi import Roi
from panda_edge.images.roi_mask import Rois
from panda_edge.images.tiling import Tiling
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from rois import SIDE
from tiny import TinyBackbone

Fit = Callable[..., Path]


@pytest.fixture(scope="session")
def fit_roi(
    tmp_path_factory: pytest.TempPathFactory,
    normal_images: list[Path],
) -> Fit:
    """Export a calibrated bundle of the tiny backbone, in a roi or of whole pictures."""
    folder = tmp_path_factory.mktemp("roi")
    made: dict[str, Path] = {}

    def call(bank: str, roi: Roi | None = None, tiles: Tiling | None = None, **more: Any) -> Path:
        name = f"{bank}-{roi is not None}-{tiles is not None}-{'-'.join(map(str, more.values()))}"
        if name in made:
            return made[name]
        out = made[name] = folder / f"{name}.panda"
        rule = more.pop("rule", "max")
        preprocessing = Preprocessing(SIDE, SIDE, tiles=tiles, rois=None if roi is None else Rois(roi))
        exact = bank in ("exact", "hnsw")
        asked = {"average": 1, "level_weights": (1.0, 1.0, 1.0)} if exact and tiles is not None else {}
        options = ExportOptions(
            {"name": "dn2"},
            settings_for(bank, means=5, vectors=200, neighbors=4, **asked),
            leave_one_out=exact,
            rule=rule,
        )
        images, held_out = (normal_images, []) if exact else (normal_images[:8], normal_images[8:])
        export_bundle(out, TinyBackbone(), images, preprocessing, options, held_out)
        return out

    return call


@pytest.fixture
def odd(odd_image: Path) -> np.ndarray:
    return np.asarray(Image.open(odd_image).convert("RGB"))
