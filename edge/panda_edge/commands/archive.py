"""The command `panda-edge archive`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line, show
from panda_edge.commands.grouped import grouped, option
from panda_edge.commands.options import BundlePath, Fpr, Json, RequireSignature
from panda_edge.decide.false_alarms import DEFAULT_FPR


@dataclass(frozen=True)
class ShareOptions:
    """Who shares the work."""

    workers: int | None = option(None, "Processes on this machine; every processor by default.", min=1)
    scheduler: str | None = option(
        None, "Address of a Dask scheduler, whose workers are used instead.", metavar="ADDRESS"
    )
    part: int = option(256, "Pictures of a part, which one process scores.", min=1)


@grouped
def archive(
    bundle: BundlePath,
    folder: Annotated[Path, typer.Argument(help="Pictures, in folders or not.")],
    out: Annotated[Path, typer.Option(help="Folder for parts of JSON lines; made if missing.")],
    shared: ShareOptions,
    fpr: Fpr = DEFAULT_FPR,
    require_signature: RequireSignature = None,
    json: Json = False,
) -> None:
    """Score an archive with many workers (Dask). Killed, it goes on where it was when it is started again."""
    from panda_edge.archive import Archive, score_archive
    from panda_edge.bundle.model import default_threads

    asked = Archive(folder.resolve(), bundle.resolve(), fpr, require_signature, shared.part)
    done = score_archive(asked, out, shared.workers or default_threads(), shared.scheduler, show)
    if json:
        print_json({"out": str(out), **asdict(done)})
    else:
        print_line(f"{out}: {done.images} pictures in {done.parts} parts, {done.before} of them from before")
    if done.failed:
        typer.echo(f"{done.failed} pictures could not be scored; their lines say why", err=True)
        raise typer.Exit(2)
