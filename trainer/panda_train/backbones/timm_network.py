"""Networks of timm (`--backbone timm:NAME`), by the maps that they give on their way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from panda_edge.bundle.folder import sha256
from panda_edge.errors import PandaError, install
from panda_train.backbones import weights as checkpoints
from panda_train.backbones.fixed import About, FixedBackbone
from panda_train.backbones.pyramid import Map

PREFIX = "timm:"
_USUAL = (4, 8, 16)  # strides that are taken, where a network has them
_FILES = ("model.safetensors", "pytorch_model.bin")  # of a model's folder, as the hub has it
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_NORMAL_STD = (0.229, 0.224, 0.225)


def load(name: str, weights: Path | None, outputs: Sequence[str], size: tuple[int, int]) -> FixedBackbone:
    """A network of timm with its weights, for an input of (height, width).

    Args:
        name: timm's, with or without the name of its weights: `convnext_atto.d2_in1k`.
        weights: A file (safetensors, or a torch checkpoint), or a folder that holds one; None for the hub's.
        outputs: Strides of the maps that become levels; of a network all of whose maps are of one stride (a vision
            transformer), numbers of its blocks from 1. Empty for strides 4, 8 and 16, or the last block.
        size: Of the input.

    Raises:
        PandaError: timm is absent or does not know the name; weights that cannot be fetched, are another network's,
            or hold NaN; outputs that it does not have; a size that it does not take.
    """
    config = _config(name)
    path = _weights_file(name, config, weights)
    return _sized(name, checkpoints.read(path), sha256(path), outputs, size)


def untrained(name: str, outputs: Sequence[str] = (), size: tuple[int, int] = (224, 224)) -> FixedBackbone:
    """The network with random weights: to measure speed and to compare forward passes, never for results."""
    _config(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _sized(name, None, "random weights", outputs, size)


def _sized(
    name: str, tensors: dict[str, Tensor] | None, digest: str, outputs: Sequence[str], size: tuple[int, int]
) -> FixedBackbone:
    config = _config(name)
    model = _model(name, config, tensors, size)
    backbone = _backbone(name, config, model, digest, outputs, size)
    if config.fixed_input_size:
        backbone.at_size = lambda height, width: (
            backbone if (height, width) == size else _sized(name, tensors, digest, outputs, (height, width))
        )
    return backbone


class Intermediates(nn.Module):
    """A model of timm: normalised (B, 3, H, W) → pooled embedding (B, D) and the maps of some of its stages."""

    def __init__(self, model: Any, indices: Sequence[int], norm: bool) -> None:
        """indices: of the stages, or blocks. norm: whether the maps go through the model's last normalisation."""
        super().__init__()
        self.model = model
        self.indices = list(indices)
        self.norm = norm

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        last, maps = self.model.forward_intermediates(x, indices=self.indices, norm=self.norm, output_fmt="NCHW")
        return self.model.forward_head(last, pre_logits=True), list(maps)


def _config(name: str) -> Any:
    try:
        import timm
    except ImportError as error:
        raise PandaError(f"--backbone {PREFIX}{name} needs timm; {install('timm')}") from error
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture}*")[:5] or timm.list_models(f"*{architecture[:6]}*")[:5]
        raise PandaError(f"timm has no model {name!r}" + (f"; there are {', '.join(near)}" if near else ""))
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # an unknown name after the point
        tags = [tag.partition(".")[2] for tag in timm.list_pretrained(f"{architecture}.*")]
        raise PandaError(f"timm has no weights {name!r}; there are {', '.join(tags) or 'none'}") from error
    if config is None:
        raise PandaError(f"timm has no weights of {name!r}; choose another network")
    return config


def _weights_file(name: str, config: Any, given: Path | None) -> Path:
    if given is not None:
        return given if given.is_file() else _in_folder(name, given)
    if not config.hf_hub_id:
        raise PandaError(f"{name} has no weights on the hub; give them with --weights FILE")
    from huggingface_hub import hf_hub_download

    problem: Exception | None = None
    for file in (config.hf_hub_filename,) if config.hf_hub_filename else _FILES:
        try:
            return Path(hf_hub_download(config.hf_hub_id, file))
        except Exception as error:  # many types, of two libraries
            problem = problem or error
    raise PandaError(
        f"cannot fetch the weights of {name} from {config.hf_hub_id} ({type(problem).__name__}); download its "
        f"{_FILES[0]} elsewhere and give --weights FILE"
    ) from problem


