"""Means over space of each stage's feature map, of CIFAR-10's images: made once, kept, read many times.

`python -m benchmarks.studies.unadapted_rules.stage_means CIFAR10 WORK --backbone NAME --train N --held N --test N
--mirrored N` fills WORK, CHUNK images a file, and takes up where it stopped. Of each class: the first N training
images, N from number HELD_FROM on, which judge, the first N test images, and the first N training images mirrored. By
the exported graph in onnxruntime with one thread.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from panda_edge.bundle.model import Model
from panda_edge.images.preprocessing import Preprocessing
from panda_export.onnx_file import write_onnx
from panda_train import backbones
from panda_train.backbones import Backbone
from panda_train.paper.datasets import open_protocol

CHUNK = 200  # images a file
SIDE = 224
_BATCH = 8
HELD_FROM = 1000  # number of the first training image that judges


def moments(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over space, (B, C) each, of a flattened map (B, C, N)."""
    mean = flat.mean(dim=2)
    return mean, (flat.square().mean(dim=2) - mean.square()).clamp(min=0).sqrt()


def parser_of(module: str) -> argparse.ArgumentParser:
    """What the makers of kept features are all told."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}")
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--backbone", default=backbones.DEFAULT)
    return parser


class StageMeans(nn.Module):
    """Frames, uint8 (B, H, W, 3) → embedding (B, D) and of each stage behind the stem but the last (B, 2, C): mean and
    standard deviation over space. The last stage's mean is the embedding."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.normalise = backbone.normalise
        self.stages = nn.ModuleList([*backbone.frozen.stages, *backbone.adaptable.stages])

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        x = self.normalise(frames)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(torch.stack(moments(x.flatten(2)), dim=1))
        return found[-1][:, 0], *found[1:-1]


def chunks(
    classes: Sequence[str], train: int, held: int, test: int, mirrored: int = 0
) -> Iterator[tuple[str, str, int]]:
    """Part, class and first image of every file that holds these images, all classes by turns."""
    ranges = [("train", 0, train), ("train", HELD_FROM, HELD_FROM + held), ("test", 0, test),
              ("mirrored", 0, mirrored)]  # fmt: skip
    found = [(part, start, name) for part, first, end in ranges for start in range(first, end, CHUNK)
             for name in classes]  # fmt: skip
    yield from ((part, name, start) for part, start, name in dict.fromkeys(found))


def file_of(folder: Path, backbone: str, part: str, name: str, start: int) -> Path:
    return folder / backbone / f"{part}-{name}-{start:05d}.npz"


def fill(data: Path, folder: Path, backbone_name: str, train: int, held: int, test: int, mirrored: int = 0) -> None:
    """Make the files that are not there."""
    protocol = open_protocol("cifar10", data)
    model = _model(folder, backbone_name)
    crop = Preprocessing.paper_crop(SIDE, SIDE)
    for part, name, start in chunks(protocol.classes, train, held, test, mirrored):
        file = file_of(folder, backbone_name, part, name, start)
        if file.exists():
            continue
        images = (protocol.test if part == "test" else protocol.train)[name][start : start + CHUNK]
        if not images:
            continue
        found = [model.run(np.stack([_turned(crop.apply(i), part) for i in images[at : at + _BATCH]]))
                 for at in range(0, len(images), _BATCH)]  # fmt: skip
        arrays = {"embedding": np.concatenate([f.embedding for f in found])}
        for number in range(len(found[0].levels)):
            arrays[f"stage{number + 1}"] = np.concatenate([f.levels[number] for f in found])
        part_file = file.with_suffix(".part")
        with part_file.open("wb") as stream:
            np.savez(stream, **arrays)
        os.replace(part_file, file)


def _turned(frame: np.ndarray, part: str) -> np.ndarray:
    return frame[:, ::-1] if part == "mirrored" else frame


def _model(folder: Path, name: str) -> Model:
    path = folder / name / "means.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        graph = StageMeans(backbones.load(name))
        outputs = ("embedding", *(f"stage{number + 1}" for number in range(len(graph.stages) - 2)))
        write_onnx(graph, path, SIDE, SIDE, outputs, {})
    return Model(path, threads=1)


if __name__ == "__main__":
    parser = parser_of("stage_means")
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--held", type=int, default=200)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--mirrored", type=int, default=0)
    given = parser.parse_args()
    fill(given.data, given.work, given.backbone, given.train, given.held, given.test, given.mirrored)
