"""The command `panda-edge segment`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panda_edge.commands.each_image import decided, each_image, warn_of
from panda_edge.commands.options import (
    BundlePath,
    Csv,
    Epsilon,
    Fpr,
    Inputs,
    Json,
    Provider,
    RequireSignature,
    Roi,
    Threads,
)
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import PandaError

if TYPE_CHECKING:
    from panda_edge.images.inputs import Input


class HeatmapFormat(StrEnum):
    npy = "npy"
    png16 = "png16"


class Style(StrEnum):
    heat = "heat"
    outline = "outline"
    side_by_side = "side-by-side"


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
    overlay: Annotated[
        Style,
        typer.Option(help="Overlays show the heat map, only outlines, or outlines beside the heat map."),
    ] = Style.heat,
    masks: Annotated[
        bool, typer.Option("--masks", help="A black and white PNG each, too: white where pixels are anomalous.")
    ] = False,
    coco: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The regions as COCO JSON: boxes and polygons.", show_default=False),
    ] = None,
    fpr: Fpr = DEFAULT_FPR,
    roi: Roi = None,
    epsilon: Epsilon = 0.0,
    threads: Threads = None,
    provider: Provider = "cpu",
    require_signature: RequireSignature = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Score images and show where they are anomalous: a heat map and an overlay each."""
    from panda_edge.detector import load
    from panda_edge.visualise.coco import CocoFile
    from panda_edge.visualise.segment_files import SegmentWriter

    detector = load(bundle, threads, provider, epsilon, fpr, require_signature, roi)
    if detector.decider is None and (masks or coco is not None):
        raise PandaError(
            f"{'--masks' if masks else '--coco'}: {bundle} is not calibrated and calls no pixels anomalous; "
            "fit it with more normal pictures"
        )
    warn_of(detector)
    on_image = map_size is MapSize.image
    writer = SegmentWriter(out, detector.bundle.manifest, heatmap.value, on_image, overlay.value, masks)
    regions = None if coco is None else CocoFile(coco)

    def score(item: Input) -> dict[str, Any]:
        result = detector.segment(item.path)
        written = writer.write(item, result)
        if regions is not None:
            regions.add(str(item.path), result)
        return {**decided(result), "ms": round(result.ms, 3), **written}

    try:
        each_image(inputs, score, json, csv)
    finally:
        if regions is not None:
            regions.close()
