"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BundlePath = Annotated[Path, typer.Argument(metavar="X.panda", help="The bundle.", show_default=False)]
Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...", help="Image files, folders, globs, or - for a list on stdin.", show_default=False
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of model and search; every processor by default.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable results on stdout.")]
Csv = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same results as CSV, whole at the end.", show_default=False),
]
RequireSignature = Annotated[
    str | None,
    typer.Option(
        metavar="PUB",
        help="Use the bundle only if this key has signed it: its line, or a file with it, and with the least version.",
        show_default=False,
    ),
]
Roi = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Look only here: a mask (white inside), or polygons in a .json file.",
        show_default=False,
    ),
]
Provider = Annotated[
    str, typer.Option(help="onnxruntime execution provider: cpu, cuda, tensorrt, openvino, xnnpack, …")
]
Epsilon = Annotated[
    float, typer.Option(help="Heat map distances may be up to 1 + EPSILON times the true ones; faster.")
]
Fpr = Annotated[
    float, typer.Option(help="Share of normal images that may be called anomalous, where the bundle is calibrated.")
]
