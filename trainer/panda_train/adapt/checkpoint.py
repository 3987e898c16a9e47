"""Files that are there whole or not at all, so that a killed run can go on from the last one."""

import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from panda_edge.errors import PandaError
from panda_edge.whole_file import whole_file


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; a crash at any moment leaves the old file or the new one."""
    with whole_file(path, sync=True) as part, part.open("wb") as file:
        torch.save(content, file)


def read(path: Path) -> dict[str, Any]:
    """What `save` wrote. Raises PandaError for anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, BadZipFile, ValueError, KeyError) as error:
        raise PandaError(f"{path} is not a checkpoint of panda-train ({type(error).__name__}); remove it") from error
    if not isinstance(content, dict):
        raise PandaError(f"{path} is not a checkpoint of panda-train; remove it")
    return content
