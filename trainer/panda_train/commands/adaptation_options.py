"""The options of adaptation, which `panda-train fit` and `paper` have in common, and those of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panda_edge.commands.grouped import option


@dataclass(frozen=True)
class TrainingOptions:
    """How features are adapted to the normal images."""

    panel = "Adaptation (methods other than dn2)"
    steps: int | None = option(None, "Mini-batches; 2300 if not given, or 200 of panda-msc.")
    learning_rate: float | None = option(None, "Learning rate of SGD; 0.01 if not given, or 0.001 of panda-msc.")
    clip: float | None = option(None, "Largest norm of a gradient, 0 for any; 0.001 if not given, or 0 of panda-msc.")
    every: float = option(5.0, "panda-ses: epochs between checkpoints.")
    ewc: float | None = option(
        None,
        "panda-ewc: strength of the pull (lambda) to the pretrained weights; 10000 if not given. panda-msc: no "
        "pull if not given.",
    )
    prior: float = option(40.0, "panda-oe: weight of the distance to the normal images' centre.", min=0)
    views: int = option(8, "panda-msc: augmented copies of each image that are kept.")
    temperature: float = option(0.25, "panda-msc: temperature of the contrastive loss.")
    angular: float = option(1.0, "panda-msc: weight of the angular centre loss.", min=0)
    whiten_loss: bool = option(False, "panda-msc: measure angles after whitening.")
    mixed_precision: bool = option(False, "Compute in bfloat16 where that is safe.")

    def settings(self) -> dict[str, Any]:
        """As `config_of` takes them."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(TrainingOptions)}
        return {**given, "pull": self.ewc is not None}


@dataclass(frozen=True)
class AdaptationOptions(TrainingOptions):
    """The same for `fit`."""

    panel = "Adaptation (--method other than dn2)"
    pyramid: str = option("pretrained", "Levels of the pretrained or of the adapted network.")
    adapt_from: int | None = option(
        None, "Stage of the backbone where adaptation begins; chosen by backbone and pyramid."
    )
    epochs: int | None = option(None, "Passes over the normal images, instead of --steps.")
    batch: int | None = option(None, "Images in a mini-batch; 32 if not given, or 64 of panda-msc.")
    fisher_file: Path | None = option(
        None, "panda-ewc, or panda-msc with --ewc: file of the Fisher diagonal; made and kept if not given.", "--fisher"
    )
    exposure: Path | None = option(None, "panda-oe: folder of outliers to learn from.")
    outliers: str | None = option(
        None, "panda-oe without --exposure: outliers made of the normal images: made, or only cut, tiles or turned."
    )
    resume: bool = option(False, "Go on with an adaptation that was interrupted.")
    curves: Path | None = option(None, "Draw how far training is from collapse, as PNG or SVG.")


@dataclass(frozen=True)
class ExposureOptions:
    """What panda-oe learns from, for `paper`."""

    panel = "Outliers of panda-oe"
    exposed: int = option(4, "Expose the training images of the next so many classes.")
    exposure: Path | None = option(None, "Expose this folder's images instead.")
    outliers: str | None = option(None, "Expose outliers made of the normal images: made, cut, tiles, turned.")
