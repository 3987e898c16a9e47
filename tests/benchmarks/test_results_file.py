from pathlib import Path

from benchmarks.results_file import ResultsFile


def test_update_keeps_other_fields_and_rows(tmp_path: Path) -> None:
    rows = ResultsFile("banks", tmp_path)
    rows.update("a", speed=1)
    rows.update("b", speed=2)
    rows.update("a", accuracy=0.5)
    assert rows.get("a") == {"speed": 1, "accuracy": 0.5}
    assert ResultsFile("banks", tmp_path).get("b") == {"speed": 2}
    assert rows.get("absent") == {}


def test_two_writers_do_not_lose_each_others_rows(tmp_path: Path) -> None:
    first, second = ResultsFile("banks", tmp_path), ResultsFile("banks", tmp_path)
    first.update("a", speed=1)
    second.update("b", speed=2)
    first.update("c", speed=3)
    assert [second.get(key).get("speed") for key in "abc"] == [1, 2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["banks.json"]
