"""The results of the paper's protocol as a file: a JSON list, one row a run, which says what the run was made with.

A row that lacks one of SETTINGS was written before rows held it. It is read as made with the value there, which was
the command's default at the time; where another value was used, add it to the row, or the run is made again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panda_edge.errors import PandaError
from panda_edge.whole_file import whole_file
from panda_train.evaluation.metrics import auroc

Row = dict[str, Any]

SETTINGS: Row = {
    "input_size": 224,
    "weights": None,
    "adapt_from": None,
    "knn": 2,
    "clip": 1e-3,
    "mixed_precision": False,
    "every": 5.0,
    "distance": "centre",  # of panda-ses
    "ewc": 1e4,
    "exposed": [],
    "exposure": None,
    "outliers": None,
}


def same_run(row: Row, key: Row) -> bool:
    """Whether a row is of the run that `key` describes."""
    return all(setting(row, name) == value for name, value in key.items())


def setting(row: Row, name: str) -> Any:
    """What a run was made with, by its row; None where the row cannot say."""
    return row.get(name, SETTINGS.get(name))


def auroc_of(scores: np.ndarray, anomalous: np.ndarray) -> float | None:
    """AUROC of scores (N,) and labels bool (N,) as rows have it: in percent, two decimals; None where undefined."""
    value = auroc(scores, anomalous)
    return None if value is None else round(100 * value, 2)


def read(file: Path) -> list[Row]:
    """The rows of a file; none where it does not exist.

    Raises PandaError where it is not a list of rows; the file is left as it is.
    """
    if not file.exists():
        return []
    advice = "repair it, or move it away to start anew"
    try:
        rows = json.loads(file.read_bytes())
    except ValueError as error:  # of JSON, and of UTF-8
        raise PandaError(f"{file}: damaged, not JSON ({error}); {advice}") from error
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise PandaError(f"{file}: not a list of runs, each with its data set, method and class; {advice}")
    return rows


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and {"dataset", "method", "class", "image_auroc"} <= row.keys()


def write(file: Path, rows: Sequence[Row]) -> None:
    """Whole or not at all."""
    with whole_file(file) as part:
        part.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
