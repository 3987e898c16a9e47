"""Bundles of the tiny backbone with other banks, whose model is exported once for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bank_choice import settings_for
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import Tiling
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from tiny import TinyBackbone


@pytest.fixture
def export_bank(
    tmp_path: Path,
    normal_images: list[Path],
) -> Callable[..., Path]:
    """A bundle of the tiny backbone with the bank's options given."""

    def call(
        name: str = "x", images: int = 12, tiles: Tiling | None = None, leave_one_out: bool = False, **options: Any
    ) -> Path:
        out = tmp_path / f"{name}.panda"
        steps = options.pop("steps", None)
        bank = settings_for(**{"neighbors": 4, "means": 5, "vectors": 200, **options})
        about = ExportOptions({"name": "dn2"}, bank, steps, leave_one_out=leave_one_out)
        export_bundle(out, TinyBackbone(), normal_images[:images], Preprocessing(64, 64, tiles=tiles), about)
        return out

    return call
