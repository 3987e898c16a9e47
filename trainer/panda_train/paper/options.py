"""What can be chosen about a run of the paper's protocol, and the methods that it knows."""

from dataclasses import dataclass, field
from pathlib import Path

from panda_train import backbones
from panda_train.adapt import METHODS, AdaptConfig

COMPARATORS = ("dn2", "centre", "kmeans", "whitened", "oc-svm", "oc-svm-pixels")
ALL_METHODS = (*COMPARATORS, *METHODS)
SCORED_BY_NEIGHBOURS = ("dn2", "whitened", "panda-early", "panda-ses", "panda-ewc", "panda-oe", "jo")


@dataclass(frozen=True)
class PaperOptions:
    """train_images, test_images: the first so many of each class, None for all. embedding: of all methods; `dn2` is
    run on `raw` besides, which is the paper's. exposed: panda-oe sees training images of so many classes that follow
    the normal one, and its test leaves those out; 0: the images of `exposure` are exposed. adapt_from: the backbone's
    stage where adaptation begins, None for its own."""

    methods: tuple[str, ...] = ("dn2", "panda-early", "panda-ses", "panda-ewc")
    classes: tuple[str, ...] = ()
    backbone: str = backbones.DEFAULT
    weights: Path | None = None
    adapt_from: int | None = None
    train_images: int | None = None
    test_images: int | None = None
    knn: int = 2
    input_size: int = 224
    exposed: int = 4
    exposure: tuple[Path, ...] = ()
    fisher: Path | None = None
    device: str = "cpu"
    adapt: AdaptConfig = field(default_factory=lambda: AdaptConfig("panda-early"))
