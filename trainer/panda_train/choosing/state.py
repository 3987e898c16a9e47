"""What has been tried, on disk at once, so that a choice goes on where it was interrupted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.whole_file import whole_file
from panda_train.choosing.judge import Verdict


class State:
    """Verdicts by candidate and rung. Of another data set, or other options, a file is refused."""

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        """path: None keeps nothing. settings: all that verdicts depend on. Raises PandaError."""
        self._path = path
        self._settings = json.loads(json.dumps(settings))
        self._rows: dict[str, dict[str, Any]] = {}
        if path is None or not path.exists():
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            before, self._rows = stored["settings"], dict(stored["rows"])
        except (ValueError, TypeError, KeyError) as error:
            raise PandaError(f"{path}: not a state of `choose`; give --state another name") from error
        if before != self._settings:
            changed = sorted(key for key in {*before, *self._settings} if before.get(key) != self._settings.get(key))
            raise PandaError(f"{path}: was made with another {', '.join(changed)}; give --state another name")

    def get(self, key: str) -> Verdict | None:
        row = self._rows.get(key)
        return None if row is None else Verdict(**row)

    def put(self, key: str, verdict: Verdict) -> None:
        self._rows[key] = dataclasses.asdict(verdict)
        if self._path is None:
            return
        with whole_file(self._path) as part:
            part.write_text(json.dumps({"settings": self._settings, "rows": self._rows}) + "\n", encoding="utf-8")
