"""A network of the user's own: its named outputs become levels, and the device computes what its graph computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import panda_edge
from panda_edge.bundle.manifest import read_manifest
from panda_edge.bundle.model import Model
from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.fitting import FitOptions, fit
from panda_train.resolution import Resolution

SIDE = 64
MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)


def write_network(path: Path, opset: int = 18, strides: tuple[int, ...] = (4, 16), **changed: object) -> Path:
    """Convolutions of random weights, one behind the other, at these strides; and an embedding of five numbers."""
    random = np.random.default_rng(0)
    nodes, held, outputs, before, channels, reached = [], [], [], "pixels", 3, 1
    for number, stride in enumerate(strides):
        step, count = stride // reached, 4 + number
        held.append(
            numpy_helper.from_array(random.normal(size=(count, channels, step, step)).astype(np.float32), f"w{number}")
        )
        nodes.append(helper.make_node("Conv", [before, f"w{number}"], [f"map{number}"], strides=[step, step]))
        outputs.append(helper.make_tensor_value_info(f"map{number}", TensorProto.FLOAT, [None, count, None, None]))
        before, channels, reached = f"map{number}", count, stride
    held.append(numpy_helper.from_array(random.normal(size=(channels, 5)).astype(np.float32), "w"))
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["vector"]),
    ]
    outputs.append(helper.make_tensor_value_info("vector", TensorProto.FLOAT, [None, 5]))
    shape = changed.get("shape", ["n", 3, None, None])
    given = helper.make_tensor_value_info("pixels", changed.get("type", TensorProto.FLOAT), shape)
    graph = helper.make_graph(nodes, "own", [given], outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    metadata = {"mean": ",".join(map(str, MEAN)), "std": ",".join(map(str, STD)), "licence": "MIT"}
    onnx.helper.set_model_props(model, {**metadata, **changed.get("metadata", {})})
    onnx.save(model, str(path))
    return path


def as_it_is(backbone: str, size: str) -> FitOptions:
    """What `panda-train fit --backbone … --input-size …` asks for."""
    return FitOptions(backbone=backbone, resolution=Resolution(input_size=size), device="cpu")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Of an opset older than the bundle's: it is converted.
    return write_network(tmp_path_factory.mktemp("own") / "own.onnx", opset=13)


def test_a_bundle_of_it_computes_what_it_computes(
    own: Path, sample_data: Path, odd_image: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "x.panda"
    fit(sample_data, bundle, as_it_is(str(own), str(SIDE)))
    manifest = read_manifest(bundle)
    assert manifest.backbone["name"] == "own.onnx"
    assert manifest.backbone["licence"] == "MIT"
    # Strides 4 and 16 leave a gap: the coarser map is resized, so that it is half as fine as the finer one.
    assert [(level.stride, level.channels) for level in manifest.levels] == [(8, 5), (4, 4)]
    frames = np.asarray(Image.open(odd_image).convert("RGB"))[None]
    features = Model(bundle / "model.onnx", 1).run(frames)
    pixels = ((frames - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    fine, _, vector = ort.InferenceSession(own, providers=["CPUExecutionProvider"]).run(None, {"pixels": pixels})
    np.testing.assert_allclose(features.embedding, vector, rtol=1e-4, atol=1e-5)
    # Nested order of one halving: the four children of a cell follow one another.
    rows = fine[0].transpose(1, 2, 0).reshape(8, 2, 8, 2, 4).transpose(0, 2, 1, 3, 4).reshape(256, 4)
    np.testing.assert_allclose(features.levels[1][0], rows, rtol=1e-4, atol=1e-4)
    assert panda_edge.load(bundle).segment(odd_image).heatmap.shape == (SIDE, SIDE)


def test_chosen_outputs_alone_are_taken(own: Path) -> None:
    network = backbones.load_fixed(str(own), outputs=("map1",), size=(SIDE, SIDE))
    assert [(level.stride, level.channels) for level in network.levels] == [(16, 5)]
    assert network.embedding_size == 5  # the mean of the map, as no embedding was chosen


@pytest.mark.parametrize(
    ("changed", "outputs", "words"),
    [
        ({}, ("map7",), "has the outputs map0, map1, vector, not map7"),
        ({}, ("vector",), "expected maps"),
        ({"shape": [1, 3, None, None]}, (), "with a free batch"),
        ({"shape": ["n", 3, 96, 96]}, (), "takes no batch of 2 frames of 64×64"),
        ({"type": TensorProto.FLOAT16}, (), "expected one, float32"),
        ({"metadata": {"std": "1,2"}}, (), "expected three numbers"),
        ({"strides": (3, 6)}, (), "expected cells of a whole number of pixels"),
    ],
)
def test_refused_in_a_line(changed: dict[str, object], outputs: tuple[str, ...], words: str, tmp_path: Path) -> None:
    file = write_network(tmp_path / "own.onnx", **changed)  # type: ignore[arg-type]
    with pytest.raises(PandaError, match=words) as raised:
        backbones.load_fixed(str(file), outputs=outputs, size=(SIDE, SIDE))
    assert "\n" not in str(raised.value)


def test_what_is_no_onnx(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    with pytest.raises(PandaError, match="no such file"):
        backbones.load_fixed(str(file))
    file.write_bytes(b"not a model")
    with pytest.raises(PandaError, match="is not an ONNX model"):
        backbones.load_fixed(str(file))
