"""A network of the user's own (`--backbone FILE.onnx`): named outputs of its graph are the feature maps.

Its input is float32 (batch, 3, height, width) RGB with a free batch. Frames are normalised by `mean` and `std` of the
file's metadata, on the 0-255 scale ("123.7,116.3,103.5"), else by ImageNet's. Its outputs with four axes are maps; one
with two axes, where there is one, is the embedding, else the average of the coarsest map.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from panda_edge.bundle.folder import sha256
from panda_edge.bundle.model import default_threads
from panda_edge.errors import PandaError
from panda_train.backbones.fixed import About, FixedBackbone
from panda_train.backbones.pyramid import Map

SUFFIX = ".onnx"
_MEAN = (255 * 0.485, 255 * 0.456, 255 * 0.406)
_STD = (255 * 0.229, 255 * 0.224, 255 * 0.225)


class OwnNetwork(nn.Module):
    """An ONNX graph run by onnxruntime: normalised (B, 3, H, W) → embedding (B, D) and the maps.

    Torch cannot look into it: the exporter joins `model` with what stands before and behind it.
    """

    def __init__(self, model: onnx.ModelProto, maps: Sequence[str], embedding: str | None) -> None:
        """maps: names of the outputs that are maps. embedding: of the one that is it; None for the mean of the
        coarsest, the one with the fewest cells."""
        super().__init__()
        self.model = model
        self.map_names = tuple(maps)
        self.embedding_name = embedding
        options = ort.SessionOptions()
        options.intra_op_num_threads = default_threads()
        options.log_severity_level = 4
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    @property
    def names(self) -> tuple[str, ...]:
        """All outputs that are taken, in the order in which `finished` takes them."""
        return (*self.map_names, *([self.embedding_name] if self.embedding_name is not None else []))

    def finished(self, found: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The outputs named by `names` → embedding, maps."""
        maps = list(found[: len(self.map_names)])
        if self.embedding_name is not None:
            return found[-1], maps
        return min(maps, key=lambda level: level.shape[2] * level.shape[3]).mean(dim=(2, 3)), maps

    def outputs(self, x: Tensor) -> list[Tensor]:
        """Normalised (B, 3, H, W) → the outputs named by `names`."""
        given = {self._session.get_inputs()[0].name: x.detach().cpu().numpy()}
        return [torch.from_numpy(output) for output in self._session.run(self.names, given)]

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self.finished(self.outputs(x))


def load(file: Path, outputs: Sequence[str], size: tuple[int, int]) -> FixedBackbone:
    """The network in an ONNX file, for an input of (height, width).

    outputs: names of those that are maps, and of one that is the embedding; empty for all that have four axes or two.

    Raises PandaError: no such file, not ONNX, another input, no such output, no map, fixed to another size.
    """
    model = _read(file)
    network = _network(file, model, outputs)
    try:
        embedding, maps = network(torch.zeros(2, 3, *size))
    except Exception as error:  # onnxruntime raises many types, none of them public
        raise PandaError(
            f"{file} takes no batch of 2 frames of {size[0]}×{size[1]} ({' '.join(str(error).split())[:160]}); "
            "expected float32 (batch, 3, height, width) with a free batch; --input-size gives height and width"
        ) from error
    found = [
        Map(_stride(file, name, level, size), level.shape[1])
        for name, level in zip(network.map_names, maps, strict=True)
    ]
    known = {entry.key: entry.value for entry in model.metadata_props}
    about = About(
        str(file.name),
        sha256(file),
        {"licence": known.get("licence", known.get("license", "the user's own")), "source": file.name},
        _three(file, known, "mean", _MEAN),
        _three(file, known, "std", _STD),
    )
    backbone = FixedBackbone(about, network, found, embedding.shape[1], 1)
    backbone.at_size = lambda height, width: (
        backbone if (height, width) == size else load(file, outputs, (height, width))
    )
    return backbone


def _read(file: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(file))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, onnx's, the operating system's
        raise PandaError(f"{file} is not an ONNX model ({' '.join(str(error).split())[:160]})") from error
    return model


def _network(file: Path, model: onnx.ModelProto, outputs: Sequence[str]) -> OwnNetwork:
    axes = {output.name: len(output.type.tensor_type.shape.dim) for output in model.graph.output}
    held = {entry.name for entry in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in held]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise PandaError(f"{file} has {len(inputs)} inputs; expected one, float32 (batch, 3, height, width)")
    unknown = [name for name in outputs if name not in axes]
    if unknown:
        raise PandaError(f"--outputs {','.join(outputs)}: {file} has the outputs {', '.join(axes)}, not {unknown[0]}")
    taken = list(outputs) or list(axes)
    maps = [name for name in taken if axes[name] == 4]
    embeddings = [name for name in taken if axes[name] == 2]
    if not maps or len(embeddings) > 1 or (outputs and len(maps) + len(embeddings) < len(taken)):
        shapes = ", ".join(f"{name} of {count} axes" for name, count in axes.items())
        raise PandaError(
            f"{file} gives {shapes}; expected maps (batch, channels, height, width) and at most one embedding "
            "(batch, numbers), choose with --outputs"
        )
    try:
        return OwnNetwork(model, maps, embeddings[0] if embeddings else None)
    except Exception as error:  # as above
        raise PandaError(f"{file}: onnxruntime cannot load it ({' '.join(str(error).split())[:160]})") from error


def _stride(file: Path, name: str, level: Tensor, size: tuple[int, int]) -> int:
    height, width = level.shape[2:]
    stride = size[0] // height
    if stride < 1 or (stride * height, stride * width) != size:
        raise PandaError(
            f"{file}: {name} has {height}×{width} cells for an input of {size[0]}×{size[1]}; expected cells of a whole "
            "number of pixels, the same in both directions"
        )
    return int(stride)


def _three(file: Path, known: dict[str, str], key: str, default: tuple[float, ...]) -> tuple[float, ...]:
    if key not in known:
        return default
    try:
        values = tuple(float(value) for value in known[key].split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or not np.isfinite(values).all() or (key == "std" and min(values) <= 0):
        raise PandaError(
            f"{file}: {key} {known[key][:60]!r} in its metadata; expected three numbers such as 127,127,127"
        )
    return values
