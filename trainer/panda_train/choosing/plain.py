"""What `choose` found, in plain numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from panda_train import backbones
from panda_train.choosing.fit_command import arguments, command
from panda_train.choosing.halving import Row
from panda_train.choosing.options import ChooseOptions


def in_numbers(data: Path, asked: ChooseOptions, rows: Sequence[Row]) -> dict[str, Any]:
    """command: the `panda-train fit` that makes the chosen bundle. chosen, candidates: figures of each, the chosen one
    first; left_out says why one was not taken."""
    return {
        "command": fit_command(data, asked, rows[0]),
        "chosen": _plain(rows[0]),
        "candidates": [_plain(row) for row in rows],
    }


def fit_command(data: Path, asked: ChooseOptions, chosen: Row) -> str:
    """The command line that fits what was chosen."""
    backbone = chosen.candidate.look.backbone or asked.backbone
    given = [
        *(["--normal", asked.normal] if asked.normal is not None else []),
        *(["--backbone", backbone] if backbone != backbones.DEFAULT else []),
        *(["--weights", str(asked.weights)] if asked.weights is not None and backbone == asked.backbone else []),
        *(["--seed", str(asked.seed)] if asked.seed else []),
    ]
    return command(data, given, arguments(chosen.candidate, chosen.verdict))


def _plain(row: Row) -> dict[str, Any]:
    verdict = dataclasses.asdict(row.verdict)
    found = {key: round(value, 4) if isinstance(value, float) else value for key, value in verdict.items()}
    return {"name": row.candidate.name, "rung": row.rung, **found, "left_out": row.left_out or None}
