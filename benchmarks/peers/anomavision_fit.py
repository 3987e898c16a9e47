"""Fit anomavision's PaDiM on our frames, and export it to ONNX.

Runs in the peers' environment (make_venv.sh):

    python anomavision_fit.py FRAMES.npy OUT NAME

FRAMES.npy: normal images, uint8 (N, 224, 224, 3). Writes OUT/NAME.onnx and OUT/NAME.json. Its backbone is torchvision's
ResNet18, the only small one that it has. Where the published weights cannot be fetched, seeded random ones stand in:
then the time is measured and the accuracy is not, and `weights` in the JSON says `random`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from anomavision import Padim
from anomavision.algorithm.common import feature_extraction
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import resnet18
from torchvision.transforms.v2 import Normalize

_BACKBONE, _SIDE, _BATCH = "resnet18", 224, 8
_NORMALISE = Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])


class _FromUnit(nn.Module):
    """Takes floats in 0 … 1, as the exported models of the other peer do."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor]:
        score, heatmap = self.model(_NORMALISE(frame), export=True)
        return score, heatmap


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit and export anomavision's PaDiM.")
    parser.add_argument("frames", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("name")
    given = parser.parse_args()
    frames = np.load(given.frames, mmap_mode="r")
    torch.manual_seed(0)
    model, weights = padim()
    started = time.perf_counter()
    loader: DataLoader[Tensor] = DataLoader([_input(frame) for frame in frames], batch_size=_BATCH)  # type: ignore[arg-type]
    model.fit(loader)
    seconds = time.perf_counter() - started
    model.eval()
    torch.onnx.export(
        _FromUnit(model),
        (torch.zeros(1, 3, _SIDE, _SIDE),),
        given.out / f"{given.name}.onnx",
        input_names=["input"],
        output_names=["pred_score", "anomaly_map"],
        dynamo=False,
    )
    facts = {"fit_seconds": round(seconds, 1), "weights": weights, "frames": len(frames)}
    (given.out / f"{given.name}.json").write_text(json.dumps(facts))


def padim() -> tuple[Padim, str]:
    """The untrained model, and whether its weights are `published` or `random`."""
    try:
        return Padim(_BACKBONE), "published"
    except URLError:
        feature_extraction.BACKBONES = {_BACKBONE: (resnet18, None)}
        return Padim(_BACKBONE), "random"


def _input(frame: np.ndarray) -> Tensor:
    return _NORMALISE(torch.from_numpy(np.array(frame)).permute(2, 0, 1).float() / 255)


if __name__ == "__main__":
    main()
