"""Arguments and options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.grouped import option
from panda_edge.errors import PandaError

Data = Annotated[Path, typer.Argument(metavar="DATA", help="MVTec layout, class folders, or a flat folder.")]
BundlePath = Annotated[Path, typer.Argument(metavar="X.panda", help="The bundle.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")]
Normal = Annotated[str | None, typer.Option(metavar="CLASS", help="The normal class, where DATA has class folders.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of model and search.")]
Fpr = Annotated[float, typer.Option(help="False-alarm rate at which pictures are decided on.")]

SmallestDefect = Annotated[
    float | None,
    typer.Option(
        metavar="PIXELS",
        help="Size of the smallest defect to find, in pixels of your own pictures. It chooses scale and tiles.",
    ),
]

Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of every random choice.")]
Device = Annotated[str, typer.Option(help="Where networks run: cpu, cuda or auto.")]


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, of `choose`, `fisher` and `paper`."""

    backbone: str = option("efficientnet-lite0", "Name of the backbone.")
    weights: Path | None = option(None, "File of the backbone's weights, where they cannot be fetched.")


@dataclass(frozen=True)
class AdaptableOptions(NetworkOptions):
    """The same where it is adapted."""

    adapt_from: Annotated[
        int | None, typer.Option(help="Stage of the backbone where adaptation begins; its own if not given.")
    ] = None


def listed(option: str, given: str | None, example: str) -> tuple[str, ...]:
    """The names of an option with commas between, () where it is not given. Raises PandaError for an empty one."""
    names = () if given is None else tuple(name.strip() for name in given.split(","))
    if "" in names:
        raise PandaError(f"{option} {given!r}: expected names or numbers with commas between, such as {example}")
    return names
