"""Labels of pictures: files in a folder a label, with undo, whole after a crash."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from panda_edge.errors import PandaError
from panda_edge.images.labelled import labelled_pictures
from panda_edge.stream.bundles.labels import JOURNAL, Labels

ONE, TWO = "0123456789ab-1", "0123456789ab-22"
PICTURE = "camera.png", b"pixels"


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return Labels(tmp_path / "labels")


def files(labels: Labels) -> set[str]:
    return {str(path.relative_to(labels.folder)) for path in labels.folder.rglob("*.png")}


def test_a_label_is_the_folder_of_the_file(labels: Labels) -> None:
    assert labels.set(ONE, "normal", "Ada", PICTURE) is None
    assert labels.set(TWO, "defect", "Ada", PICTURE) is None
    assert files(labels) == {f"test/good/{ONE}_camera.png", f"test/defect/{TWO}_camera.png"}
    assert labels.set(ONE, "unsure", "Bo", None) == "normal"
    assert files(labels) == {f"unsure/{ONE}_camera.png", f"test/defect/{TWO}_camera.png"}
    assert labels.counts() == {"normal": 0, "defect": 1, "unsure": 1, "joined": 0}
    found = labelled_pictures(labels.folder)
    assert ([path.name for path in found["defects"]], found["normal"]) == ([f"{TWO}_camera.png"], [])


def test_undo_goes_back_as_far_as_labels_go(labels: Labels) -> None:
    for label in ("normal", "defect", "unsure"):
        labels.set(ONE, label, "Ada", PICTURE)
    assert labels.undo(ONE, "Ada") == ("unsure", "defect")
    again = Labels(labels.folder)  # after a restart, too
    assert again.undo(ONE, "Ada") == ("defect", "normal")
    assert again.undo(ONE, "Ada") == ("normal", None)
    assert files(again) == set()
    with pytest.raises(PandaError, match="nothing to undo"):
        again.undo(ONE, "Ada")


def test_what_is_in_the_bundle_keeps_its_label(labels: Labels) -> None:
    labels.set(ONE, "normal", "Ada", PICTURE)
    labels.set(TWO, "defect", "Ada", PICTURE)
    labels.join([f"{ONE}_camera.png", f"{TWO}_camera.png", "unknown.png"], joined=True)
    assert files(labels) == {f"train/good/{ONE}_camera.png", f"test/defect/{TWO}_camera.png"}
    assert labels.all("normal") == []
    with pytest.raises(PandaError, match="undo the bundle first"):
        labels.undo(ONE, "Ada")
    again = Labels(labels.folder)
    assert again.counts() == {"normal": 0, "defect": 1, "unsure": 0, "joined": 1}
    again.join([f"{ONE}_camera.png"], joined=False)
    assert files(again) == {f"test/good/{ONE}_camera.png", f"test/defect/{TWO}_camera.png"}
    again.undo(ONE, "Ada")


def test_a_crash_leaves_the_label_before_or_the_new_one(labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    labels.set(ONE, "normal", "Ada", PICTURE)
    with (labels.folder / JOURNAL).open("a") as stream:
        stream.write('{"id": "01234567')  # cut short
    (labels.folder / "test/good/.0a.99.part").write_bytes(b"half")
    (labels.folder / "test/good/other.png").write_bytes(b"somebody's own")
    again = Labels(labels.folder)
    one = again.of(ONE)
    assert one is not None
    assert (one.label, [found.identity for found in again.all("normal")]) == ("normal", [ONE])
    os.rename(one.file, labels.folder / "test/defect" / one.file.name)  # moved, and killed before the journal
    again = Labels(labels.folder)
    assert again.counts()["defect"] == 1
    assert again.undo(ONE, "Ada") == ("defect", None)


def test_what_cannot_be_is_refused(labels: Labels, tmp_path: Path) -> None:
    with pytest.raises(PandaError, match="expected one of normal, defect, unsure"):
        labels.set(ONE, "../x", "Ada", PICTURE)
    with pytest.raises(PandaError, match="no longer kept"):
        labels.set(ONE, "normal", "Ada", None)
    assert files(labels) == set()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PandaError, match="labels cannot be kept there"):
        Labels(tmp_path / "file" / "labels")


def test_every_change_says_who(labels: Labels) -> None:
    labels.set(ONE, "normal", "Ada", PICTURE)
    labels.undo(ONE, "Bo")
    lines = [json.loads(line) for line in (labels.folder / JOURNAL).read_text().splitlines()]
    assert [(one["who"], one["before"], one["after"], one["undo"]) for one in lines] == [
        ("Ada", None, "normal", False), ("Bo", "normal", None, True),
    ]  # fmt: skip
