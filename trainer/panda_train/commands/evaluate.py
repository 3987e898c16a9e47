"""The command `panda-train evaluate`."""

from __future__ import annotations

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
        typer.Option(help="Pixel figures at the images' own size, too. Default: where they are much larger."),
    ] = None,
    json: Json = False,
) -> None:
    """Score a test set as the device does, and compare with its labels and masks."""
    from panda_edge.bundle.folder import open_bundle
    from panda_train.data.folders import open_dataset

    open_bundle(bundle)
    dataset = open_dataset(data, normal)
    from panda_train.evaluate.evaluation import evaluate as evaluate_bundle
    from panda_train.evaluate.evaluation import in_words

    report = evaluate_bundle(bundle, dataset, threads, fpr, native)
    if json:
        print_json(report)
    else:
        print(in_words(report))
