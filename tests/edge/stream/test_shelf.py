"""Bundles beside the one at work: applied and undone in one step, finished after a crash at any moment."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from panda_edge.bundle.manifest import read_manifest
from panda_edge.errors import PandaError
from panda_edge.stream.bundles import shelf as module
from panda_edge.stream.bundles.shelf import Shelf


@pytest.fixture
def bundle(calibrated_bundles: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(calibrated_bundles["exact"], tmp_path / "x.panda"))


@pytest.fixture
def other(calibrated_bundles: dict[str, Path]) -> Path:
    return calibrated_bundles["gaussian"]


def prepared(bundle: Path, other: Path, keep: int = 3) -> Shelf:
    shelf = Shelf(bundle, keep)
    shelf.prepare()
    shutil.copytree(other, shelf.next)
    return shelf


def identity(bundle: Path) -> str:
    return read_manifest(bundle).identity


def names(bundle: Path) -> set[str]:
    return {path.name for path in bundle.with_suffix(".bundles").iterdir()}


def test_applied_and_undone(bundle: Path, other: Path) -> None:
    before = identity(bundle)
    shelf = prepared(bundle, other)
    shelf.apply(before, {"who": "Ada", "pictures": ["a.png"]})
    assert identity(bundle) == identity(other)
    assert [(one["number"], one["who"]) for one in shelf.kept()] == [(1, "Ada")]
    with pytest.raises(PandaError, match="try again"):
        shelf.apply(before, {})
    assert Shelf(bundle, 3).undo()["pictures"] == ["a.png"]  # after a restart
    assert identity(bundle) == before
    with pytest.raises(PandaError, match="nothing to undo"):
        shelf.undo()


def test_another_bundle_at_work_is_left(bundle: Path, other: Path) -> None:
    shelf = prepared(bundle, other)
    with pytest.raises(PandaError, match="tried against"):
        shelf.apply("0" * 12, {})
    assert (identity(bundle) != identity(other), names(bundle)) == (True, {"next.panda"})


def test_the_oldest_go(bundle: Path, other: Path) -> None:
    for turn in range(4):
        shelf = prepared(bundle, other if turn % 2 == 0 else bundle, keep=2)
        shelf.apply(identity(bundle), {"turn": turn})
    assert [one["turn"] for one in shelf.kept()] == [3, 2]
    assert names(bundle) == {"0003.panda", "0003.json", "0004.panda", "0004.json"}


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["apply", "undo"])
@pytest.mark.parametrize("at", range(3))
def test_a_crash_leaves_a_whole_bundle_and_the_way_back(
    bundle: Path, other: Path, monkeypatch: pytest.MonkeyPatch, step: str, at: int
) -> None:
    before = identity(bundle)
    shelf = prepared(bundle, other)
    if step == "undo":
        shelf.apply(before, {"who": "Ada"})
    reached = [0]

    def dying(name: str, real: Any) -> None:
        def call(*arguments: Any) -> Any:
            reached[0] += 1
            if reached[0] > at:
                raise Killed
            return real(*arguments)

        monkeypatch.setattr(module, name, call) if name == "swap" else monkeypatch.setattr(os, name, call)

    dying("swap", module.swap)
    dying("rename", os.rename)
    with suppress(Killed):
        shelf.apply(before, {"who": "Ada"}) if step == "apply" else shelf.undo()
    monkeypatch.undo()
    again = Shelf(bundle, 3)
    found = identity(bundle)
    if found == before:
        assert again.kept() == []
    else:
        assert found == identity(other)
        assert [one["who"] for one in again.kept()] == ["Ada"]
        again.undo()
        assert identity(bundle) == before
    again.prepare()
    assert {name for name in names(bundle) if name != "undone.panda"} <= {"0001.panda", "0001.json"}


def test_a_link_to_a_bundle_stays_a_link(bundle: Path, other: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.panda"
    link.symlink_to(bundle)
    before = identity(bundle)
    prepared(link, other).apply(before, {})
    assert link.is_symlink()
    assert identity(link) == identity(other)
