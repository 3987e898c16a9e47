"""`panda-edge extend`: a look before pictures join a bundle, so that one wrong click ruins none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import Run, refused
from panda_edge.builder.trial import candidates, compared
from panda_edge.decide.calibration import SCORES, Calibration
from panda_edge.decide.decision import Decider
from panda_edge.decide.joining import joining
from panda_edge.decide.tail import Tail
from panda_edge.detector import load
from panda_edge.printable import rounded


@pytest.fixture
def bundle(calibrated_bundles: dict[str, Path]) -> Path:
    return calibrated_bundles["exact"]


@pytest.fixture
def normal(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "test" / "good").glob("*.png"))


@pytest.fixture
def defect(tmp_path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "d.png")
    return tmp_path / "d.png"


def decider(scores: np.ndarray, fpr: float = 0.01) -> Decider:
    return Decider(Calibration("local", dict.fromkeys(SCORES, scores)), fpr)


@pytest.mark.parametrize("pictures", [20, 80, 400])
def test_the_chance_is_kept_by_exponential_tails(pictures: int) -> None:
    """Of normal pictures' alarms, a share `chance` or less scores so high, whatever the number of pictures."""
    random, below = np.random.default_rng(pictures), {0.01: 0, 0.1: 0}
    alarms = 0
    for _ in range(400):
        told = decider(random.exponential(size=pictures) + 5.0, fpr=0.05)
        new = told.threshold + random.exponential(size=100)  # without memory: alarms exceed as all scores do
        chances = np.array([joining(told, score).chance for score in new])
        alarms += len(new)
        for bound in below:
            below[bound] += int((chances < bound).sum())
    for bound, count in below.items():
        assert 0.6 * bound < count / alarms < 1.4 * bound


def test_few_pictures_allow_more() -> None:
    few, many = (Tail.of(np.linspace(0, 1, count) ** 4) for count in (8, 200))
    assert few.chance(1.0) > many.chance(1.0)
    assert Tail.of(np.ones(30)).chance(9.0) == 1.0  # all alike: nothing is known
    assert Tail.of(np.ones(1)).chance(9.0) == 1.0


def test_a_defect_is_refused_and_a_false_alarm_joins() -> None:
    told = decider(np.random.default_rng(0).normal(40, 2, 90))
    verdicts = [joining(told, told.threshold + excess).verdict for excess in (-1.0, 0.5, 4.0, 49.0)]
    assert verdicts == ["join", "join", "ask", "refuse"]
    assert joining(told, 95.0).threshold == 95.0  # as one scratch did
    assert joining(told, 10.0).threshold == told.threshold


def test_candidates_come_worst_first(bundle: Path, uncalibrated: Path, normal: list[Path], defect: Path) -> None:
    unreadable = defect.with_name("no.png")
    unreadable.write_bytes(b"no picture")
    found = candidates(load(bundle), [*normal, defect, unreadable])
    assert next(one.path for one in found) == defect
    assert {one.path for one in found} == {*normal, defect}
    assert [one.joining for one in candidates(load(uncalibrated), [defect])] == [None]


@pytest.fixture
def uncalibrated(exact_bundle: Path) -> Path:
    return exact_bundle


def test_both_bundles_judge_the_same_pictures(bundle: Path, normal: list[Path], defect: Path) -> None:
    pictures = {"new": normal[:1], "normal": normal, "defects": [defect]}
    one, other = compared([load(bundle), load(bundle, fpr=0.9)], pictures)
    assert one["judged"] == other["judged"] == {"new": 1, "normal": len(normal), "defects": 1}
    assert one["alarms"]["defects"] == 1
    assert one["finds_all"] == rounded(1 / 13) or one["finds_all"] == pytest.approx(1 / 13)
    assert other["threshold"] < one["threshold"]
    assert one["ms"] > 0


def test_a_defect_is_refused_and_named(
    bundle: Path, normal: list[Path], defect: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "more.panda"
    done = run("extend", bundle, normal[0], defect, "--out", out, "--max-severity", 1.3)
    refused(done, f"{defect} (")
    assert not out.exists()
    assert "--max-severity" in done.err
    assert str(normal[0]) not in done.err
    enough = done.err.rsplit(" ", 1)[1].strip()
    assert run("extend", bundle, normal[0], defect, "--out", out, "--max-severity", enough).code == 0
    assert out.exists()


def test_a_dry_run_writes_nothing(
    bundle: Path, normal: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = ["extend", bundle, normal[0], "--max-severity", 99, "--json"]
    done = run(*wanted, "--dry-run")
    dry = done.report
    assert (done.code, dry["bundle"], dry["added"], list(tmp_path.iterdir())) == (0, None, 1, [])
    written = run(*wanted, "--out", tmp_path / "more.panda").report
    for facts in (dry, written):
        for side in ("before", "after"):
            facts[side].pop("ms")
    assert {**written, "bundle": None} == dry
    assert written["after"]["threshold"] == rounded(load(tmp_path / "more.panda").decider.threshold)  # type: ignore[union-attr]
    refused(run("extend", bundle, normal[0]), "--dry-run")


def test_labels_and_kept_pictures_are_compared(
    bundle: Path, normal: list[Path], defect: Path, tmp_path: Path, run: Run
) -> None:
    for folder, picture in (("test/good", normal[1]), ("test/scratch", defect)):
        (tmp_path / "labels" / folder).mkdir(parents=True)
        shutil.copy(picture, tmp_path / "labels" / folder)
    beside = ["--labels", tmp_path / "labels", "--kept", defect.parent, "--max-severity", 99]
    done = run("extend", bundle, normal[0], "--dry-run", *beside)
    assert done.code == 0
    assert re.search(r"labelled defects found +1 of 1 +1 of 1\n", done.out)
    assert re.search(r"rate that finds all defects +7.7 % +7.1 %\n", done.out)  # 1 in 13, and 1 in 14
    refused(run("extend", bundle, normal[0], "--dry-run", "--labels", tmp_path / "no"), "no test/")


def test_the_command_lists_and_removes(bundle: Path, normal: list[Path], tmp_path: Path, run: Run) -> None:
    more, less = tmp_path / "x.panda", tmp_path / "y.panda"
    assert run("extend", bundle, normal[0], normal[1], "--out", more, "--max-severity", 99).code == 0
    listed = [{"name": path.name, "run": 1, "kind": "bank"} for path in normal[:2]]
    assert run("extend", more, "--list", "--json").lines == listed
    assert run("extend", bundle, "--list").out == ""
    refused(run("extend", more, "--remove", "no.png", "--out", less), "no picture no.png")
    refused(run("extend", more, "--remove", normal[0].name), "nowhere to write")
    refused(run("extend", more, normal[0], "--list"), "give pictures to add, or one of")
    done = run("extend", more, "--remove", normal[0].name, "--out", more)  # in its own place
    assert (done.code, "1 pictures taken out" in done.out) == (0, True)
    assert run("extend", more, "--list", "--json").lines == listed[1:]
