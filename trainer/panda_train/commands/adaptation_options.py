"""The options of adaptation, which `panda-train fit` and `paper` have in common, and those of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer


@dataclass(frozen=True)
class TrainingOptions:
    """How features are adapted to the normal images."""

    panel: ClassVar[str | None] = "Adaptation (methods other than dn2)"
    steps: Annotated[int | None, typer.Option(help="Mini-batches; 2300 if not given, or 200 of panda-msc.")] = None
    learning_rate: Annotated[
        float | None, typer.Option(help="Learning rate of SGD; 0.01 if not given, or 0.001 of panda-msc.")
    ] = None
    clip: Annotated[
        float | None, typer.Option(help="Largest norm of a gradient, 0 for any; 0.001 if not given, or 0 of panda-msc.")
    ] = None
    every: Annotated[float, typer.Option(help="panda-ses: epochs between checkpoints.")] = 5.0
    ewc: Annotated[
        float | None,
        typer.Option(
            help="panda-ewc: strength of the pull (lambda) to the pretrained weights, 10000 if not given; panda-msc "
            "has the pull only if it is given."
        ),
    ] = None
    prior: Annotated[
        float, typer.Option(min=0, help="panda-oe: weight of the distance to the normal images' centre.")
    ] = 40.0
    views: Annotated[int, typer.Option(help="panda-msc: augmented copies of each image that are kept.")] = 8
    temperature: Annotated[float, typer.Option(help="panda-msc: temperature of the contrastive loss.")] = 0.25
    angular: Annotated[float, typer.Option(min=0, help="panda-msc: weight of the angular centre loss.")] = 1.0
    whiten_loss: Annotated[bool, typer.Option("--whiten-loss", help="panda-msc: measure angles after whitening.")] = (
        False
    )
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="Compute in bfloat16 where that is safe.")
    ] = False

    def settings(self) -> dict[str, Any]:
        """As `config_of` takes them."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(TrainingOptions)}
        return {**given, "pull": self.ewc is not None}


@dataclass(frozen=True)
class AdaptationOptions(TrainingOptions):
    """The same for `fit`."""

    panel: ClassVar[str | None] = "Adaptation (--method other than dn2)"
    pyramid: Annotated[str, typer.Option(help="Levels of the pretrained or of the adapted network.")] = "pretrained"
    adapt_from: Annotated[
        int | None, typer.Option(help="Stage of the backbone where adaptation begins; chosen by backbone and pyramid.")
    ] = None
    epochs: Annotated[int | None, typer.Option(help="Passes over the normal images, instead of --steps.")] = None
    batch: Annotated[int | None, typer.Option(help="Images in a mini-batch; 32 if not given, or 64 of panda-msc.")] = (
        None
    )
    fisher_file: Annotated[
        Path | None,
        typer.Option(
            "--fisher",
            help="panda-ewc, or panda-msc with --ewc: file of the Fisher diagonal; made and kept if not given.",
        ),
    ] = None
    exposure: Annotated[Path | None, typer.Option(help="panda-oe: folder of outliers to learn from.")] = None
    outliers: Annotated[
        str | None,
        typer.Option(
            help="panda-oe without --exposure: outliers made of the normal images: made, or only cut, tiles or turned."
        ),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an adaptation that was interrupted.")] = False
    curves: Annotated[Path | None, typer.Option(help="Plot the watch on collapse to this PNG or SVG.")] = None


@dataclass(frozen=True)
class ExposureOptions:
    """What panda-oe learns from, for `paper`."""

    panel: ClassVar[str | None] = "Outliers of panda-oe"
    exposed: Annotated[int, typer.Option(help="Expose the training images of the next so many classes.")] = 4
    exposure: Annotated[Path | None, typer.Option(help="Expose this folder's images instead.")] = None
    outliers: Annotated[
        str | None, typer.Option(help="Expose outliers made of the normal images: made, cut, tiles, turned.")
    ] = None
