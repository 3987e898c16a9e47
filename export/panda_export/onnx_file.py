"""torch → ONNX, checked against torch before anything relies on it."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from panda_edge.bundle.model import Model
from panda_edge.errors import PandaError

OPSET = 18
TOLERANCE = 1e-3  # of an output's largest magnitude
_CHECKED_BATCHES = (1, 7)


def write_onnx(
    graph: nn.Module, path: Path, height: int, width: int, outputs: tuple[str, ...], properties: Mapping[str, str]
) -> dict[str, float]:
    """Write `graph` as one ONNX file with a dynamic batch, then compare it with torch at batch 1 and 7.

    properties go into metadata_props. Returns the largest absolute difference of each output. Raises PandaError
    where one is over TOLERANCE relative, or where the graph's output is not finite.
    """
    example = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    model = exported(graph, example, ("frames",), outputs)
    write_cleaned(model, path, properties)
    return compare_with_torch(graph, path, height, width, outputs)


def exported(
    graph: nn.Module, example: Tensor | list[Tensor], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> onnx.ModelProto:
    """What torch's exporter makes of a module with one argument; the first axis of each tensor is the batch."""
    graph.eval()
    batch = {0: torch.export.Dim("batch")}
    with warnings.catch_warnings(), torch.no_grad(), _without_collecting():
        warnings.simplefilter("ignore")  # the exporter's notes to its own developers
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=([batch for _ in example] if isinstance(example, list) else batch,),
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


def compare_with_torch(
    graph: nn.Module, path: Path, height: int, width: int, outputs: tuple[str, ...]
) -> dict[str, float]:
    """Largest absolute difference of each output between onnxruntime and torch, on random frames. Raises PandaError."""
    model = Model(path, threads=torch.get_num_threads())
    generator = np.random.default_rng(0)
    worst = dict.fromkeys(outputs, 0.0)
    for batch in _CHECKED_BATCHES:
        frames = generator.integers(0, 256, (batch, height, width, 3), dtype=np.uint8)
        with torch.no_grad():
            expected = [output.numpy() for output in graph(torch.from_numpy(frames))]
        features = model.run(frames)
        scores = () if features.score is None else (features.score,)
        for name, want, got in zip(outputs, expected, (features.embedding, *features.levels, *scores), strict=True):
            if want.shape != got.shape:
                raise PandaError(
                    f"the exported graph gives {name} {got.shape} for a batch of {batch}, torch {want.shape}"
                )
            difference, scale = float(np.abs(want - got).max()), float(np.abs(want).max())
            if not difference <= TOLERANCE * scale:
                raise PandaError(
                    f"the exported graph's {name} differs from torch's by {difference:.2e} (largest {scale:.2e}); "
                    f"at most {TOLERANCE:.0e} relative is allowed"
                )
            worst[name] = max(worst[name], difference)
    return worst


@contextmanager
def _without_collecting() -> Iterator[None]:
    """The exporter makes millions of objects that live on: looking for garbage among them takes a fifth of its time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def write_cleaned(model: onnx.ModelProto, path: Path, properties: Mapping[str, str]) -> None:
    """Write a model without the exporter's notes (they hold paths of the exporting machine), with `properties`."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    for function in model.functions:
        function.ClearField("metadata_props")
        function.ClearField("doc_string")
    onnx.helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
