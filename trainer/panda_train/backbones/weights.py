"""Reading checkpoints: never pickled code, never NaN, and one clear line when a file is not the right one."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from panda_edge.errors import PandaError, install


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch checkpoint or of a .safetensors file, by name.

    Raises PandaError for anything else, and for NaN or infinity.
    """
    loaded = _safetensors(path) if path.suffix == ".safetensors" else _checkpoint(path)
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise PandaError(f"{path} holds {type(loaded).__name__}, expected a state dict of named tensors")
    # DataParallel puts this prefix before each name.
    tensors = {str(name).removeprefix("module."): value for name, value in loaded.items()}
    broken = [name for name, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise PandaError(f"{path} has NaN or infinite values in {len(broken)} tensors (first {broken[0]}); use another")
    return tensors


def _safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise PandaError(f"{path} needs safetensors; {install('timm')}") from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise PandaError(f"{path} is not a safetensors file ({str(error)[:100]})") from error


def _checkpoint(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on the pickle protocol of what is no checkpoint
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, BadZipFile, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PandaError(f"{path} is not a torch checkpoint of plain tensors ({reason[:100]})") from error


def fill(module: nn.Module, tensors: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Load `tensors` into `module`, where names and shapes must agree; `name` and `path` are for the message."""
    wanted = module.state_dict()
    # Counters of training batches weigh nothing: old checkpoints lack them.
    optional = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = wanted.keys() - tensors.keys() - optional
    unknown = tensors.keys() - wanted.keys()
    misshapen = {key for key in wanted.keys() & tensors.keys() if wanted[key].shape != tensors[key].shape}
    if missing or unknown or misshapen:
        raise PandaError(
            f"{path} does not hold the weights of {name}: {len(missing)} tensors missing, {len(unknown)} unknown, "
            f"{len(misshapen)} of another shape (first {min(missing | unknown | misshapen)})"
        )
    module.load_state_dict(dict(tensors), strict=False)
