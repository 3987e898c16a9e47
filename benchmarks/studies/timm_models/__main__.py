"""Networks of timm, exported and compared with timm's own forward pass: `python -m benchmarks.studies.timm_models`.

Weights are random, as the hub's are not always at hand: the comparison is of computation, not of accuracy. The exported
graph is run by onnxruntime on random frames. Its nested levels are put back into rows and columns here, and compared
with the maps that timm's model gives on frames normalised here. Rows go into `results.json` beside this file, so that a
run takes up where it stopped; the table is written to `README.md`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lib import tables
from benchmarks.lib.conditions import PACKAGES, conditions, in_words
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from panda_edge.bundle.model import Model
from panda_export.graph import DeviceGraph
from panda_export.onnx_file import write_onnx
from panda_train import backbones
from panda_train.backbones import timm_network
from panda_train.backbones.fixed import FixedBackbone

HERE = Path(__file__).parent
SIDE = 224
TOLERANCE = 1e-4  # of an output's largest magnitude
_TIMED = 15  # runs of each model, in turns with the default's
_QUIET = 0.25  # quantile of times: what else runs only adds
MODELS = (
    "resnet18", "resnet26d", "regnetx_002", "regnety_002", "mobilenetv3_small_050", "mobilenetv4_conv_small",
    "efficientnet_b0", "tf_efficientnetv2_b0", "mnasnet_small", "ghostnet_100", "lcnet_050", "tinynet_e", "rexnet_100",
    "convnext_atto", "inception_next_atto", "repvgg_a0", "densenet121", "dla34", "hgnetv2_b0", "starnet_s1",
    "poolformer_s12", "edgenext_xx_small", "vit_tiny_patch16_224", "deit_tiny_patch16_224",
    "vit_small_patch14_dinov2", "eva02_tiny_patch14_224", "swin_tiny_patch4_window7_224", "pvt_v2_b0", "inception_v3",
)  # fmt: skip


def measure(name: str) -> dict[str, Any]:
    """One row. Raises SystemExit where an output differs by more than TOLERANCE."""
    backbone = timm_network.untrained(name, size=(SIDE, SIDE))
    outputs = ("embedding", *(f"level{level.stride}" for level in backbone.levels))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(DeviceGraph(backbone), path, SIDE, SIDE, outputs, {})
        frames = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
        model = Model(path, torch.get_num_threads())
        found = model.run(frames)
        want = expected(backbone, frames)
        got = [found.embedding, *(in_rows(level, depth) for depth, level in enumerate(found.levels))]
        differences = [
            float(np.abs(w - g.reshape(w.shape)).max() / np.abs(w).max()) for w, g in zip(want, got, strict=True)
        ]
        if max(differences) > TOLERANCE:
            raise SystemExit(f"{name}: differs from timm's own forward pass by {max(differences):.1e} of the largest")
        ratio = time_ratio(model, default_model(), frames[:1])
        megabytes = path.stat().st_size / 1e6
    return {
        "family": type(backbone.network.model).__name__,
        "parameters_m": round(sum(p.numel() for p in backbone.network.model.parameters()) / 1e6, 1),
        "licence": backbone.facts["licence"],
        "levels": [f"{level.stride}: {level.channels}" for level in backbone.levels],
        "embedding": backbone.embedding_size,
        "largest_difference": float(f"{max(differences):.1e}"),
        "time_over_default": round(ratio, 2),
        "mb": round(megabytes, 1),
    }


@cache
def default_model() -> Model:
    """The default backbone, exported once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        outputs = ("embedding", "level16", "level8", "level4")
        write_onnx(DeviceGraph(backbones.untrained(backbones.DEFAULT)), path, SIDE, SIDE, outputs, {})
        return Model(path, torch.get_num_threads())


def expected(backbone: FixedBackbone, frames: np.ndarray) -> list[np.ndarray]:
    """Embedding (B, D), and levels coarse first (B, h, w, C), by timm's own model."""
    config = backbone.network.model.pretrained_cfg
    x = (frames.astype(np.float64) / 255 - config["mean"]) / config["std"]
    tensor = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32))
    model, indices = backbone.network.model, backbone.network.indices
    with torch.inference_mode():
        last, maps = model.forward_intermediates(tensor, indices=indices, norm=backbone.network.norm)
        embedding = model.forward_head(last, pre_logits=True)
        levels = [
            torch.nn.functional.interpolate(found, (SIDE // level.stride,) * 2, mode="bilinear")
            for found, level in zip(reversed(maps), backbone.levels, strict=True)
        ]
    return [embedding.numpy(), *(level.permute(0, 2, 3, 1).numpy() for level in levels)]


def in_rows(level: np.ndarray, depth: int) -> np.ndarray:
    """(B, cells, C) in nested order → (B, h, w, C)."""
    batch, cells, channels = level.shape
    side = round(cells**0.5)
    out = np.empty((batch, side, side, channels), level.dtype)
    coarse = side >> depth
    for number in range(cells):
        row, column = divmod(number >> 2 * depth, coarse)
        for below in range(depth - 1, -1, -1):
            child = number >> 2 * below & 3
            row, column = 2 * row + (child >> 1), 2 * column + (child & 1)
        out[:, row, column] = level[:, number]
    return out


def time_ratio(model: Model, usual: Model, frame: np.ndarray) -> float:
    """Time of one model over the default's, a frame at a time, in turns."""
    times: list[list[float]] = [[], []]
    for _ in range(_TIMED):
        for one, taken in zip((model, usual), times, strict=True):
            started = time.perf_counter()
            one.run(frame)
            taken.append(time.perf_counter() - started)
    return float(np.quantile(times[0], _QUIET) / np.quantile(times[1], _QUIET))


def write(rows: ResultsFile) -> None:
    """The table of what is measured."""
    done = [(name, rows.get(name)) for name in MODELS if rows.get(name)]
    families = {row["family"] for _, row in done}
    lines = [
        [
            f"`{name}`", row["family"], tables.number(row["parameters_m"], 1), tables.number(row["mb"], 1),
            row["licence"], "; ".join(row["levels"]), f"{row['largest_difference']:.0e}",
            tables.number(row["time_over_default"], 2),
        ]
        for name, row in done
    ]  # fmt: skip
    header = (
        "network", "timm's class", "million parameters", "model MB", "licence", "stride: channels", "difference",
        "time / default's",
    )  # fmt: skip
    page = [
        "# Networks of timm",
        "`python -m benchmarks.studies.timm_models`. Random weights, input 224 × 224. Difference: the largest between "
        "onnxruntime on the exported graph and timm's own forward pass, over all outputs, as a share of the output's "
        f"largest magnitude; the run ends where it is above {TOLERANCE:g}. Time: of the model alone, one frame, over "
        "EfficientNet-Lite0's, in turns in one run. Accuracy is not measured here: the weights could not be fetched.",
        f"{len(done)} networks of {len(families)} classes. {in_words(rows.get('conditions'))}",
        tables.table(header, lines),
    ]
    (HERE / "README.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")


def main() -> None:
    rows = ResultsFile("results", HERE)
    if not rows.get("conditions"):
        rows.update("conditions", **conditions(torch.get_num_threads(), (*PACKAGES, "timm")))
    for name in sys.argv[1:] or MODELS:
        if not rows.get(name):
            rows.update(name, **measure(name))
            say(f"{name} {rows.get(name)}")
        write(rows)


if __name__ == "__main__":
    main()
