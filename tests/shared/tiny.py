"""A network like the real ones with few weights, and bundles of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import panda_export.export
import panda_export.network
from bank_choice import settings_for
from panda_edge.banks.settings import CHOICES as BANKS
from panda_edge.detector import MODEL_FILE
from panda_edge.images.preprocessing import Preprocessing
from panda_export.onnx_file import write_onnx
from panda_export.options import ExportOptions

SIDE = 64  # pixels a side of the test bundles' input


@dataclass(frozen=True)
class TinyLevel:
    stride: int
    channels: int


class TinyBackbone(nn.Module):
    """A network of the real ones' shape (levels at strides 16, 8, 4) with few, random, fixed weights."""

    name = "tiny"
    weights_sha256 = "0" * 64
    embedding_size = 12
    levels = (TinyLevel(16, 7), TinyLevel(8, 5), TinyLevel(4, 3))

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.to4 = nn.Conv2d(3, 3, 5, stride=4, padding=2)
            self.to8 = nn.Conv2d(3, 5, 3, stride=2, padding=1)
            self.to16 = nn.Conv2d(5, 7, 3, stride=2, padding=1)
            self.embed = nn.Linear(7, 12)
        self.eval().requires_grad_(False)

    def normalise(self, frames: Tensor) -> Tensor:
        return frames.permute(0, 3, 1, 2).float().sub(127.0).div(32.0)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        level4 = self.to4(x).relu()
        level8 = self.to8(level4).relu()
        level16 = self.to16(level8).relu()
        return self.embed(level16.mean((2, 3))), [level16, level8, level4]


def make_bundles(folder: Path, images: list[Path]) -> dict[str, Path]:
    """A bundle of the tiny backbone for each kind of bank."""
    bundles = {bank: folder / f"{bank}.panda" for bank in BANKS}
    differences: dict[str, float] = {}

    def write_once(graph: nn.Module, path: Path, *about: Any) -> dict[str, float]:
        # The graph is the same in nearly every bundle, and to export it takes most of the time.
        if not differences or graph.descriptors is not None:
            differences.update(write_onnx(graph, path, *about))
        else:
            shutil.copy(bundles["exact"] / MODEL_FILE, path)
        return differences

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panda_export.network, "write_onnx", write_once)
        for bank, path in bundles.items():
            panda_export.export.export_bundle(
                path,
                TinyBackbone(),
                images,
                Preprocessing(SIDE, SIDE),
                ExportOptions({"name": "dn2"}, settings_for(bank, means=5, vectors=200, neighbors=4)),
            )
    return bundles


@contextmanager
def model_of(bundles: dict[str, Path]) -> Iterator[None]:
    """Meanwhile an export of the tiny backbone copies its model from `make_bundles`, since to export takes seconds."""

    def copy(graph: Any, path: Path, *about: Any) -> dict[str, float]:
        shutil.copy(bundles["exact" if graph.descriptors is None else "coreset"] / MODEL_FILE, path)
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panda_export.network, "write_onnx", copy)
        yield
