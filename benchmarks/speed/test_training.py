"""Training: what the kept frozen activations save, and what PANDA-SES's one graph costs beside separate models."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from benchmarks.lib.timing import least
from panda_export.graph import DeviceGraph
from panda_export.onnx_file import write_onnx
from panda_train import backbones
from panda_train.adapt import (
    AdaptConfig,
    AdaptedBackbone,
    RecomputedActivations,
    Source,
    adapt,
    last_checkpoint,
    store,
)
from panda_train.data import natural_images

IMAGES, SIZE, BATCH = 64, 224, 16
CONFIG = AdaptConfig("panda-ses", steps=8, batch=BATCH, learning_rate=0.1, every=0.5, watch=1000)


@pytest.fixture(scope="module")
def backbone() -> backbones.Backbone:
    return backbones.load("efficientnet-lite0").to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.stack(list(natural_images.crops(IMAGES, SIZE, SIZE, seed=0)))


def test_kept_activations_save_time_and_change_nothing(backbone: backbones.Backbone, frames: np.ndarray) -> None:
    head = backbone.adaptable
    stored, recomputed = store(backbone, frames, IMAGES), RecomputedActivations(backbone, frames)
    indices = np.arange(BATCH)
    torch.testing.assert_close(stored.batch(indices), recomputed.batch(indices), rtol=1e-4, atol=1e-4)
    head.requires_grad_(True)
    try:

        def step(source: object) -> None:
            embedding = head(source.batch(indices))[0]  # type: ignore[attr-defined]
            embedding.square().sum().backward()
            head.zero_grad()

        step(stored)
        kept, anew = least(lambda: step(stored), 3), least(lambda: step(recomputed), 3)
    finally:
        head.requires_grad_(False)
    print(
        f"\na training step on {BATCH} images: {kept * 1e3:.0f} ms with kept activations, {anew * 1e3:.0f} ms without"
    )
    print(f"speed-up of a step: {anew / kept:.2f}")
    assert kept < anew


def test_ses_graph_costs_less_than_separate_models(
    backbone: backbones.Backbone, frames: np.ndarray, tmp_path: Path
) -> None:
    source = Source(store(backbone, frames, IMAGES), IMAGES)
    adapted = adapt(backbone, source, CONFIG)
    models = {
        "ses": AdaptedBackbone(backbone, adapted),
        "one": AdaptedBackbone(backbone, last_checkpoint(adapted), "centre"),
    }
    sessions = {}
    for name, model in models.items():
        outputs = ("embedding", "level16", "level8", "level4", "score")
        write_onnx(DeviceGraph(model), tmp_path / f"{name}.onnx", SIZE, SIZE, outputs, {})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        sessions[name] = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"), options)
    times = {
        name: least(lambda s=session: s.run(None, {"frames": frames[:1]}), 15) for name, session in sessions.items()
    }
    heads = len(adapted.heads)
    separate = heads * times["one"]
    print(f"\n{heads} heads in one graph {times['ses'] * 1e3:.1f} ms, {heads} separate models {separate * 1e3:.1f} ms")
    print(f"ratio to one model {times['ses'] / times['one']:.2f}; saved {1 - times['ses'] / separate:.0%}")
    assert times["ses"] < separate
