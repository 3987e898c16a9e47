"""The command `panda-train sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.", show_default=False)],
    texture: Annotated[str, typer.Option(help="brick, grass, gravel or all.")] = "all",
    size: Annotated[
        int, typer.Option(help="Pixels a side: 32 to 192, or 1024 to 4096 with defects of 6 to 60 pixels.")
    ] = 160,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of crops and defects.")] = 0,
) -> None:
    """Make a small data set with defects and masks from scikit-image's photographs; needs no network."""
    from panda_train.data.sample import make_sample

    make_sample(out, seed=seed, texture=texture, size=size)
    print(out)
