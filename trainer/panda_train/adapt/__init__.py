"""Adapting pretrained features to normal images: PANDA-Early, SES, EWC, OE, MSC, and the joint comparator."""

from panda_train.adapt.activations import RecomputedActivations, StoredActivations, keep, store
from panda_train.adapt.adapted import (
    PYRAMIDS,
    SCORES,
    Adapted,
    AdaptedBackbone,
    AdaptedHead,
    last_checkpoint,
    unadapted,
)
from panda_train.adapt.collapse import Look, plot, verdict
from panda_train.adapt.config import EMBEDDINGS, METHODS, OWN_DEFAULTS, AdaptConfig, config_of
from panda_train.adapt.methods import Source, adapt, embeddings, trained_images
from panda_train.adapt.whitening import RIDGES, before_whitening, whiten

__all__ = [
    "EMBEDDINGS",
    "METHODS",
    "OWN_DEFAULTS",
    "PYRAMIDS",
    "RIDGES",
    "SCORES",
    "AdaptConfig",
    "Adapted",
    "AdaptedBackbone",
    "AdaptedHead",
    "Look",
    "RecomputedActivations",
    "Source",
    "StoredActivations",
    "adapt",
    "before_whitening",
    "config_of",
    "embeddings",
    "keep",
    "plot",
    "store",
    "trained_images",
    "last_checkpoint",
    "unadapted",
    "verdict",
    "whiten",
]  # fmt: skip
