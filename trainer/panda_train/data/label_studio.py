"""Which image a mask of Label Studio's brush export is of: its name has a task's number, the JSON export the image."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from panda_edge.errors import DataError
from panda_edge.images.formats import is_image_name

_MASK = re.compile(r"task-(\d+)-annotation-.+")
_PREFIX = re.compile(r"[0-9a-f]{8}-")  # what Label Studio puts before an uploaded file's name
_MOST_BYTES = 1 << 30


def images_of_tasks(folder: Path, masks: Iterable[Path]) -> dict[Path, str]:
    """Each mask that such an export wrote with the name of its image, by the JSON files of a folder. Raises DataError
    where there are such masks and no export that names their tasks."""
    tasks = {mask: int(found[1]) for mask in masks if (found := _MASK.fullmatch(mask.stem))}
    if not tasks:
        return {}
    names: dict[int, str] = {}
    for export in sorted(folder.glob("*.json")):
        names |= dict(_named(export))
    missing = [mask for mask, task in tasks.items() if task not in names]
    if missing:
        raise DataError(
            f"{missing[0]}: a mask of Label Studio, whose task no JSON file in {folder} names; put its JSON there"
        )
    return {mask: names[task] for mask, task in tasks.items()}


def _named(export: Path) -> Iterator[tuple[int, str]]:
    try:
        if export.stat().st_size > _MOST_BYTES:
            return
        plain = json.loads(export.read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    for task in plain if isinstance(plain, list) else ():
        if isinstance(task, dict) and isinstance(task.get("id"), int):
            for value in _strings(task):
                name = unquote(value).replace("\\", "/").rpartition("/")[2]
                if is_image_name(Path(name)):
                    yield task["id"], _PREFIX.sub("", name, count=1)
                    break


def _strings(task: dict[str, Any]) -> Iterator[str]:
    """What may be the image's name, the surest first."""
    data = task.get("data")
    for value in (*(data.values() if isinstance(data, dict) else ()), task.get("file_upload"), *task.values()):
        if isinstance(value, str):
            yield value
