"""One picture has one score and one verdict, whichever command or function is asked."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import panda_edge
from panda_edge.archive import Archive, score_part
from panda_edge.bundle.folder import sha256
from panda_edge.bundle.manifest import MANIFEST_NAME, SCORE_RULES
from panda_edge.commands import app as cli
from panda_edge.result import Result

FPR = 0.4


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """The JSON lines that `panda-edge ARGUMENTS…` prints, run inside this process."""

    def call(*arguments: object) -> list[dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["panda-edge", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        assert not exit_.value.code
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def verdicts(results: Iterable[Result]) -> list[tuple[float, bool]]:
    return [(pytest.approx(result.score, rel=1e-6), bool(result.anomalous)) for result in results]


@pytest.mark.parametrize("rule", SCORE_RULES)
def test_every_command_and_function_says_the_same(
    calibrated_bundles: dict[str, Path],
    edit_manifest: Callable[..., None],
    sample_data: Path,
    tmp_path: Path,
    lines: Callable[..., list[dict[str, Any]]],
    rule: str,
) -> None:
    bundle = Path(shutil.copytree(calibrated_bundles["exact"], tmp_path / "x.panda"))
    edit_manifest(bundle, lambda plain: plain["decision"].update(score=rule), reseal=True)
    folder = sample_data / "test" / "hole"
    paths = sorted(folder.glob("*.png"))
    detector = panda_edge.load(bundle, fpr=FPR)
    expected = [(result.score, result.anomalous) for result in map(detector.segment, paths)]
    assert {anomalous for _, anomalous in expected} <= {True, False}
    assert verdicts(map(detector.detect, paths)) == expected
    for together in (detector.detect_batch, detector.segment_batch, detector.segment_stream):
        assert verdicts(together(paths)) == expected
    commands = (
        ("detect", bundle, folder, "--json"),
        ("segment", bundle, folder, "--out", tmp_path / "maps", "--json"),
    )
    for command in commands:
        found = lines(*command, "--fpr", FPR)
        assert [(pytest.approx(line["score"], rel=1e-6), line["anomalous"]) for line in found] == expected, command
    watched = [
        o.result
        for o in panda_edge.watch(panda_edge.load(bundle, fpr=FPR), str(folder), once=True)
        if o.result is not None
    ]
    assert verdicts(sorted(watched, key=lambda result: result.score)) == sorted(expected)
    kept = score_part(Archive(folder, bundle, FPR), sha256(bundle / MANIFEST_NAME), paths)
    assert [(pytest.approx(line["score"], rel=1e-6), line["anomalous"]) for line in kept] == expected


def test_severity_is_the_score_over_its_threshold(calibrated_bundles: dict[str, Path], odd_image: Path) -> None:
    result = panda_edge.load(calibrated_bundles["exact"], fpr=FPR).segment(odd_image)
    assert result.threshold is not None
    assert result.severity == pytest.approx(result.score / result.threshold)
    assert (result.severity > 1) == result.anomalous