def _in_folder(name: str, folder: Path) -> Path:
    """The file of weights in a folder: as the hub names it, else by the network's name, else the only one."""
    files = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES) if folder.is_dir() else []
    for wanted in (*_FILES, *(f"{name}{suffix}" for suffix in _SUFFIXES)):
        for file in files:
            if file.name == wanted:
                return file
    if len(files) == 1:
        return files[0]
    raise PandaError(
        f"--weights {folder}: {len(files)} files of weights; expected {_FILES[0]}, {name}.safetensors, or a single one"
    )


def _model(name: str, config: Any, tensors: dict[str, Tensor] | None, size: tuple[int, int]) -> Any:
    import timm

    options: dict[str, Any] = {"img_size": size} if config.fixed_input_size else {}
    if tensors is not None:
        # Classes are as many as the file has: a head of the user's own is read with the rest, and not used.
        heads = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier or ())
        head = next((tensors[f"{key}.weight"] for key in heads if f"{key}.weight" in tensors), None)
        classes = 0 if head is None else head.shape[0]
        overlay = {"state_dict": dict(tensors), "num_classes": classes, "custom_load": False}
        options |= {"pretrained": True, "num_classes": classes, "pretrained_cfg_overlay": overlay}
    try:
        return timm.create_model(name, **options).eval()
    except (RuntimeError, KeyError, ValueError, TypeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:160]
        what = f"the weights are not those of {name}" if tensors is not None else f"timm cannot build {name}"
        raise PandaError(f"{what}, or it takes no input of {size[0]}×{size[1]} ({reason})") from error


def _backbone(
    name: str, config: Any, model: Any, digest: str, outputs: Sequence[str], size: tuple[int, int]
) -> FixedBackbone:
    if not hasattr(model, "forward_intermediates"):
        raise PandaError(f"timm gives no feature maps of {name}; choose another network")
    strides = [int(entry["reduction"]) for entry in model.feature_info]
    indices = _indices(name, strides, outputs)
    one_stride = len(set(strides)) == 1
    network = Intermediates(model, indices, norm=one_stride)
    multiple = max(strides) if one_stride else max(32, *strides)
    if size[0] % multiple or size[1] % multiple:
        raise PandaError(
            f"input size {size[0]}×{size[1]}: {name} takes multiples of {multiple}; give one with --input-size"
        )
    try:
        with torch.inference_mode():
            embedding, maps = network(torch.zeros(1, 3, *size))
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PandaError(f"{name} takes no input of {size[0]}×{size[1]} ({reason})") from error
    channels = [found.shape[1] for found in maps]
    mean, std = config.mean, config.std or _NORMAL_STD
    about = About(
        f"{PREFIX}{name}",
        digest,
        {"licence": str(config.license or "unknown"), "source": _source(config)},
        tuple(255 * value for value in mean),
        tuple(255 * value for value in std),
    )
    taken = [Map(strides[index], count) for index, count in zip(indices, channels, strict=True)]
    return FixedBackbone(about, network, taken, embedding.shape[1], multiple)


def _source(config: Any) -> str:
    return f"timm, {config.hf_hub_id or config.url or 'no published weights'}"


def _indices(name: str, strides: list[int], outputs: Sequence[str]) -> list[int]:
    """Which stages are taken: the last one of each wanted stride; or blocks by their numbers."""
    last = {stride: index for index, stride in enumerate(strides)}
    if len(last) == 1:  # blocks of one size
        known, what = {str(number): number - 1 for number in range(1, len(strides) + 1)}, "blocks 1 to"
        usual = [len(strides) - 1]
        said = f"{what} {len(strides)}"
    else:
        known = {str(stride): index for stride, index in last.items()}
        usual = [last[stride] for stride in _USUAL if stride in last] or [min(last.values())]
        said = f"strides {', '.join(known)}"
    unknown = [wanted for wanted in outputs if wanted not in known]
    if unknown:
        raise PandaError(f"--outputs {','.join(outputs)}: {name} has {said}, not {unknown[0]}")
    return sorted({known[wanted] for wanted in outputs}) or usual
