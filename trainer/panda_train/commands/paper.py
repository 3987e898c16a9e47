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
        typer.Option(
            help="With commas between; also centre, kmeans, whitened, rooted, oc-svm, oc-svm-pixels, deep-svdd, mhrot, "
            "panda-msc, panda-oe, jo."
        ),
    ] = "dn2,panda-early,panda-ses,panda-ewc",
    classes: Annotated[str, typer.Option(help="With commas between, or all.")] = "all",
    backbone: Backbone = "efficientnet-lite0",
    weights: Weights = None,
    adapt_from: AdaptFrom = None,
    train_images: Annotated[int | None, typer.Option(min=16, help="The first so many of each class; all.")] = None,
    test_images: Annotated[int | None, typer.Option(min=1, help="The first so many of each class; all.")] = None,
    embedding: Annotated[str, typer.Option(help="raw, unit, whitened or rooted.")] = "unit",
    knn: Annotated[int, typer.Option(min=1, help="Neighbours the score averages.")] = 2,
    steps: Annotated[int | None, typer.Option(help="Mini-batches of adaptation; 2300, or 200 of panda-msc.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of SGD; 0.01, or 0.001 of panda-msc.")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of a gradient, 0: none; 0.001, panda-msc 0.")] = None,
    every: Annotated[float, typer.Option(help="panda-ses: epochs between checkpoints.")] = 5.0,
    ewc: Annotated[
        float | None, typer.Option(help="panda-ewc: strength of the pull (lambda), 10000; panda-msc: adds the pull.")
    ] = None,
    exposed: Annotated[int, typer.Option(help="panda-oe: expose the training images of the next so many classes.")] = 4,
    exposure: Annotated[Path | None, typer.Option(help="panda-oe: expose this folder's images instead.")] = None,
    outliers: Annotated[
        str | None, typer.Option(help="panda-oe: expose outliers made of the normal images: made, cut, tiles, turned.")
    ] = None,
    views: Annotated[int, typer.Option(help="panda-msc: augmented copies of each image that are kept.")] = 8,
    temperature: Annotated[float, typer.Option(help="panda-msc: of the contrastive loss.")] = 0.25,
    angular: Annotated[float, typer.Option(min=0, help="panda-msc: weight of the angular centre loss.")] = 1.0,
    whiten_loss: Annotated[bool, typer.Option("--whiten-loss", help="panda-msc: angles after whitening.")] = False,
    prior: Annotated[
        float, typer.Option(min=0, help="panda-oe: weight of the distance to the normal images' centre.")
    ] = 40.0,
    mixed_precision: Annotated[bool, typer.Option("--mixed-precision", help="bfloat16 where that is safe.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Run the paper's protocol: each class in turn is normal; the table stands beside the paper's figures."""
    from panda_train.adapt import OWN_DEFAULTS, config_of
    from panda_train.data.folders import open_dataset
    from panda_train.paper.options import PaperOptions
    from panda_train.paper.protocol import run_paper
    from panda_train.progress import show

    given = {"steps": steps, "learning_rate": learning_rate, "clip": clip}
    own = {
        method: {name: value for name, value in defaults.items() if given.get(name) is None}
        for method, defaults in OWN_DEFAULTS.items()
    }
    options = PaperOptions(
        methods=tuple(methods.split(",")),
        classes=() if classes == "all" else tuple(classes.split(",")),
        backbone=backbone,
        weights=weights,
        adapt_from=adapt_from,
        train_images=train_images,
        test_images=test_images,
        knn=knn,
        exposed=0 if exposure or outliers else exposed,
        outliers=outliers,
        exposure=tuple(open_dataset(exposure).train) if exposure else (),
        device=device,
        adapt=config_of(
            "panda-early", **given, every=every, ewc=ewc, prior=prior, views=views, temperature=temperature,
            angular=angular, whiten_loss=whiten_loss, pull=ewc is not None, embedding=embedding, seed=seed,
            mixed_precision=mixed_precision,
        ),
        own=own,
    )  # fmt: skip
    rows = run_paper(dataset, data, out, options, show)
    from panda_train.paper.table import table

    if json:
        print_json({"rows": rows, "table": table(rows)})
    else:
        print(table(rows))
