"""The exporter: backbone + normal images → bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from panda_edge import __version__
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Detection, Level, Manifest, Segmentation
from panda_edge.bundle.model import Model, default_threads
from panda_edge.decide.calibration import DEFAULT_RULE
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import DataError, PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.search.scoring import Scorer
from panda_export.budget import fit_budget, keep_images, representative_images
from panda_export.bundle_writer import staged_bundle, write_manifest
from panda_export.calibrate import SCALE_IMAGES, calibrate, set_color_scale
from panda_export.descriptors import Descriptors, channel_spreads, level_scales
from panda_export.embedding_banks import write_embeddings
from panda_export.features import FeatureFunction, batched_features, readable_images, torch_features
from panda_export.gallery_banks import JOINT_HNSW_EF, gallery_writer
from panda_export.graph import DeviceGraph, ExportableBackbone
from panda_export.int8 import CALIBRATION_IMAGES, quantise_if_faster
from panda_export.onnx_file import OPSET, write_onnx
from panda_export.options import BankOptions
from panda_export.progress import Progress, silent
from panda_export.selftest import FRAMES, write_selftest

SIGMA = 4.0  # input pixels (SPADE)
_LEAVE_ONE_OUT_IMAGES = 400  # stored images that calibrate: p-values down to 1 / 401


def export_bundle(
    out: Path,
    backbone: ExportableBackbone,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    options: BankOptions,
    *,
    method: Mapping[str, Any],
    held_out: Sequence[Path] = (),
    leave_one_out: bool = False,
    rule: str = DEFAULT_RULE,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    progress: Progress = silent,
) -> Manifest:
    """Write the bundle of `backbone` and the normal `images` to `out`, whole or not at all.

    precision: `float32`, or `int8` where that is faster on this machine. held_out: normal images not among `images`,
    to calibrate decisions with by the image score `rule`. leave_one_out: where there are none, calibrate with images
    of the bank, each scored without itself; only an exact bank can, and only features that were not adapted to those
    images keep the promise. Images that cannot be read are named on stderr and left out. The same inputs and seed
    give the same bytes.
    Raises PandaError, DataError (no readable image), BundleError.
    """
    with staged_bundle(out) as staging:
        levels = _levels(backbone, preprocessing)
        graph = _graph(backbone, images, preprocessing, options)
        differences = _write_model(staging, graph, backbone, preprocessing, levels)
        if precision == "int8" and not quantise_if_faster(staging / MODEL_FILE, _some_frames(images, preprocessing)):
            precision = "float32"
        run = _feature_function(staging, graph, device if precision == "float32" else "cpu")
        leave_one_out = leave_one_out and options.gallery == "exact" and not held_out
        sampled = _LEAVE_ONE_OUT_IMAGES if leave_one_out else SCALE_IMAGES
        written = _write_banks(
            staging, images, preprocessing, options, levels, backbone.embedding_size, run, seed, sampled, progress
        )
        manifest = Manifest(
            method=dict(method),
            backbone={"name": backbone.name, "weights_sha256": backbone.weights_sha256},
            preprocessing=preprocessing,
            embedding_size=backbone.embedding_size,
            levels=levels,
            detection=dataclasses.replace(written.detection, scoring="graph" if graph.has_score else "knn"),
            segmentation=written.segmentation,
            export={
                "opset": OPSET,
                "precision": precision,
                "seed": seed,
                "average": options.averaged,
                "standardise": options.standardise,
                "level_weights": options.level_weights and list(options.level_weights),
                "train_images": written.images,
                "embeddings": options.embeddings,
                "max_bank_mb": options.max_bank_mb,
                "max_bank_mb_chose": written.said,
                "max_abs_difference": {name: float(f"{value:.1e}") for name, value in differences.items()},
            },
            calibration=None,
            evaluation=None,
            files={},
            created_with=f"panda-edge {__version__}",
        )
        manifest = write_manifest(staging, manifest)
        if held_out:
            readable = progress(readable_images(held_out, preprocessing), "calibrate", len(held_out))
            new = ((None, frame) for _, frame in readable)
            manifest = calibrate(staging, manifest, new, rule, run, "held-out")
        elif leave_one_out and len(written.sample) > 1:
            stored = progress(written.sample, "calibrate", len(written.sample))
            manifest = calibrate(staging, manifest, stored, rule, run, "leave-one-out")
        if manifest.calibration is None:
            manifest = set_color_scale(staging, manifest, written.sample, run)
        manifest = write_manifest(staging, manifest)
        scorer = Scorer(Bundle(staging, manifest), default_threads())
        write_selftest(staging, np.stack([frame for _, frame in written.sample[:FRAMES]]), run, scorer)
        return write_manifest(staging, manifest)


@dataclass(frozen=True)
class _Written:
    """sample: some of the normal images, by number in the bank (None: not stored) and frame, uint8 (H, W, 3).
    said: what --max-bank-mb chose."""

    images: int
    detection: Detection
    segmentation: Segmentation
    sample: list[tuple[int | None, np.ndarray]]
    said: str


def _graph(
    backbone: ExportableBackbone, images: Sequence[Path], preprocessing: Preprocessing, options: BankOptions
) -> DeviceGraph:
    """The backbone with what the options do to its levels. A gaussian bank averages for itself, after joining them."""
    average = 1 if options.gallery == "gaussian" else options.averaged
    if average == 1 and not options.standardise and options.level_weights is None:
        return DeviceGraph(backbone)
    spreads = None
    if options.standardise:
        chosen = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, SCALE_IMAGES).astype(int))]
        frames = (frame for _, frame in readable_images(chosen, preprocessing))
        spreads = channel_spreads(frames, torch_features(DeviceGraph(backbone), "cpu")) or None
    scales = level_scales([level.channels for level in backbone.levels], options.level_weights, spreads)
    return DeviceGraph(backbone, Descriptors([level.stride for level in backbone.levels], average, scales))


def _levels(backbone: ExportableBackbone, preprocessing: Preprocessing) -> tuple[Level, ...]:
    height, width, coarsest = preprocessing.height, preprocessing.width, backbone.levels[0].stride
    multiple = max(32, coarsest)
    if height % multiple or width % multiple:
        raise PandaError(f"input size {height}×{width}: both sides must be multiples of {multiple} (224, 256, 320, …)")
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
    return write_onnx(graph, staging / MODEL_FILE, preprocessing.height, preprocessing.width, outputs, properties)


def _some_frames(images: Sequence[Path], preprocessing: Preprocessing) -> list[np.ndarray]:
    """Frames spread evenly over the images."""
    step = max(1, len(images) // CALIBRATION_IMAGES)
    frames = [frame for _, frame in readable_images(images[::step][:CALIBRATION_IMAGES], preprocessing)]
    if not frames:
        raise DataError(f"none of the {len(images)} normal images can be read; see the lines above")
    return frames


def _feature_function(staging: Path, graph: nn.Module, device: str) -> FeatureFunction:
    """On a CPU the exported graph itself fills the banks: they then hold the very numbers that a device computes."""
    if device == "cpu":
        return Model(staging / MODEL_FILE, default_threads()).run
    return torch_features(graph, device)


def _write_banks(
    staging: Path,
    images: Sequence[Path],
    preprocessing: Preprocessing,
    options: BankOptions,
    levels: Sequence[Level],
    embedding_size: int,
    run: FeatureFunction,
    seed: int,
    sampled_images: int,
    progress: Progress,
) -> _Written:
    budget = fit_budget(options, levels, embedding_size, len(images))
    options = budget.options
    gallery = gallery_writer(staging, levels, options, len(images), seed)
    sampled = np.unique(np.linspace(0, len(images) - 1, sampled_images).astype(int))
    embeddings: list[np.ndarray] = []
    sample: list[tuple[int | None, np.ndarray]] = []
    done = 0
    frames = (frame for _, frame in progress(readable_images(images, preprocessing), "features", len(images)))
    for batch, features in batched_features(frames, run):
        embeddings.append(features.embedding)
        gallery.add(features)
        sample += [(int(n), batch[n - done]) for n in sampled if done <= n < done + len(batch)]
        done += len(batch)
    if not done:
        raise DataError(f"none of the {len(images)} normal images can be read; see the lines above")
    count = gallery.close()
    vectors = np.concatenate(embeddings)
    if options.gallery == "exact":
        kept = representative_images(vectors, budget.images)
        keep_images(staging, levels, kept)
        vectors, count = vectors[kept], len(kept)
        numbers: dict[int | None, int] = {int(image): number for number, image in enumerate(kept)}
        sample = [(numbers.get(image), frame) for image, frame in sample]
    detection = write_embeddings(staging, vectors, options, seed)
    segmentation = Segmentation(
        bank=options.gallery,
        count=count,
        neighbors=min(options.neighbors or len(vectors), len(vectors)),
        dtype=options.dtype,
        sigma=SIGMA,
        normal_low=0.0,
        normal_high=0.0,
        ef=JOINT_HNSW_EF if options.gallery == "hnsw" else None,
        average=options.averaged if options.gallery == "gaussian" else 1,
        rank=options.rank if options.gallery == "gaussian" else None,
    )
    return _Written(done, detection, segmentation, sample, budget.said)
