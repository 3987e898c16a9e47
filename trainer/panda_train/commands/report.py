"""The command `panda-train report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_line
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_train.commands.options import BundlePath, Data, Fpr, Normal, Threads


def report(
    bundle: BundlePath,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write report.html in.")],
    normal: Normal = None,
    fpr: Fpr = DEFAULT_FPR,
    threads: Threads = None,
) -> None:
    """Evaluate, and write one page with figures, curves and the worst images."""
    from panda_edge.bundle.folder import open_bundle
    from panda_train.data.folders import open_dataset

    open_bundle(bundle)
    dataset = open_dataset(data, normal)
    from panda_train.evaluation.report import write_report

    print_line(str(write_report(bundle, dataset, out, threads, fpr)))
