"""An ONNX graph of the user's own between what stands before and behind it, as one model.onnx.

frames ─ normalised (torch, exported) ─► the user's graph, as it is ─► nested levels (torch, exported)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import onnx
import torch
from onnx import compose, version_converter
from torch import Tensor, nn

from panda_edge.errors import PandaError
from panda_export.graph import DeviceGraph, ExportableBackbone
from panda_export.onnx_file import OPSET, compare_with_torch, exported, write_cleaned

_NORMALISED = "before_x"


class OwnNetwork(Protocol):
    """An ONNX model that torch cannot look into."""

    model: onnx.ModelProto

    @property
    def names(self) -> Sequence[str]:
        """Outputs of the model that are taken."""

    def outputs(self, x: Tensor) -> list[Tensor]:
        """Normalised (B, 3, H, W) → the outputs named by `names`."""

    def finished(self, found: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Those outputs → embedding (B, D) and maps."""


class OwnBackbone(ExportableBackbone, Protocol):
    """A backbone whose network is one."""

    network: OwnNetwork

    def pyramid(self, maps: Sequence[Tensor], height: int, width: int) -> list[Tensor]:
        """Maps → levels, coarse first."""


def is_own(backbone: ExportableBackbone) -> bool:
    """Whether `write_joined` must write it."""
    return isinstance(getattr(getattr(backbone, "network", None), "model", None), onnx.ModelProto)


def write_joined(
    graph: DeviceGraph, path: Path, height: int, width: int, outputs: tuple[str, ...], properties: Mapping[str, str]
) -> dict[str, float]:
    """As `write_onnx`, of an OwnBackbone. Raises PandaError where its graph does not go together with ours."""
    backbone: OwnBackbone = graph.backbone  # type: ignore[assignment]
    own = backbone.network
    frames = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    found = own.outputs(backbone.normalise(frames))
    taken = tuple(f"map{i}" for i in range(len(found)))
    before = exported(_Before(backbone), frames, ("frames",), ("x",))
    behind = exported(_Behind(graph, height, width), found, taken, outputs)
    try:
        model = _joined(before, _prepared(own.model), behind, own.names, taken)
    except Exception as error:  # onnx raises many types: of its checker, its converter and protobuf
        reason = " ".join(str(error).split())[:200]
        raise PandaError(f"{backbone.name} cannot become part of a bundle's model ({reason})") from error
    write_cleaned(model, path, properties)
    return compare_with_torch(graph, path, height, width, outputs)


class _Before(nn.Module):
    """Frames → what the network takes."""

    def __init__(self, backbone: OwnBackbone) -> None:
        super().__init__()
        self._normalise = backbone.normalise

    def forward(self, frames: Tensor) -> Tensor:
        return self._normalise(frames)


class _Behind(nn.Module):
    """The network's outputs → what the device's graph gives."""

    def __init__(self, graph: DeviceGraph, height: int, width: int) -> None:
        super().__init__()
        self.descriptors = graph.descriptors
        backbone: OwnBackbone = graph.backbone  # type: ignore[assignment]
        self._finished, self._pyramid, self._nested = backbone.network.finished, backbone.pyramid, graph.finished
        self._size = height, width

    def forward(self, found: list[Tensor]) -> tuple[Tensor, ...]:
        embedding, maps = self._finished(found)
        return self._nested(embedding, self._pyramid(maps, *self._size))


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The user's model at the opset of ours."""
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return model if version == OPSET else version_converter.convert_version(model, OPSET)


def _joined(
    before: onnx.ModelProto, own: onnx.ModelProto, behind: onnx.ModelProto, names: Sequence[str], taken: Sequence[str]
) -> onnx.ModelProto:
    """names: outputs of the user's graph that become the inputs `taken` of what stands behind."""
    held = {entry.name for entry in own.graph.initializer}
    given = next(entry.name for entry in own.graph.input if entry.name not in held)
    parts = []
    for part, prefix in ((before, "before_"), (own, "own_"), (behind, "behind_")):
        renamed = compose.add_prefix(part, prefix)
        renamed.ir_version = max(model.ir_version for model in (before, own, behind))
        parts.append(renamed)
    first = compose.merge_models(parts[0], parts[1], [(_NORMALISED, f"own_{given}")])
    pairs = [(f"own_{name}", f"behind_{new}") for name, new in zip(names, taken, strict=True)]
    kept = [f"behind_{output.name}" for output in behind.graph.output]
    whole = compose.merge_models(first, parts[2], pairs, outputs=kept)
    _rename(whole.graph, {"before_frames": "frames", **{name: name.removeprefix("behind_") for name in kept}})
    return whole


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give inputs and outputs of the whole the names that a device expects."""
    for entry in (*graph.input, *graph.output):
        entry.name = names.get(entry.name, entry.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
