"""How much slower a device is than this machine, by what `panda-edge bench --json` said there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from panda_edge.errors import PandaError
from panda_train.choosing.candidates import Look
from panda_train.resolution import Resolution


def slowness(file: Path, backbone: str, milliseconds_here: Callable[[Look], float]) -> float:
    """The device's milliseconds over this machine's, for the same network on the same frames.

    milliseconds_here: from a decoded picture through the bare model. Search is taken to be as much slower as the model
    is. Raises PandaError as `read_speed` does, and for a network that is not compared.
    """
    look, there, name = read_speed(file)
    if name != backbone:
        raise PandaError(f"--device-speed {file}: of backbone {name}, not {backbone}; bench a bundle with that one")
    return there / milliseconds_here(look)


def read_speed(file: Path) -> tuple[Look, float, str]:
    """How the device looks at pictures, the milliseconds that it takes from a decoded one through the bare model, and
    the name of its backbone.

    Raises PandaError where the file is not of `panda-edge bench --json`, or of a bundle of tiles.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        stages, model, tiles = said["stages_ms"], said["model"], said["tiles"]
        there = float(stages["preprocess"]) + float(stages["backbone"])
        name, precision = str(model["backbone"]), str(model["precision"])
        look = Look("device", Resolution(input_size=f"{int(model['height'])}x{int(model['width'])}"), precision)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PandaError(
            f"--device-speed {file}: expected what `panda-edge bench X.panda --json` prints on the device ({error!r})"
        ) from error
    if tiles is not None:
        raise PandaError(f"--device-speed {file}: of a bundle of tiles; bench one of whole pictures on the device")
    if not there > 0:
        raise PandaError(f"--device-speed {file}: {there:g} ms in the model; expected more than 0")
    return look, there, name
