"""Data sets of the paper's protocol, what is refused, and the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from panda_edge.errors import DataError, PandaError
from panda_train.commands import app as cli
from panda_train.paper import datasets as paper_datasets
from panda_train.paper.options import PaperOptions
from panda_train.paper.protocol import run_paper
from panda_train.paper.table import table
from small_paper import CLASSES, TEST, TRAIN


class TestDataSets:
    def test_cifar10(self, cifar10: Path) -> None:
        protocol = paper_datasets.open_protocol("cifar10", cifar10)
        assert protocol.classes == CLASSES
        assert {len(images) for images in protocol.train.values()} == {TRAIN}
        assert {len(images) for images in protocol.test.values()} == {TEST}
        reds = [np.mean([image[..., 0] for image in protocol.train[name]]) for name in CLASSES]
        greens = [np.mean([image[..., 1] for image in protocol.train[name]]) for name in CLASSES]
        assert np.corrcoef(reds, range(10))[0, 1] > 0.95 > -0.95 > np.corrcoef(greens, range(10))[0, 1]

    def test_class_folders(self, folders: Path) -> None:
        protocol = paper_datasets.open_protocol("cats-vs-dogs", folders)
        assert protocol.classes == ("cat", "dog")
        assert list(protocol.train["dog"]) == sorted((folders / "train" / "dog").iterdir())
        assert protocol.defects is None

    def test_every_coarse_class_of_cifar100_has_five_fine_ones(self) -> None:
        assert np.bincount(paper_datasets.COARSE).tolist() == [5] * 20

    def test_a_data_set_with_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "cifar-10-batches-py").mkdir()
        with pytest.raises(DataError, match="not torchvision's cifar10"):
            paper_datasets.open_protocol("cifar10", tmp_path)


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["cifar11"], "no data set 'cifar11' in the paper's protocol; there are cifar10"),
            (["cifar10", "--methods", "dn2,magic"], "no method 'magic'; there are dn2"),
            (["cifar10", "--classes", "cat,unicorn"], "cifar10 has no class 'unicorn'; there are airplane"),
            (["cifar10", "--outliers", "none"], "--outliers 'none'; expected one of made, cut, tiles, turned"),
            (["cifar10", "--embedding", "square"], "--embedding 'square'; expected one of raw"),
            (["flowers"], "expected class folders train/<class> and test/<class>"),
            (["mvtec"], "no category in MVTec layout"),
        ],
    )
    def test_in_one_line(
        self,
        cifar10: Path,
        tmp_path: Path,
        arguments: list[str],
        expected: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        where = ["--data", str(cifar10), "--out", str(tmp_path / "out"), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["panda-train", "paper", *arguments, *where])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert (stopped.value.code, said.out) == (2, "")
        (line,) = said.err.splitlines()
        assert line.startswith("error: ")
        assert expected in line
        assert not (tmp_path / "out").exists()

    def test_no_such_folder(self, tmp_path: Path, options: PaperOptions) -> None:
        with pytest.raises(PandaError, match="give the data set's with --data"):
            run_paper("cifar10", tmp_path / "none", tmp_path / "out", options)


def test_the_command_prints_rows_and_table(
    cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["cifar10", "--data", cifar10, "--out", tmp_path / "out", "--methods", "dn2", "--classes", "cat"]
    arguments += ["--embedding", "raw", "--device", "cpu", "--json"]
    monkeypatch.setattr(sys, "argv", ["panda-train", "paper", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code in (0, None)
    report = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in report["rows"]] == ["dn2"]
    assert report["table"] == table(report["rows"])
