"""The command `panda-train paper`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json
from panda_edge.commands.grouped import grouped, option
from panda_train.commands.adaptation_options import ExposureOptions, TrainingOptions
from panda_train.commands.options import AdaptableOptions, Device, Json, Seed


@dataclass(frozen=True)
class ProtocolOptions:
    """What is run, and how it is scored."""

    methods: str = option(
        "dn2,panda-early,panda-ses,panda-ewc",
        "Methods, with commas between; also centre, kmeans, whitened, rooted, oc-svm, oc-svm-pixels, "
        "deep-svdd, mhrot, panda-msc, panda-oe, jo.",
    )
    classes: str = option("all", "Classes that are normal in turn, with commas between, or all.")
    train_images: int | None = option(
        None, "Train on the first so many images of each class; on all if not given.", min=16
    )
    test_images: int | None = option(
        None, "Test on the first so many images of each class; on all if not given.", min=1
    )
    embedding: str = option("unit", "Embeddings: raw, unit, whitened or rooted.")
    knn: int = option(2, "Neighbours the score averages.", min=1)


@dataclass(frozen=True)
class MachineOptions:
    """Where it runs, and what it prints."""

    seed: Seed = 0
    device: Device = "auto"
    json: Json = False


@grouped
def paper(
    dataset: Annotated[
        str, typer.Argument(help="cifar10, cifar100, fashion-mnist, cats-vs-dogs, dior, birds, flowers, wbc, mvtec.")
    ],
    data: Annotated[Path, typer.Option(help="The data set's folder.")],
    out: Annotated[Path, typer.Option(help="Folder of results; runs that are there are not repeated.")],
    network: AdaptableOptions,
    protocol: ProtocolOptions,
    training: TrainingOptions,
    outliers: ExposureOptions,
    machine: MachineOptions,
) -> None:
    """Run the paper's protocol: each class in turn is normal; the table stands beside the paper's figures."""
    from panda_train.adapt import OWN_DEFAULTS, config_of
    from panda_train.data.folders import open_dataset
    from panda_train.paper.options import PaperOptions
    from panda_train.paper.protocol import run_paper
    from panda_train.progress import show

    own = {
        method: {name: value for name, value in defaults.items() if getattr(training, name, None) is None}
        for method, defaults in OWN_DEFAULTS.items()
    }
    exposure = outliers.exposure
    options = PaperOptions(
        methods=tuple(protocol.methods.split(",")),
        classes=() if protocol.classes == "all" else tuple(protocol.classes.split(",")),
        **vars(network),
        train_images=protocol.train_images,
        test_images=protocol.test_images,
        knn=protocol.knn,
        exposed=0 if exposure or outliers.outliers else outliers.exposed,
        outliers=outliers.outliers,
        exposure=tuple(open_dataset(exposure).train) if exposure else (),
        device=machine.device,
        adapt=config_of("panda-early", embedding=protocol.embedding, seed=machine.seed, **training.settings()),
        own=own,
    )
    rows = run_paper(dataset, data, out, options, show)
    from panda_train.paper.table import table

    if machine.json:
        print_json({"rows": rows, "table": table(rows)})
    else:
        print(table(rows))
