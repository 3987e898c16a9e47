"""Networks of one level, of two and of four, with strides that need not be powers of two: the same definition holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import panda_edge
from bank_choice import settings_for
from panda_edge.banks.embeddings import EMBEDDINGS_FILE
from panda_edge.bundle.manifest import read_manifest
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
from panda_export.options import ExportOptions
from reference_search import RELATIVE, Reference
from reference_steps import squared_distances
from tiny import TinyLevel


class Averages(nn.Module):
    """A network whose levels are averages of random colours, at any strides: those that are listed, coarse first."""

    name = "averages"
    weights_sha256 = "0" * 64
    embedding_size = 6
    input_multiple = 1

    def __init__(self, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = [TinyLevel(stride, 3 + depth) for depth, stride in enumerate(strides)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.colours = nn.ModuleList(nn.Conv2d(3, level.channels, 1) for level in self.levels)
            self.embed = nn.Linear(3, 6)
        self.eval().requires_grad_(False)

    def normalise(self, frames: Tensor) -> Tensor:
        return frames.permute(0, 3, 1, 2).float().sub(127.0).div(32.0)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        pooled = [nn.functional.avg_pool2d(x, level.stride) for level in self.levels]
        maps = [colour(part).relu() for colour, part in zip(self.colours, pooled, strict=True)]
        return self.embed(x.mean((2, 3))), maps


@pytest.mark.parametrize(
    ("strides", "side"), [((14,), 56), ((16,), 64), ((8, 4), 64), ((28, 14), 56), ((32, 16, 8, 4), 64)]
)
def test_the_device_finds_what_brute_force_finds(strides: tuple[int, ...], side: int, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = []
    for number in range(8):
        pixels = random.integers(0, 256, (7, 7, 3), dtype=np.uint8)
        pictures.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(pictures[-1])
    bundle = tmp_path / "x.panda"
    options = ExportOptions({"name": "dn2"}, settings_for(neighbors=4))
    export_bundle(bundle, Averages(strides), pictures[:6], Preprocessing(side, side), options)
    manifest = read_manifest(bundle)
    assert [level.stride for level in manifest.levels] == [*strides]
    reference, bank = Reference(bundle, manifest), np.load(bundle / EMBEDDINGS_FILE)
    detector = panda_edge.load(bundle, threads=2)
    for picture in pictures[6:]:
        embedding, levels = reference.features(picture)
        result = detector.segment(picture)
        similar = np.argsort(squared_distances(embedding[None], bank)[0])[: manifest.segmentation.neighbors]
        expected = reference.heatmap(reference.after_steps(levels, similar))
        np.testing.assert_allclose(result.heatmap, expected, rtol=RELATIVE, atol=RELATIVE * expected.max())
