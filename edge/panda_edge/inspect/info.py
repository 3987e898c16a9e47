"""What is inside a bundle, for people and for programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from panda_edge import __version__, kernel
from panda_edge.banks import check_banks
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.model import checked_threads
from panda_edge.decide.calibration import promise_in_words
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.images.view import LEAST_SPAN
from panda_edge.inspect.machine import cpu_name
from panda_edge.printable import printable
from panda_edge.search.steps import checked_steps, read_steps


def describe(
    path: Path, threads: int | None = None, require_signature: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Facts of a bundle and of this machine, ready for JSON; `signature` is null where none was required.

    Raises BundleError.
    """
    bundle = open_bundle(path, require_signature)
    manifest, plain = bundle.manifest, bundle.manifest.plain()
    check_banks(manifest, str(path))
    checked_steps(manifest, str(path))
    return {
        "bundle": str(path),
        "format_version": manifest.format_version,
        "created_with": manifest.created_with,
        "method": manifest.method,
        "backbone": manifest.backbone,
        **{
            field: plain[field]
            for field in ("preprocessing", "embedding_size", "detection", "segmentation", "decision")
        },
        "levels": list(plain["levels"]),
        "roi": plain.get("roi"),
        "calibration": manifest.calibration,
        "evaluation": manifest.evaluation,
        "recipe": plain["recipe"],
        "signature": None if bundle.signature is None else bundle.signature.facts(),
        "bytes": bundle.total_bytes(),
        "files": {name: entry.bytes for name, entry in manifest.files.items()},
        "panda_edge": __version__,
        "simd": kernel.simd_level(),
        "simd_levels": list(kernel.simd_levels()),
        "threads": checked_threads(threads),
        "cpu": cpu_name(),
    }


def _how_cut(frame: dict[str, Any]) -> str:
    """How pictures become frames, and what is too small to be seen there."""
    tiles = frame.get("tiles")
    if tiles is None:
        share = LEAST_SPAN / max(frame["width"], frame["height"]) / (frame["cover"] if frame["resize"] == "crop" else 1)
        return f"{frame['resize']}; defects below {100 * share:.0f} % of a side are out of sight"
    if tiles["scale"] is not None:
        least = LEAST_SPAN / tiles["scale"]
        return f"tiles at scale {tiles['scale']:.3g}; defects below {least:.0f} pixels are out of sight"
    return (
        f"tiles of pictures scaled to {tiles['width']}×{tiles['height']}; there, defects below {LEAST_SPAN} pixels are "
        "out of sight"
    )


def describe_in_words(facts: dict[str, Any]) -> str:
    """The same facts in a few lines."""
    frame, found, maps = facts["preprocessing"], facts["detection"], facts["segmentation"]
    levels = ", ".join(
        f"stride {lv['stride']}: {lv['height']}×{lv['width']}×{lv['channels']}" for lv in facts["levels"]
    )
    window = f" within {maps['window']} cells" if maps.get("window") is not None else ""
    steps = "".join(f", {step.said()}" for step in read_steps(maps.get("steps", ()), facts["bundle"]))
    images = (facts["calibration"] or {}).get("images")
    lines = [
        f"{facts['bundle']}  {facts['bytes'] / 1e6:.1f} MB, format {facts['format_version']}",
        f"method      {facts['method'].get('name', '?')} on {facts['backbone'].get('name', '?')}",
        f"input       {frame['width']}×{frame['height']}, {_how_cut(frame)}",
        f"detection   {found['bank']} bank, {found['count']} vectors of {facts['embedding_size']}, knn {found['knn']}",
        f"heat map    {maps['bank']} bank of {maps['count']}, {maps['neighbors']} neighbors{window}, "
        f"{maps['dtype']}{steps}; {levels}",
        *(
            [f"roi         {100 * roi['inside']:.0f} % of a picture ({roi['file']}); nothing else is looked at"]
            if (roi := facts["roi"])
            else []
        ),
        f"decision    {facts['decision']['score']} score; {promise_in_words(images, DEFAULT_FPR)}",
        *([f"signed with key {signed['key']}: {signed['comment']}"] if (signed := facts["signature"]) else []),
        *(f"  {size / 1e6:8.2f} MB  {name}" for name, size in facts["files"].items()),
        f"this machine: {facts['cpu']}, {facts['threads']} threads, {facts['simd']}",
    ]
    return "\n".join(printable(line) for line in lines)
