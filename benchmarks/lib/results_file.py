"""Measured rows on disk, so that a report can be made in parts and taken up where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.lib.conditions import measured

FOLDER = Path(__file__).parents[1]  # benchmarks/


class ResultsFile:
    """`benchmarks/NAME.json`: {key: row}, NAME such as `speed/results/roi`. Every change is on disk at once.

    A row is one line of the file. Its `measured` says with which commit, on which processor and when it was last
    changed.
    """

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self._path = folder / f"{name}.json"

    def get(self, key: str) -> dict[str, Any]:
        """The row, {} where there is none."""
        return dict(self._read().get(key, {}))

    def names(self) -> list[str]:
        """Names of all rows, in the order in which they came."""
        return list(self._read())

    def update(self, key: str, **fields: Any) -> None:
        """Set fields of a row and keep its others."""
        rows = self._read()  # another process may have written since
        rows[key] = {**rows.get(key, {}), **fields, "measured": measured()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".part")
        temporary.write_text(in_lines(rows), encoding="utf-8")
        os.replace(temporary, self._path)

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._path.read_text("utf-8"))) if self._path.exists() else {}


def in_lines(rows: dict[str, Any]) -> str:
    """JSON with a line a row."""
    lines = [
        f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(row, ensure_ascii=False)}" for key, row in rows.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
