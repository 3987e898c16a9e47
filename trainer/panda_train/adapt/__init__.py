"""Adapting pretrained features to normal images: PANDA-Early, SES, EWC, OE, MSC, and the joint comparator.

What runs networks is imported on first use, so that settings can be checked before torch is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from panda_train.adapt.config import EMBEDDINGS, METHODS, OWN_DEFAULTS, RIDGES, AdaptConfig, AdaptOptions, config_of

if TYPE_CHECKING:
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
    from panda_train.adapt.loop import Run
    from panda_train.adapt.methods import Source, adapt, embeddings, trained_images
    from panda_train.adapt.whitening import before_whitening, whiten

__all__ = [
    "EMBEDDINGS",
    "METHODS",
    "OWN_DEFAULTS",
    "PYRAMIDS",
    "RIDGES",
    "SCORES",
    "AdaptConfig",
    "AdaptOptions",
    "Adapted",
    "AdaptedBackbone",
    "AdaptedHead",
    "Look",
    "RecomputedActivations",
    "Run",
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

_ON_FIRST_USE = {
    "activations": ("RecomputedActivations", "StoredActivations", "keep", "store"),
    "adapted": ("PYRAMIDS", "SCORES", "Adapted", "AdaptedBackbone", "AdaptedHead", "last_checkpoint", "unadapted"),
    "collapse": ("Look", "plot", "verdict"),
    "loop": ("Run",),
    "methods": ("Source", "adapt", "embeddings", "trained_images"),
    "whitening": ("before_whitening", "whiten"),
}


def __getattr__(name: str) -> Any:
    for module, names in _ON_FIRST_USE.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
