"""The exported graph: nested order by its definition, the same numbers as torch, nothing of this machine inside."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_export.graph import DeviceGraph, nest
from panda_export.onnx_file import OPSET, compare_with_torch, write_onnx
from tiny import TinyBackbone

OUTPUTS = ("embedding", "level16", "level8", "level4")


def nested_cells(height: int, width: int, depth: int) -> list[tuple[int, int]]:
    """(row, column) of each cell in nested order, from the definition: a cell is followed by its four children."""
    cells = [(row, column) for row in range(height) for column in range(width)]
    for _ in range(depth):
        cells = [(2 * row + i, 2 * column + j) for row, column in cells for i in (0, 1) for j in (0, 1)]
    return cells


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (3, 2), (1, 5), (14, 14)])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_nested_order(height: int, width: int, depth: int) -> None:
    level = torch.randn(2, 3, height << depth, width << depth)
    nested = nest(level, depth)
    assert nested.shape == (2, (height * width) << (2 * depth), 3)
    for number, (row, column) in enumerate(nested_cells(height, width, depth)):
        assert (nested[:, number] == level[:, :, row, column]).all()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeviceGraph, Path]:
    graph = DeviceGraph(TinyBackbone())
    path = tmp_path_factory.mktemp("graph") / MODEL_FILE
    differences = write_onnx(graph, path, 64, 96, OUTPUTS, {"backbone": "tiny", "made": "here"})
    assert tuple(differences) == OUTPUTS
    assert all(0 <= difference < 1e-3 for difference in differences.values())
    return graph, path


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_onnxruntime_gives_torchs_numbers(exported: tuple[DeviceGraph, Path], batch: int) -> None:
    graph, path = exported
    frames = np.random.default_rng(batch).integers(0, 256, (batch, 64, 96, 3), dtype=np.uint8)
    found = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"frames": frames})
    with torch.no_grad():
        expected = [output.numpy() for output in graph(torch.from_numpy(frames))]
    assert [array.shape for array in found] == [(batch, 12), (batch, 24, 7), (batch, 96, 5), (batch, 384, 3)]
    for want, got in zip(expected, found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_what_the_file_says(exported: tuple[DeviceGraph, Path]) -> None:
    _, path = exported
    model = onnx.load(path, load_external_data=False)
    assert [path.name for path in path.parent.iterdir()] == [MODEL_FILE]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"backbone": "tiny", "made": "here"}
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == OPSET >= 18
    assert [output.name for output in model.graph.output] == list(OUTPUTS)
    (frames,) = model.graph.input
    shape = [dim.dim_value or dim.dim_param for dim in frames.type.tensor_type.shape.dim]
    assert (frames.name, frames.type.tensor_type.elem_type) == ("frames", onnx.TensorProto.UINT8)
    assert isinstance(shape[0], str)
    assert shape[1:] == [64, 96, 3]


def test_nothing_of_this_machine_is_inside(exported: tuple[DeviceGraph, Path], bundle: Path) -> None:
    for path in (exported[1], bundle / MODEL_FILE):
        content = path.read_bytes()
        here = Path(__file__).parents[2]
        for secret in (str(here), str(Path.home()), "site-packages", ".py", socket.gethostname(), getpass.getuser()):
            if len(secret) > 4 or "." in secret:  # shorter ones occur by chance among weights
                assert secret.encode() not in content, secret


def test_the_same_graph_gives_the_same_bytes(exported: tuple[DeviceGraph, Path], tmp_path: Path) -> None:
    again = DeviceGraph(TinyBackbone())
    write_onnx(again, tmp_path / "again.onnx", 64, 96, OUTPUTS, {"backbone": "tiny", "made": "here"})
    assert (tmp_path / "again.onnx").read_bytes() == exported[1].read_bytes()


def test_a_graph_that_disagrees_fails(exported: tuple[DeviceGraph, Path]) -> None:
    other = DeviceGraph(TinyBackbone())
    with torch.no_grad():
        other.backbone.to8.bias.add_(0.1)
    with pytest.raises(PandaError, match=r"differs from torch's by .* at most 1e-03 relative"):
        compare_with_torch(other, exported[1], 64, 96, OUTPUTS)


def test_a_slight_disagreement_passes_and_is_told(exported: tuple[DeviceGraph, Path]) -> None:
    other = DeviceGraph(TinyBackbone())
    with torch.no_grad():
        other.backbone.to4.bias.add_(1e-4)
    differences = compare_with_torch(other, exported[1], 64, 96, OUTPUTS)
    assert differences["level4"] == pytest.approx(1e-4, rel=0.1)


@pytest.mark.parametrize(("layer", "value"), [("to4", float("inf")), ("embed", float("nan"))])
def test_weights_that_are_not_finite_fail(tmp_path: Path, layer: str, value: float) -> None:
    broken = TinyBackbone()
    with torch.no_grad():
        getattr(broken, layer).weight.view(-1)[0] = value
    with pytest.raises(PandaError):
        write_onnx(DeviceGraph(broken), tmp_path / MODEL_FILE, 64, 64, OUTPUTS, {})
