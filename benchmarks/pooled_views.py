"""Several views of CIFAR-10's images, their last feature map pooled in several ways: made once, kept, read many times.

`python -m benchmarks.pooled_views CIFAR10 WORK --backbone NAME --view VIEW…` fills WORK, a file a class, part and view,
and takes up where it stopped. Parts: `train`, the first 600 training images; `validation`, training images from number
1,000 on, 200 of them; `test`, the first 200 test images. By the exported graph in onnxruntime with one thread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.stage_means import HELD_FROM, moments, parser_of
from panda_edge.bundle.model import Model
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import ImageLike
from panda_export.onnx_file import write_onnx
from panda_train import backbones
from panda_train.backbones import Backbone
from panda_train.paper.datasets import open_protocol

PARTS = {"train": ("train", 0, 600), "validation": ("train", HELD_FROM, HELD_FROM + 200), "test": ("test", 0, 200)}
POOLED = ("mean", "mean of roots", "spread", "highest")
_BATCH = 8


@dataclass(frozen=True)
class View:
    """side: of the network's input, pixels; whole: the picture squashed, not the middle 7/8 of it."""

    side: int
    whole: bool
    mirrored: bool

    def of(self, image: ImageLike) -> np.ndarray:
        """uint8 (side, side, 3)."""
        kind = Preprocessing(self.side, self.side) if self.whole else Preprocessing.paper_crop(self.side, self.side)
        frame = kind.apply(image)
        return frame[:, ::-1] if self.mirrored else frame


VIEWS = {
    f"{kind}{side}{'m' if mirrored else ''}": View(side, kind == "whole", mirrored)
    for kind in ("crop", "whole")
    for side in (160, 192, 224, 256, 288)
    for mirrored in (False, True)
}


class Pooled(nn.Module):
    """Frames, uint8 (B, H, W, 3) → of the last map, over space: mean, mean of roots, standard deviation and highest
    value, each (B, D), in the order of POOLED."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.normalise = backbone.normalise
        self.stages = nn.ModuleList([*backbone.frozen.stages, *backbone.adaptable.stages])

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        x = self.normalise(frames)
        for stage in self.stages:
            x = stage(x)
        flat = x.flatten(2).clamp(min=0)
        mean, spread = moments(flat)
        return mean, torch.stack([flat.sqrt().mean(dim=2), spread, flat.amax(dim=2)], dim=1)


def file_of(folder: Path, backbone: str, view: str, part: str, name: str) -> Path:
    return folder / backbone / view / f"{part}-{name}.npy"


def fill(data: Path, folder: Path, backbone: str, view: str, parts: list[str]) -> None:
    """Make the files that are not there: float32 (N, 4, D)."""
    protocol = open_protocol("cifar10", data)
    model = _model(folder, backbone, VIEWS[view].side)
    for part in parts:
        source, first, end = PARTS[part]
        for name in protocol.classes:
            file = file_of(folder, backbone, view, part, name)
            if file.exists():
                continue
            images = (protocol.test if source == "test" else protocol.train)[name][first:end]
            found = []
            for at in range(0, len(images), _BATCH):
                features = model.run(np.stack([VIEWS[view].of(image) for image in images[at : at + _BATCH]]))
                found.append(np.concatenate([features.embedding[:, None], features.levels[0]], axis=1))
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".part")
            with unfinished.open("wb") as stream:
                np.save(stream, np.concatenate(found))
            os.replace(unfinished, file)


def _model(folder: Path, name: str, side: int) -> Model:
    path = folder / name / f"pooled-{side}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_onnx(Pooled(backbones.load(name)), path, side, side, ("embedding", "pooled"), {})
    return Model(path, threads=1)


if __name__ == "__main__":
    parser = parser_of("pooled_views")
    parser.add_argument("--view", action="append", choices=list(VIEWS), required=True)
    parser.add_argument("--part", action="append", choices=list(PARTS), default=[])
    given = parser.parse_args()
    for chosen in given.view:
        fill(given.data, given.work, given.backbone, chosen, given.part or list(PARTS))
