"""The command `panda-train sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_line


def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    texture: Annotated[str, typer.Option(help="Material of the parts: brick, grass, gravel or all.")] = "all",
    size: Annotated[
        int, typer.Option(help="Pixels a side: 32 to 192, or 1024 to 4096 with defects of 6 to 60 pixels.")
    ] = 160,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of crops and defects.")] = 0,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write its test pictures as a video, too: .mp4, .mkv or .avi.")
    ] = None,
) -> None:
    """Make a small data set with defects and masks from scikit-image's photographs; needs no network."""
    from panda_train.data.sample import make_sample
    from panda_train.data.sample_video import check_video, write_sample_video

    if video is not None:
        check_video(video)
    make_sample(out, seed=seed, texture=texture, size=size)
    print_line(str(out))
    if video is not None:
        write_sample_video(out, video, seed)
        print_line(str(video))
