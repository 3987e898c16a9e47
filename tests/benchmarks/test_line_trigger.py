"""How answers to triggers become a row."""

from collections import Counter
from pathlib import Path

from benchmarks.endurance.line_trigger import Answer, add, quantile
from benchmarks.lib.results_file import ResultsFile


def test_parts_add_up(tmp_path: Path) -> None:
    rows = ResultsFile("line", tmp_path)
    add(rows, "row", [Answer(40.2, 30.0, 1), Answer(50.0, 30.0, 2), None])
    add(rows, "row", [Answer(90.0, 30.0, 1), Answer(1000.0, None, 3), Answer(900.0, 10.0, 3)])
    row = rows.get("row")
    assert row["triggers"] == 6
    assert row["states"] == {"OK": 2, "NG": 1, "unanswered": 1, "missed, and said so": 2}
    assert row["beyond"] == {"11": 1, "20": 1, "60": 1}  # rounded up
    assert (row["beyond_p50_ms"], row["beyond_p99_ms"], row["beyond_most_ms"]) == (20, 60, 60)
    assert row["whole"] == {"41": 1, "50": 1, "90": 1}
    assert len(row["loads"]) == 2


def test_quantile() -> None:
    counts = Counter({5: 98, 70: 1, 9: 1})
    assert [quantile(counts, share) for share in (0.5, 0.98, 0.99, 1.0)] == [5, 5, 9, 70]
    assert quantile(Counter(), 0.5) is None
