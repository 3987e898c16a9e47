"""How adaptation runs: the settings, with the defaults that the paper's authors published."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from panda_edge.errors import PandaError
from panda_train.data import outliers

METHODS = ("panda-early", "panda-ses", "panda-ewc", "panda-msc", "panda-oe", "jo")
EMBEDDINGS = ("raw", "unit", "whitened", "rooted")
RIDGES = {"whitened": 0.1, "rooted": 1.0}
"""Embeddings that are whitened for the score, and with which ridge (see `whitening.whiten`)."""


@dataclass(frozen=True)
class AdaptConfig:
    """Settings of one adaptation.

    steps: mini-batches; epochs, where given, replaces it. batch: images of each source a step. clip: largest norm of
    the whole gradient, 0 for none. embedding: `raw` ψ(x); `unit` ψ(x)/‖ψ(x)‖, both in the loss and in the score;
    `whitened` and `rooted` (see `before_whitening`) train as `unit` and are whitened for the score. every: epochs
    between the checkpoints of panda-ses. ewc: λ of Eq. 3 for raw embeddings; divided by their mean squared norm
    where they are of unit length, as the loss is. prior: panda-oe's w is drawn to the direction to the normal images'
    centre, so strongly (`fit_weight`); of unit embeddings alone. Of panda-msc: views, augmented copies of an image that
    are kept, temperature τ, angular, the weight of the angular centre loss (`MeanShifted`), whiten_loss: whether it
    measures angles after whitening, and pull: whether EWC's pull is added. watch: steps between looks at collapse.
    """

    method: str
    steps: int = 2300
    epochs: int | None = None
    batch: int = 32
    learning_rate: float = 1e-2
    momentum: float = 0.9
    weight_decay: float = 5e-5
    clip: float = 1e-3
    embedding: str = "unit"
    every: float = 5.0
    ewc: float = 1e4
    prior: float = 40.0
    views: int = 8
    temperature: float = 0.25
    angular: float = 1.0
    whiten_loss: bool = False
    pull: bool = False
    watch: int = 50
    seed: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise PandaError(f"no method {self.method!r}; there are {', '.join(METHODS)}")
        if self.embedding not in EMBEDDINGS:
            raise PandaError(f"--embedding {self.embedding!r}; expected one of {', '.join(EMBEDDINGS)}")
        if self.method == "panda-msc" and self.embedding == "raw":
            raise PandaError("panda-msc compares directions; give --embedding unit or whitened")
        if self.method in ("panda-ses", "panda-oe") and self.embedding == "rooted":
            raise PandaError(f"{self.method} scores by unit embeddings; --embedding rooted is for the other methods")
        if self.views < 2:
            raise PandaError(f"--views {self.views}; a contrastive loss compares at least 2")
        for name in ("steps", "batch", "learning_rate", "every", "temperature", "watch"):
            if not getattr(self, name) > 0:
                raise PandaError(f"--{name.replace('_', '-')} {getattr(self, name)}; expected a number above 0")
        if self.epochs is not None and self.epochs <= 0:
            raise PandaError(f"--epochs {self.epochs}; expected a number above 0")

    @property
    def unit(self) -> bool:
        """Whether embeddings are divided by their norm."""
        return self.embedding != "raw"

    @property
    def pulled(self) -> bool:
        """Whether Eq. 3 draws the weights to the pretrained ones, so that a Fisher diagonal is needed."""
        return self.method == "panda-ewc" or (self.method == "panda-msc" and self.pull)

    def total_steps(self, images: int) -> int:
        """Mini-batches over `images` normal images."""
        return self.steps if self.epochs is None else self.epochs * steps_an_epoch(images, self.batch)

    def plain(self) -> dict[str, object]:
        """For manifests and checkpoints."""
        return asdict(self)


OWN_DEFAULTS: dict[str, dict[str, Any]] = {
    "dn2": {"embedding": "raw"},
    "panda-msc": {"batch": 64, "learning_rate": 1e-3, "clip": 0.0, "steps": 200},
}
"""Where a method's defaults are others than those of AdaptConfig, which are PANDA's."""


def config_of(method: str, **given: Any) -> AdaptConfig:
    """The defaults of dn2 or of one of METHODS, with the settings given. A setting that is None is not given."""
    chosen = {name: value for name, value in given.items() if value is not None}
    trained = method if method in METHODS else METHODS[0]  # dn2 trains nothing, and reads the embedding alone
    return AdaptConfig(trained, **{**OWN_DEFAULTS.get(method, {}), **chosen})


@dataclass(frozen=True)
class AdaptOptions:
    """What `fit` does to features; the fields are the command's options.

    config: its method is set by `fit`. exposure: folder of outliers for panda-oe; outliers: how they are made from the
    normal images instead, one of `panda_train.data.outliers.KINDS`. fisher: file of the diagonal; None: where
    `panda-train fisher` puts it, made there if it is missing. distance: `knn` or `centre`; for panda-oe `knn`, which is
    added to w·ψ(x), or `none`. pyramid: `pretrained` or `adapted`. resume: go on from the state that a killed run left
    beside the bundle. curves: where to plot the watch on collapse. knn: neighbours that panda-ses and panda-oe average
    in the graph; set by `fit`.
    """

    config: AdaptConfig = field(default_factory=lambda: AdaptConfig("panda-early", embedding="unit"))
    exposure: Path | None = None
    outliers: str | None = None
    fisher: Path | None = None
    distance: str = "knn"
    pyramid: str = "pretrained"
    resume: bool = False
    curves: Path | None = None
    knn: int = 2

    def check(self, method: str) -> None:
        """Raises PandaError where `method`, dn2 or one of METHODS, cannot be run with these; torch is not needed."""
        known = ("knn", "none") if method == "panda-oe" else ("knn", "centre")
        if self.distance not in known:
            raise PandaError(f"--distance {self.distance!r} with {method}; expected {' or '.join(known)}")
        if self.exposure is not None and self.outliers is not None:
            raise PandaError("--exposure and --outliers both say what is exposed; leave one of them out")
        if self.outliers is not None:
            outliers.check_kind(self.outliers)


def steps_an_epoch(images: int, batch: int) -> int:
    """Whole batches in one pass; the rest of the images has its turn in another order, in another epoch."""
    return max(1, images // batch)
