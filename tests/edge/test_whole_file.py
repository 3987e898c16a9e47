"""Files whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from panda_edge.builder.spread import evenly_spread
from panda_edge.whole_file import part_of, remove_parts, whole_file


@pytest.mark.parametrize("sync", [False, True])
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, sync: bool) -> None:
    file = tmp_path / "new" / "x.json"
    with whole_file(file, sync) as part:
        part.write_text("first")
        assert not file.exists()

    def fail() -> None:
        with whole_file(file, sync) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert file.read_text() == "first"
    assert [path.name for path in file.parent.iterdir()] == ["x.json"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    file, other = tmp_path / "x.json", tmp_path / "y.json"
    for path in (file, other):
        part_of(path, 7).write_text("half")
    remove_parts(file)
    assert list(tmp_path.iterdir()) == [part_of(other, 7)]


def test_evenly_spread_reaches_from_the_first_to_the_last() -> None:
    assert evenly_spread(9, 3).tolist() == [0, 4, 8]
    assert evenly_spread(3, 100).tolist() == [0, 1, 2]
    assert evenly_spread(9, 1).tolist() == [0]
    assert evenly_spread(0, 5).tolist() == []
