"""Files that are there whole or not at all, so that a killed run can go on from the last one."""

import os
import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from panda_edge.errors import PandaError


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values; a crash at any moment leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """What `save` wrote. Raises PandaError for anything else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, BadZipFile, ValueError, KeyError) as error:
        raise PandaError(f"{path} is not a checkpoint of panda-train ({type(error).__name__}); remove it") from error
    if not isinstance(content, dict):
        raise PandaError(f"{path} is not a checkpoint of panda-train; remove it")
    return content
