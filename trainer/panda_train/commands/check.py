"""The command `panda-train check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import PandaError
from panda_train.commands.options import Data, Json, Normal


def check(
    data: Data,
    normal: Normal = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the pictures, too.")] = None,
    fpr: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="False-alarm rate that the bundle is to promise.")
    ] = DEFAULT_FPR,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 if there is a problem.")] = False,
    json: Json = False,
) -> None:
    """Look at a data set before `fit`: files, copies, masks, and normal pictures unlike the others."""
    from panda_edge.printable import printable
    from panda_edge.visualise.files import write_whole
    from panda_train.check.report import check as check_data
    from panda_train.data.folders import open_dataset

    if html is not None and html.is_dir():
        raise PandaError(f"--html {html}: this is a folder; give the name of a file, such as check.html")
    report = check_data(open_dataset(data, normal), fpr)
    if html is not None:
        from panda_train.check.page import page_of

        write_whole(html, page_of(report))
    if json:
        print_json(report.plain())
    else:
        print("\n".join(printable(line) for line in report.lines()))
    if strict and report.problems:
        raise typer.Exit(1)
