"""Models that give what no backbone gives: refused in a line, when they are opened or at their first frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from fuzz.small_bundles import write_small_bundle
from fuzz.small_model import write_model
from onnx import TensorProto, helper, numpy_helper

import panda_edge
from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.bundle.manifest import read_manifest
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_edge.inspect.bench import _model

PICTURE = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
Graph = onnx.GraphProto


def renamed(graph: Graph, name: str) -> None:
    """What the graph gave as `name` is `raw` from now on."""
    for node in graph.node:
        node.output[:] = ["raw" if output == name else output for output in node.output]
        node.input[:] = ["raw" if given == name else given for given in node.input]


def replaced(graph: Graph, name: str, new: onnx.ValueInfoProto) -> None:
    outputs = [new if output.name == name else output for output in graph.output]
    del graph.output[:]
    graph.output.extend(outputs)


def sequence(graph: Graph) -> None:
    renamed(graph, "embedding")
    graph.node.append(helper.make_node("SequenceConstruct", ["raw"], ["embedding"]))
    replaced(graph, "embedding", helper.make_tensor_sequence_value_info("embedding", TensorProto.FLOAT, None))


def halves(graph: Graph) -> None:
    renamed(graph, "embedding")
    graph.node.append(helper.make_node("Cast", ["raw"], ["embedding"], to=TensorProto.FLOAT16))
    replaced(graph, "embedding", helper.make_tensor_value_info("embedding", TensorProto.FLOAT16, None))


def words(graph: Graph) -> None:
    renamed(graph, "embedding")
    graph.node.append(helper.make_node("Cast", ["raw"], ["embedding"], to=TensorProto.STRING))
    replaced(graph, "embedding", helper.make_tensor_value_info("embedding", TensorProto.STRING, None))


def one_for_all(graph: Graph) -> None:
    renamed(graph, "embedding")
    graph.node.append(helper.make_node("ReduceMean", ["raw"], ["embedding"], axes=[0, 1], keepdims=0))
    replaced(graph, "embedding", helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None))


def floats_in(graph: Graph) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def score(graph: Graph, shape: list[int]) -> None:
    graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), "zeros"))
    graph.node.append(helper.make_node("Identity", ["zeros"], ["score"]))
    graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, None))


CHANGES: dict[str, Callable[[Graph], None]] = {
    "sequence": sequence,
    "halves": halves,
    "words": words,
    "one for all": one_for_all,
    "floats in": floats_in,
    "a score of two numbers": lambda graph: score(graph, [1, 2]),
    "a score of no frame": lambda graph: score(graph, []),
    "scores of two frames": lambda graph: score(graph, [2]),
    "a score that is not asked for": lambda graph: score(graph, [1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_refused(tmp_path: Path, change: str) -> None:
    bundle = tmp_path / "x.panda"
    write_small_bundle(bundle, "exact")
    write_model(bundle / MODEL_FILE)
    model = onnx.load(bundle / MODEL_FILE)
    CHANGES[change](model.graph)
    onnx.save(model, bundle / MODEL_FILE)
    write_manifest(bundle, read_manifest(bundle))
    with pytest.raises(PandaError) as caught:
        panda_edge.load(bundle, threads=1).segment(PICTURE)
    assert len(str(caught.value).splitlines()) == 1
    assert str(bundle) in str(caught.value)


def test_bench_names_a_backbone_without_a_name(tmp_path: Path) -> None:
    bundle = tmp_path / "x.panda"
    write_small_bundle(bundle, "exact")
    write_model(bundle / MODEL_FILE)
    manifest = read_manifest(bundle)
    manifest.backbone.clear()
    write_manifest(bundle, manifest)
    assert _model(panda_edge.load(bundle, threads=1))["backbone"] is None
