"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="MVTec layout, class folders, or a flat folder.", show_default=False)
]
BundlePath = Annotated[Path, typer.Argument(metavar="X.panda", help="The bundle.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable results on stdout.")]
Normal = Annotated[str | None, typer.Option(metavar="CLASS", help="The normal class, where DATA has class folders.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of model and search.")]
Fpr = Annotated[float, typer.Option(help="False-alarm rate of the decision that is judged.")]

SmallestDefect = Annotated[
    float | None,
    typer.Option(
        metavar="PIXELS",
        help="How many pixels, of your own pictures, the smallest defect to find spans; chooses scale and tiles.",
    ),
]

# Of `fisher` and `paper`.
Backbone = Annotated[str, typer.Option(help="A backbone's name.")]
Weights = Annotated[Path | None, typer.Option(help="Checkpoint of the backbone.")]
AdaptFrom = Annotated[int | None, typer.Option(help="Stage of the backbone where adaptation begins, if not its own.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or auto.")]
