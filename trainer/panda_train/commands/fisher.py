"""The command `panda-train fisher`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.commands.grouped import grouped
from panda_edge.errors import PandaError
from panda_train.commands.options import AdaptableOptions, Device, Json, Seed


@grouped
def fisher(
    network: AdaptableOptions,
    data: Annotated[
        Path | None, typer.Option(help="ImageNet's class folders; photographs of the installation if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write, if not in the user's cache folder.")] = None,
    batches: Annotated[int, typer.Option(min=1, help="Mini-batches of 32 images.")] = 100,
    input_size: Annotated[int, typer.Option(help="Side of the input in pixels.")] = 224,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Compute the Fisher diagonal that panda-ewc needs, once for a backbone. `fit` makes it, too, if missing."""
    from panda_train import backbones
    from panda_train.fitting import check_device, device_of
    from panda_train.progress import show, waiting

    check_device(device)
    backbones.check(network.backbone, network.weights)
    if data is not None and not data.is_dir():
        raise PandaError(f"--data {data}: no such folder; expected ImageNet's class folders")
    with waiting("loading torch"):
        from panda_train.adapt import fisher as diagonal
    loaded = backbones.load(network.backbone, network.weights, network.adapt_from).to(device_of(device))
    file = out or diagonal.default_file(loaded)
    diagonal.compute(loaded, file, data, input_size, batches, seed, show)
    if json:
        print_json({"fisher": str(file), "backbone": network.backbone})
    else:
        print_line(str(file))
