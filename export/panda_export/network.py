"""First step of an export: the network becomes model.onnx."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge import __version__
from panda_edge.banks.settings import BankSettings
from panda_edge.builder.pictures import Pictures
from panda_edge.bundle.manifest import Level
from panda_edge.bundle.model import Model, default_threads
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.tiling import ALIGNED
from panda_edge.process_group import ALONE, ProcessGroup
from panda_edge.search.picture import FeatureFunction
from panda_export.descriptors import Descriptors, channel_spreads, level_scales
from panda_export.features import torch_features
from panda_export.graph import DeviceGraph, ExportableBackbone, LevelSpec
from panda_export.int8 import CALIBRATION_IMAGES, quantise_if_faster
from panda_export.joined_onnx import is_own, write_joined
from panda_export.onnx_file import write_onnx
from panda_export.options import ExportOptions

_SPREAD_PICTURES = 64  # that channels' spreads are taken from


@dataclass(frozen=True)
class Network:
    """The network as written. run: features of frames. worker: makes a `run` that several threads may call at once.
    precision: what was kept, float32 or int8. differences: of each output, onnxruntime against torch."""

    levels: tuple[Level, ...]
    embedding_size: int
    scores: bool
    precision: str
    differences: dict[str, float]
    run: FeatureFunction
    worker: Callable[[], FeatureFunction]


def write_network(
    staging: Path, backbone: ExportableBackbone, pictures: Pictures, options: ExportOptions, group: ProcessGroup = ALONE
) -> Network:
    """Write model.onnx: the backbone with what the options do to its levels. Raises PandaError, DataError."""
    levels = _levels(backbone, pictures.preprocessing)[: options.bank.kept_levels(len(backbone.levels))]
    spreads = group.on_rank_zero(lambda: _spreads(backbone, pictures, options.bank))
    graph = _graph(backbone, spreads, options.bank)

    def write() -> tuple[dict[str, float], str]:
        differences = _write_model(staging, graph, backbone, pictures.preprocessing, levels)
        if options.precision != "int8":
            return differences, options.precision
        step = max(1, len(pictures) // CALIBRATION_IMAGES)
        numbers = list(range(0, len(pictures), step))[:CALIBRATION_IMAGES]
        faster = quantise_if_faster(staging / MODEL_FILE, list(one_frame_each(pictures, numbers)))
        return differences, "int8" if faster else "float32"

    differences, precision = group.on_rank_zero(write)
    model = staging / MODEL_FILE
    if options.device == "cpu" or precision == "int8":
        # The exported graph itself fills the banks: they then hold the very numbers that a device computes.
        run: FeatureFunction = Model(model, default_threads()).run
        return Network(
            levels, backbone.embedding_size, graph.has_score, precision, differences, run, lambda: Model(model, 1).run
        )
    run = torch_features(graph, options.device)
    return Network(levels, backbone.embedding_size, graph.has_score, precision, differences, run, lambda: run)


def one_frame_each(pictures: Pictures, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """A frame, uint8 (height, width, 3), of each of some pictures; of tiles, another place in each."""
    pictures.keep(numbers)
    for turn, picture in enumerate(pictures.read(numbers)):
        number = turn % picture.view.count
        yield picture.view.frames(picture.canvas, range(number, number + 1))[0]


def _spreads(backbone: ExportableBackbone, pictures: Pictures, options: BankSettings) -> list[np.ndarray] | None:
    return normal_spreads(pictures, torch_features(DeviceGraph(backbone), "cpu")) if options.standardise else None


def _graph(backbone: ExportableBackbone, spreads: Sequence[np.ndarray] | None, options: BankSettings) -> DeviceGraph:
    """The backbone with what the options do to its levels."""
    descriptors = descriptors_of(backbone.levels, options, spreads)
    kept = None if descriptors is None else options.kept_levels(len(backbone.levels))
    return DeviceGraph(backbone, descriptors, kept)


def normal_spreads(pictures: Pictures, run: FeatureFunction) -> list[np.ndarray] | None:
    """What `standardise` divides by: each channel's spread over some normal frames, of each level float64 (C,)."""
    return channel_spreads(one_frame_each(pictures, pictures.spread(_SPREAD_PICTURES)), run) or None


def descriptors_of(
    levels: Sequence[LevelSpec], options: BankSettings, spreads: Sequence[np.ndarray] | None = None
) -> Descriptors | None:
    """What the options do to a backbone's levels, coarse first; None where they leave them alone."""
    sides, padded = options.kind.averaging([level.stride for level in levels], options.averaged)
    if max(sides) == 1 and not options.standardise and options.level_weights is None:
        return None
    scales = level_scales([level.channels for level in levels], options.level_weights, spreads)
    return Descriptors(sides, scales, padded)


def _levels(backbone: ExportableBackbone, preprocessing: Preprocessing) -> tuple[Level, ...]:
    height, width, coarsest = preprocessing.height, preprocessing.width, backbone.levels[0].stride
    multiple = math.lcm(int(getattr(backbone, "input_multiple", 32)), coarsest)
    if height % multiple or width % multiple:
        raise PandaError(f"input size {height}×{width}: both sides must be multiples of {multiple}")
    if preprocessing.tiles is not None and (odd := [lv.stride for lv in backbone.levels if ALIGNED % lv.stride]):
        raise PandaError(
            f"{backbone.name} has a level of stride {odd[0]}: tiles lie {ALIGNED} pixels apart, and take strides that "
            "divide that; leave tiles out, or choose other levels with --outputs"
        )
    return tuple(Level(lv.stride, height // lv.stride, width // lv.stride, lv.channels) for lv in backbone.levels)


def _write_model(
    staging: Path,
    graph: DeviceGraph,
    backbone: ExportableBackbone,
    preprocessing: Preprocessing,
    levels: Sequence[Level],
) -> dict[str, float]:
    outputs = ("embedding", *(f"level{lv.stride}" for lv in levels), *(["score"] if graph.has_score else []))
    properties = {
        "panda_edge": __version__,
        "backbone": backbone.name,
        "weights_sha256": backbone.weights_sha256,
        "input": f"uint8 (batch, {preprocessing.height}, {preprocessing.width}, 3) RGB",
        "levels": "coarse first, (batch, cells, channels), cells in nested order",
    }
    write = write_joined if is_own(backbone) else write_onnx
    return write(graph, staging / MODEL_FILE, preprocessing.height, preprocessing.width, outputs, properties)
