"""The command `panda-train evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_train.commands.options import BundlePath, Data, Fpr, Json, Normal, Threads


def evaluate(
    bundle: BundlePath,
    data: Data,
    normal: Normal = None,
    threads: Threads = None,
    fpr: Fpr = DEFAULT_FPR,
    native: Annotated[
        bool | None,
        typer.Option(
            help="Compute pixel figures at the images' own size, too. If not given: where they are much larger than "
            "the input."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every test picture's score and verdict as CSV.")
    ] = None,
    json: Json = False,
) -> None:
    """Score a test set as the device does, and compare with its labels and masks."""
    from panda_edge.bundle.folder import open_bundle
    from panda_train.data.folders import open_test_set

    open_bundle(bundle)
    dataset = open_test_set(data, normal)
    from panda_edge.visualise.csv_lines import CsvFile
    from panda_train.evaluation.evaluation import figures, in_words
    from panda_train.evaluation.scored import COLUMNS, score_images

    table = None if csv is None else CsvFile(csv, COLUMNS)
    scored = score_images(bundle, dataset, threads, fpr, native)
    if table is not None:
        for row in scored.rows():
            table.add(row)
        table.close()
    report = figures(scored, fpr)
    if json:
        print_json(report)
    else:
        print(in_words(report))
