"""A network like the real ones with few weights, and bundles of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bank_choice import settings_for
from panda_edge.banks.settings import CHOICES as BANKS
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
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
    for bank, path in bundles.items():
        asked = ExportOptions({"name": "dn2"}, settings_for(bank, means=5, vectors=200, neighbors=4))
        export_bundle(path, TinyBackbone(), images, Preprocessing(SIDE, SIDE), asked)
    return bundles
