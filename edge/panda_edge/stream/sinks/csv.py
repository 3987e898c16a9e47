"""CSV, a line a frame, in a file that is rotated as that of JSON lines is."""

from __future__ import annotations

from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.lines import outcome_line
from panda_edge.stream.sinks.jsonl import JsonLines
from panda_edge.visualise.csv_lines import csv_bytes, csv_line, with_peak

COLUMNS = (
    "id", "source", "frame", "where", "captured", "score", "threshold", "severity", "p_value", "anomalous",
    "not_judged", "regions", "peak", "peak_x", "peak_y", "dropped", "latency_ms",
)  # fmt: skip
"""As the JSON line's fields; regions, peak, peak_x and peak_y as in `csv_lines.COLUMNS`. Notices are not in it."""

HEAD = csv_bytes(csv_line(COLUMNS))


class CsvLines(JsonLines):
    """A line for every frame."""

    def outcome(self, outcome: Outcome) -> None:
        line = with_peak(outcome_line(outcome))
        self._worker.put(csv_bytes(csv_line(line.get(column) for column in COLUMNS)))

    def notice(self, notice: Notice) -> None:
        pass
