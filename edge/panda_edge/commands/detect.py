"""The command `panda-edge detect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from panda_edge.commands.each_image import decided, each_image, warn_of
from panda_edge.commands.grouped import grouped
from panda_edge.commands.options import BundlePath, Csv, DetectorOptions, Inputs, Json

if TYPE_CHECKING:
    from panda_edge.images.inputs import Input


@grouped
def detect(bundle: BundlePath, inputs: Inputs, opened: DetectorOptions, csv: Csv = None, json: Json = False) -> None:
    """Score images: one line each, higher = more anomalous."""
    detector = opened.load(bundle)
    warn_of(detector)

    def score(item: Input) -> dict[str, Any]:
        result = detector.detect(item.path)
        return {**decided(result), "ms": round(result.ms, 3)}

    each_image(inputs, score, json, csv)
