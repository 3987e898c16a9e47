"""The command `panda-edge segment`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from panda_edge.commands.each_image import decided, each_image, warn_of
from panda_edge.commands.grouped import grouped, option
from panda_edge.commands.options import BundlePath, Csv, DetectorOptions, Inputs, Json
from panda_edge.errors import PandaError

if TYPE_CHECKING:
    from panda_edge.images.inputs import Input


HeatmapFormat = StrEnum("HeatmapFormat", ["npy", "png16"])
Style = StrEnum("Style", {"heat": "heat", "outline": "outline", "side_by_side": "side-by-side"})
MapSize = StrEnum("MapSize", ["model", "image"])


@dataclass(frozen=True)
class ShownOptions:
    """How a result is shown."""

    heatmap: HeatmapFormat = option(HeatmapFormat.npy, "Heat maps as float32 .npy, or as 16-bit PNG.")
    map_size: MapSize = option(MapSize.model, "Heat maps in pixels of the model's input, or of the image.")
    overlay: Style = option(Style.heat, "Overlays show the heat map, only outlines, or outlines beside the heat map.")
    masks: bool = option(False, "Write a black and white PNG each, too: white where pixels are anomalous.")
    coco: Path | None = option(None, "Write the regions as COCO JSON: boxes and polygons.", metavar="FILE")


@grouped
def segment(
    bundle: BundlePath,
    inputs: Inputs,
    out: Annotated[Path, typer.Option(help="Folder for heat maps and overlays; made if missing.")],
    shown: ShownOptions,
    opened: DetectorOptions,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Score images and show where they are anomalous: a heat map and an overlay each."""
    from panda_edge.visualise.coco import CocoFile
    from panda_edge.visualise.segment_files import SegmentWriter

    detector, coco = opened.load(bundle), shown.coco
    if detector.decider is None and (shown.masks or coco is not None):
        raise PandaError(
            f"{'--masks' if shown.masks else '--coco'}: {bundle} is not calibrated and calls no pixels anomalous; "
            "fit it with more normal pictures"
        )
    warn_of(detector)
    on_image = shown.map_size is MapSize.image
    manifest = detector.bundle.manifest
    writer = SegmentWriter(out, manifest, shown.heatmap.value, on_image, shown.overlay.value, shown.masks)
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
