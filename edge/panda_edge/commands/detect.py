"""The command `panda-edge detect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from panda_edge.commands.each_image import decided, each_image, warn_of
from panda_edge.commands.options import BundlePath, Csv, Fpr, Inputs, Json, Provider, RequireSignature, Roi, Threads
from panda_edge.decide.false_alarms import DEFAULT_FPR

if TYPE_CHECKING:
    from panda_edge.images.inputs import Input


def detect(
    bundle: BundlePath,
    inputs: Inputs,
    fpr: Fpr = DEFAULT_FPR,
    roi: Roi = None,
    threads: Threads = None,
    provider: Provider = "cpu",
    require_signature: RequireSignature = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Score images: one line each, higher = more anomalous."""
    from panda_edge.detector import load

    detector = load(bundle, threads, provider, fpr=fpr, require_signature=require_signature, roi=roi)
    warn_of(detector)

    def score(item: Input) -> dict[str, Any]:
        result = detector.detect(item.path)
        return {**decided(result), "ms": round(result.ms, 3)}

    each_image(inputs, score, json, csv)
