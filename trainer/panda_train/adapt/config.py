"""How adaptation runs: the settings, with the defaults that the paper's authors published."""

from dataclasses import asdict, dataclass

from panda_edge.errors import PandaError

METHODS = ("panda-early", "panda-ses", "panda-ewc", "panda-oe", "jo")
EMBEDDINGS = ("raw", "unit", "whitened")


@dataclass(frozen=True)
class AdaptConfig:
    """Settings of one adaptation.

    steps: mini-batches; epochs, where given, replaces it. batch: images of each source a step. clip: largest norm of
    the whole gradient, 0 for none. embedding: `raw` ψ(x); `unit` ψ(x)/‖ψ(x)‖, both in the loss and in the score;
    `whitened` trains as `unit` and whitens the adapted embedding for the score. every: epochs between the
    checkpoints of panda-ses. ewc: λ of Eq. 3 for raw embeddings; divided by their mean squared norm
    where they are of unit length, as the loss is. prior: panda-oe's w is drawn to the direction to the normal images'
    centre, so strongly (`fit_weight`); of unit embeddings alone. watch: steps between looks at collapse.
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
    watch: int = 50
    seed: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise PandaError(f"no method {self.method!r}; there are {', '.join(METHODS)}")
        if self.embedding not in EMBEDDINGS:
            raise PandaError(f"--embedding {self.embedding!r}; expected one of {', '.join(EMBEDDINGS)}")
        for name in ("steps", "batch", "learning_rate", "every", "watch"):
            if not getattr(self, name) > 0:
                raise PandaError(f"--{name.replace('_', '-')} {getattr(self, name)}; expected a number above 0")
        if self.epochs is not None and self.epochs <= 0:
            raise PandaError(f"--epochs {self.epochs}; expected a number above 0")

    @property
    def unit(self) -> bool:
        """Whether embeddings are divided by their norm."""
        return self.embedding != "raw"

    def total_steps(self, images: int) -> int:
        """Mini-batches over `images` normal images."""
        return self.steps if self.epochs is None else self.epochs * steps_an_epoch(images, self.batch)

    def plain(self) -> dict[str, object]:
        """For manifests and checkpoints."""
        return asdict(self)


def steps_an_epoch(images: int, batch: int) -> int:
    """Whole batches in one pass; the rest of the images has its turn in another order, in another epoch."""
    return max(1, images // batch)
