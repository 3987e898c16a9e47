"""Measured rows on disk, so that a report can be made in parts and taken up where it stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


class ResultsFile:
    """`benchmarks/results/NAME.json`: {key: row}. Every change is on disk at once."""

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
        rows[key] = {**rows.get(key, {}), **fields}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".part")
        temporary.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, self._path)

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._path.read_text("utf-8"))) if self._path.exists() else {}
