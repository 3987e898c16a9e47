"""The command `panda-edge extend`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line, print_remark, show
from panda_edge.commands.options import BundlePath, Inputs, Json, RequireSignature


def extend(
    bundle: BundlePath,
    inputs: Inputs,
    out: Annotated[Path, typer.Option(metavar="Y.panda", help="The bundle to write.", show_default=False)],
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
    from panda_edge.bundle.signature import SIGNATURE_NAME
    from panda_edge.images.inputs import expand_inputs

    images = []
    for item in expand_inputs(inputs):
        if item.error:
            raise item.error
        images.append(item.path)
    done = extend_bundle(bundle, images, out, max_bank_mb, hold_out, require_signature, show)
    manifest = done.manifest
    copies, kept = done.said
    if copies:
        print_remark(copies)
    if kept:
        print_remark(f"--max-bank-mb {manifest.export['max_bank_mb']:g} keeps {kept}")
    if (bundle / SIGNATURE_NAME).exists():
        print_remark(f"{out}: not signed, as {bundle} is; sign it with `panda-train sign` where devices require it")
    calibration = manifest.calibration or {"images": 0}
    facts = {
        "bundle": str(out),
        "added": done.added,
        "held_out": done.held_out,
        "train_images": manifest.export["train_images"],
        "calibration_images": calibration["images"],
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
    }
    if json:
        print_json(facts)
        return
    held = f", {done.held_out} more only calibrate" if done.held_out else ""
    print_line(
        f"{out}: {done.added} normal images added{held}; {facts['train_images']} in all, calibrated with "
        f"{facts['calibration_images']}, {facts['bytes'] / 1e6:.1f} MB"
    )
