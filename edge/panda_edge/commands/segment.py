"""The command `panda-edge segment`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panda_edge.commands.each_image import decided, each_image, warn_of
from panda_edge.commands.options import BundlePath, Epsilon, Fpr, Inputs, Json, Provider, RequireSignature, Roi, Threads
from panda_edge.decide.false_alarms import DEFAULT_FPR

if TYPE_CHECKING:
    from panda_edge.images.inputs import Input


class HeatmapFormat(StrEnum):
    npy = "npy"
    png16 = "png16"


class MapSize(StrEnum):
    model = "model"
    image = "image"


def segment(
    bundle: BundlePath,
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder for heat maps and overlays; made if missing.", show_default=False)],
    heatmap: Annotated[HeatmapFormat, typer.Option(help="float32 .npy, or 16-bit PNG.")] = HeatmapFormat.npy,
    map_size: Annotated[
        MapSize, typer.Option(help="Heat map on the model's input or on the image's pixels.")
    ] = MapSize.model,
    fpr: Fpr = DEFAULT_FPR,
    roi: Roi = None,
    epsilon: Epsilon = 0.0,
    threads: Threads = None,
    provider: Provider = "cpu",
    require_signature: RequireSignature = None,
    json: Json = False,
) -> None:
    """Score images and show where they are anomalous: a heat map and an overlay each."""
    from panda_edge.detector import load
    from panda_edge.visualise.segment_files import SegmentWriter

    detector = load(bundle, threads, provider, epsilon, fpr, require_signature, roi)
    warn_of(detector)
    writer = SegmentWriter(out, detector.bundle.manifest, heatmap.value, map_size is MapSize.image)

    def score(item: Input) -> dict[str, Any]:
        result = detector.segment(item.path)
        written = writer.write(item, result)
        return {**decided(result), "ms": round(result.ms, 3), **written}

    each_image(inputs, score, json)
