"""The command `panda-edge extend`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panda_edge.commands.console import print_json, print_line, print_remark, show
from panda_edge.commands.options import BundlePath, Inputs, Json, RequireSignature
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import PandaError

if TYPE_CHECKING:
    from panda_edge.builder.trial import Unlike

_MOST_SEVERITY = 1.3  # false alarms lie little above 1: of 190 good tiles, after `fit` on 80, the highest has 1.24


def extend(
    bundle: BundlePath,
    inputs: Inputs,
    out: Annotated[
        Path | None, typer.Option(metavar="Y.panda", help="The bundle to write.", show_default=False)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; say what would become of threshold and size.")
    ] = False,
    max_severity: Annotated[
        float,
        typer.Option(
            min=0, help="Refuse pictures whose score is more than so many times the threshold: defects, most likely."
        ),
    ] = _MOST_SEVERITY,
    max_bank_mb: Annotated[
        float | None, typer.Option(min=0, help="Shrink the bank to at most so many megabytes; the bundle's own limit.")
    ] = None,
    hold_out: Annotated[
        int | None,
        typer.Option(min=0, help="New pictures kept out of the bank to calibrate with; the share that `fit` held out."),
    ] = None,
    require_signature: RequireSignature = None,
    json: Json = False,
) -> None:
    """Add normal pictures, such as confirmed false alarms, to a bundle: bank and calibration are made anew."""
    from panda_edge.builder.extend import extend_bundle
    from panda_edge.builder.trial import figures, unlike
    from panda_edge.bundle.signature import SIGNATURE_NAME
    from panda_edge.images.inputs import expand_inputs

    if out is None and not dry_run:
        raise PandaError("nowhere to write; give --out Y.panda, or --dry-run")
    images = []
    for item in expand_inputs(inputs):
        if item.error:
            raise item.error
        images.append(item.path)
    _refuse_unlike(unlike(bundle, images, max_severity, require_signature, show), max_severity)
    before = figures(bundle, DEFAULT_FPR)
    with tempfile.TemporaryDirectory(prefix="panda-edge-") as folder:
        target = Path(folder) / bundle.name if dry_run or out is None else out
        done = extend_bundle(bundle, images, target, max_bank_mb, hold_out, require_signature, show)
        after = figures(target, DEFAULT_FPR)
    manifest = done.manifest
    copies, kept = done.said
    if copies:
        print_remark(copies)
    if kept:
        print_remark(f"--max-bank-mb {manifest.recipe.bank['max_bank_mb']:g} keeps {kept}")
    if not dry_run and (bundle / SIGNATURE_NAME).exists():
        print_remark(f"{out}: not signed, as {bundle} is; sign it with `panda-train sign` where devices require it")
    calibration = manifest.calibration or {"images": 0}
    facts = {
        "bundle": None if dry_run else str(out),
        "added": done.added,
        "held_out": done.held_out,
        "train_images": manifest.recipe.train_images,
        "calibration_images": calibration["images"],
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
    }
    facts |= {"threshold_before": before["threshold"], "threshold": after["threshold"]}
    if json:
        print_json(facts)
        return
    held = f", {done.held_out} more only calibrate" if done.held_out else ""
    print_line(
        f"{'nothing written' if dry_run else out}: {done.added} normal images added{held}; {facts['train_images']} in "
        f"all, calibrated with {facts['calibration_images']}, {facts['bytes'] / 1e6:.1f} MB"
    )
    if before["threshold"] is not None and after["threshold"] is not None:
        print_line(f"threshold at {DEFAULT_FPR:g}: {before['threshold']:.4g} → {after['threshold']:.4g}")


def _refuse_unlike(found: list[Unlike], most: float) -> None:
    """Raise PandaError where pictures are too far from the normal ones."""
    if not found:
        return
    named = ", ".join(f"{one.path} ({one.severity:.3g})" for one in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    raise PandaError(
        f"severity above {most:g}, as defects have, which would raise the threshold for all: {named}{more}; look at "
        f"them and leave them out, or give --max-severity {found[0].severity * 1.01:.3g}"
    )
