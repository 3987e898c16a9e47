"""The model.onnx of a small bundle: untrained, of a few convolutions, with the levels of `small_bundles`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fuzz.small_bundles import LEVELS, SIDE, SIZE


def write_model(path: Path) -> None:
    """uint8 frames (B, SIDE, SIDE, 3) → embedding (B, SIZE), levels (B, cells, channels). The order of the cells within
    a level is of no account here, and is not the nested one."""
    random = np.random.default_rng(0)
    weights: list[onnx.TensorProto] = []

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    nodes = [
        helper.make_node("Cast", ["frames"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["x0"], perm=[0, 3, 1, 2]),
    ]
    channels, stride, outputs = 3, 1, []
    for number, level in enumerate(reversed(LEVELS), 1):
        by = level.stride // stride
        kernel = random.standard_normal((level.channels, channels, by, by)).astype(np.float32) / 50
        name = f"level{level.stride}"
        shape = constant(f"{name}_shape", np.array([0, level.height * level.width, level.channels], np.int64))
        nodes += [
            helper.make_node("Conv", [f"x{number - 1}", constant(f"{name}_kernel", kernel)], [f"c{number}"],
                             kernel_shape=[by, by], strides=[by, by]),
            helper.make_node("Relu", [f"c{number}"], [f"x{number}"]),
            helper.make_node("Transpose", [f"x{number}"], [f"{name}_last"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_last", shape], [name]),
        ]  # fmt: skip
        outputs.insert(0, helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", None, level.channels]))
        channels, stride = level.channels, level.stride
    turned = constant("turned", random.standard_normal((channels, SIZE)).astype(np.float32))
    nodes += [
        helper.make_node("ReduceMean", [f"x{len(LEVELS)}"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", turned], ["embedding"]),
    ]
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["B", SIDE, SIDE, 3])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", SIZE])
    graph = helper.make_graph(nodes, "small", [frames], [embedding, *outputs], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
