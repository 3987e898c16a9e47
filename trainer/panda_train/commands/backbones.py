"""The command `panda-train backbones`."""

from __future__ import annotations

from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.errors import PandaError
from panda_train.commands.options import Json

_MOST = 40  # networks of a pattern that are built and shown


def backbones(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="As fit --backbone takes them; timm:PATTERN with * for several. All built-in ones if not given.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[bool, typer.Option("--time", help="Measure the milliseconds of a frame on this machine.")] = False,
    json: Json = False,
) -> None:
    """List networks: parameters, levels, licence, and what is measured of them."""
    from panda_train.backbones import check, matching
    from panda_train.backbones import names as built_in

    wanted: list[str] = []
    for name in names or built_in():
        found = matching(name) if "*" in name else (name,)
        if len(found) > _MOST:
            raise PandaError(f"{name} fits {len(found)} networks; at most {_MOST} are shown, give a longer pattern")
        wanted += found
    for name in wanted:
        check(name)
    from panda_train.progress import show, waiting

    with waiting("loading torch"):
        from panda_train.backbones.listing import facts, lines
    rows = [facts(name, time) for name in show(wanted, "networks", len(wanted))]
    if json:
        print_json({"backbones": rows})
    else:
        for line in lines(rows):
            print_line(line)
