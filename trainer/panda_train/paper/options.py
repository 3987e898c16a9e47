"""What can be chosen about a run of the paper's protocol, and the methods that it knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from panda_train import backbones
from panda_train.adapt import METHODS, AdaptConfig

COMPARATORS = ("dn2", "centre", "kmeans", "whitened", "rooted", "oc-svm", "oc-svm-pixels", "deep-svdd", "mhrot")
ON_PIXELS = ("oc-svm-pixels", "deep-svdd", "mhrot")
ALL_METHODS = (*COMPARATORS, *METHODS)
SCORED_BY_NEIGHBOURS = (
    "dn2", "whitened", "rooted", "panda-early", "panda-ses", "panda-ewc", "panda-msc", "panda-oe", "jo",
)  # fmt: skip


@dataclass(frozen=True)
class PaperOptions:
    """train_images, test_images: the first so many of each class, None for all. embedding: of all methods; `dn2` is
    run on `raw` besides, which is the paper's. exposed: panda-oe sees training images of so many classes that follow
    the normal one, and its test leaves those out; 0: the images of `exposure` are exposed, or outliers made of the
    normal images (`outliers`, one of `panda_train.data.outliers.KINDS`). adapt_from: the backbone's stage where
    adaptation begins, None for its own. own: settings that single methods have in place of `adapt`'s."""

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
    outliers: str | None = None
    fisher: Path | None = None
    device: str = "cpu"
    adapt: AdaptConfig = field(default_factory=lambda: AdaptConfig("panda-early"))
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def config_of(self, method: str) -> AdaptConfig:
        """Settings of a method that adapts."""
        return replace(self.adapt, method=method, **self.own.get(method, {}))
