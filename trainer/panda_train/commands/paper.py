"""The command `panda-train paper`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json
from panda_train.commands.options import AdaptFrom, Backbone, Device, Json, Seed, Weights


def paper(
    dataset: Annotated[
        str, typer.Argument(help="cifar10, cifar100, fashion-mnist, cats-vs-dogs, dior, birds, flowers, wbc, mvtec.")
    ],
    data: Annotated[Path, typer.Option(help="The data set's folder.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of results; runs that are there are not repeated.")],
    methods: Annotated[
        str,
        typer.Option(help="With commas between; also centre, kmeans, whitened, oc-svm, oc-svm-pixels, panda-oe, jo."),
    ] = "dn2,panda-early,panda-ses,panda-ewc",
    classes: Annotated[str, typer.Option(help="With commas between, or all.")] = "all",
    backbone: Backbone = "efficientnet-lite0",
    weights: Weights = None,
    adapt_from: AdaptFrom = None,
    train_images: Annotated[int | None, typer.Option(min=16, help="The first so many of each class; all.")] = None,
    test_images: Annotated[int | None, typer.Option(min=1, help="The first so many of each class; all.")] = None,
    embedding: Annotated[str, typer.Option(help="raw, unit or whitened.")] = "unit",
    knn: Annotated[int, typer.Option(min=1, help="Neighbours the score averages.")] = 2,
    steps: Annotated[int, typer.Option(help="Mini-batches of adaptation.")] = 2300,
    learning_rate: Annotated[float, typer.Option(help="Of SGD.")] = 1e-2,
    clip: Annotated[float, typer.Option(help="Largest norm of a gradient; 0 for none.")] = 1e-3,
    every: Annotated[float, typer.Option(help="panda-ses: epochs between checkpoints.")] = 5.0,
    ewc: Annotated[float, typer.Option(help="panda-ewc: strength of the pull (lambda).")] = 1e4,
    exposed: Annotated[int, typer.Option(help="panda-oe: expose the training images of the next so many classes.")] = 4,
    exposure: Annotated[Path | None, typer.Option(help="panda-oe: expose this folder's images instead.")] = None,
    prior: Annotated[
        float, typer.Option(min=0, help="panda-oe: weight of the distance to the normal images' centre.")
    ] = 40.0,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="bfloat16 where that is safe.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Run the paper's protocol: each class in turn is normal; the table stands beside the paper's figures."""
    from panda_train.adapt import AdaptConfig
    from panda_train.data.folders import open_dataset
    from panda_train.fit import device_of
    from panda_train.paper.options import PaperOptions
    from panda_train.paper.protocol import run_paper
    from panda_train.paper.table import table
    from panda_train.progress import show

    options = PaperOptions(
        methods=tuple(methods.split(",")),
        classes=() if classes == "all" else tuple(classes.split(",")),
        backbone=backbone,
        weights=weights,
        adapt_from=adapt_from,
        train_images=train_images,
        test_images=test_images,
        knn=knn,
        exposed=0 if exposure else exposed,
        exposure=tuple(open_dataset(exposure).train) if exposure else (),
        device=device_of(device),
        adapt=AdaptConfig(
            "panda-early", steps=steps, learning_rate=learning_rate, clip=clip, every=every, ewc=ewc,
            prior=prior, embedding=embedding, seed=seed, mixed_precision=mixed_precision,
        ),
    )  # fmt: skip
    rows = run_paper(dataset, data, out, options, show)
    if json:
        print_json({"rows": rows, "table": table(rows)})
    else:
        print(table(rows))
