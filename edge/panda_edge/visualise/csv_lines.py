"""Results as CSV: lines that a spreadsheet opens as they are, and never runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from panda_edge.printable import rounded
from panda_edge.visualise.files import make_folder, write_whole

COLUMNS = (
    "input", "score", "threshold", "severity", "p_value", "anomalous", "regions", "peak", "peak_x", "peak_y", "ms",
    "error",
)  # fmt: skip
"""Of `detect` and `segment`, a line a picture. regions: how many; peak: the highest heat map value of the first, at
(peak_x, peak_y) in pixels of the picture. ms: milliseconds of the picture. error: why there is no score."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the begin of a formula


def csv_line(values: Iterable[object]) -> str:
    """One line, without its end, quoted where CSV asks for it (RFC 4180).

    None is empty, True and False are `true` and `false`, numbers have the digits that they have. Text that a
    spreadsheet would run as a formula gets an apostrophe before it, which spreadsheets do not show.
    """
    stream = io.StringIO()
    # With the end of a line as RFC 4180 has it, a break within a name is quoted, too.
    csv.writer(stream, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return stream.getvalue().removesuffix("\r\n")


def csv_bytes(line: str) -> bytes:
    """A line with its end, in UTF-8; a file's name that is no UTF-8 is escaped."""
    return (line + "\n").encode("utf-8", errors="backslashreplace")


def picture_row(line: Mapping[str, Any]) -> list[object]:
    """A result line of `detect` or `segment` in the order of COLUMNS."""
    flat = with_peak(line)
    return [flat.get(column) for column in COLUMNS]


def with_peak(line: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON line whose regions are replaced by their number and where the highest peak is."""
    regions = line.get("regions")
    first = regions[0] if regions else {}
    x, y = first.get("peak_at", (None, None))
    count = None if regions is None else len(regions)
    return {**line, "regions": count, "peak": first.get("peak"), "peak_x": x, "peak_y": y}


class CsvFile:
    """Rows that are kept, and written whole or not at all at the end."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Raises PandaError where the folder of `path` cannot be made."""
        self._path = path
        self._lines = [csv_bytes(csv_line(columns))]
        make_folder(path.absolute().parent)  # now, before the work

    def add(self, row: Iterable[object]) -> None:
        self._lines.append(csv_bytes(csv_line(row)))

    def close(self) -> None:
        """Raises DiskError, PandaError."""
        write_whole(self._path, b"".join(self._lines))


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return rounded(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
