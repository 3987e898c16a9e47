"""A run of the paper's protocol that was stopped, and what it may go on with."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from panda_train.commands import app as cli
from panda_train.paper import rows as paper_rows
from panda_train.paper import run as paper_run
from panda_train.paper.options import PaperOptions
from panda_train.paper.protocol import run_paper
from small_paper import FAST, TRAIN


class TestResuming:
    def test_stopped_it_goes_on_and_repeats_nothing(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = replace(options, methods=("dn2", "panda-early"), classes=("cat", "dog"))
        whole = run_paper("cifar10", cifar10, tmp_path / "whole", both)
        run, done = paper_run.run, []

        def stopping(normal: str, *more: object) -> object:
            if len(done) == 4:
                raise KeyboardInterrupt
            done.append(normal)
            return run(normal, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(paper_run, "run", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_paper("cifar10", cifar10, tmp_path / "out", both)
        kept = json.loads((tmp_path / "out" / "cifar10.json").read_text())
        assert len(kept) == 4
        monkeypatch.setattr(paper_run, "run", lambda *arguments: done.append("again") or run(*arguments))
        rows = run_paper("cifar10", cifar10, tmp_path / "out", both)
        assert rows[:4] == kept
        assert done[4:] == ["again"] * 2
        assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in whole]
        assert run_paper("cifar10", cifar10, tmp_path / "out", both) == rows
        assert done[4:] == ["again"] * 2
        more = run_paper("cifar10", cifar10, tmp_path / "out", replace(both, adapt=replace(FAST, seed=1)))
        assert more[:6] == rows
        assert len(more) == 12

    @pytest.mark.parametrize(
        ("method", "change"),
        [
            ("dn2", {"knn": 3}),
            ("dn2", {"input_size": 64}),
            ("panda-early", {"knn": 3}),
            ("panda-early", {"adapt": replace(FAST, clip=0.1)}),
            ("panda-early", {"adapt": replace(FAST, mixed_precision=True)}),
            ("panda-ses", {"adapt": replace(FAST, every=2.0)}),
            ("panda-ewc", {"adapt": replace(FAST, ewc=7.0)}),
            ("panda-msc", {"adapt": replace(FAST, views=3)}),
            ("panda-msc", {"own": {"panda-msc": {"angular": 0.5}}}),
            ("panda-oe", {"exposed": 2}),
            ("panda-oe", {"exposed": 0, "outliers": "made"}),
            ("panda-oe", {"adapt": replace(FAST, prior=1.0)}),
        ],
    )
    def test_another_setting_is_another_run(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions, method: str, change: dict[str, object]
    ) -> None:
        first = replace(options, methods=(method,))
        rows = run_paper("cifar10", cifar10, tmp_path, first)
        more = run_paper("cifar10", cifar10, tmp_path, replace(first, **change))
        assert more[: len(rows)] == rows
        assert len(more) == 2 * len(rows)
        assert run_paper("cifar10", cifar10, tmp_path, first) == more

    def test_a_setting_of_another_method_is_not(self, cifar10: Path, tmp_path: Path, options: PaperOptions) -> None:
        rows = run_paper("cifar10", cifar10, tmp_path, options)
        others = replace(options, adapt=replace(FAST, ewc=7.0, every=9.0))
        assert run_paper("cifar10", cifar10, tmp_path, others) == rows

    def test_rows_from_before_a_setting_was_kept_are_of_its_default(
        self, cifar10: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        default = replace(options, input_size=224)
        rows = run_paper("cifar10", cifar10, tmp_path, default)
        older = [{name: value for name, value in row.items() if name not in paper_rows.SETTINGS} for row in rows]
        paper_rows.write(tmp_path / "cifar10.json", older)
        assert run_paper("cifar10", cifar10, tmp_path, default) == older
        assert len(run_paper("cifar10", cifar10, tmp_path, replace(default, knn=3))) == 2 * len(older)

    @pytest.mark.parametrize("damage", [b'[{"dataset": "cif', b"\xff\xfe", b"{}", b'[{"dataset": "cifar10"}]'])
    def test_a_damaged_file_of_results(
        self,
        cifar10: Path,
        tmp_path: Path,
        damage: bytes,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = tmp_path / "cifar10.json"
        file.write_bytes(damage)
        arguments = ["cifar10", "--data", cifar10, "--out", tmp_path, "--methods", "dn2", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["panda-train", "paper", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert (stopped.value.code, said.out) == (2, "")
        (line,) = said.err.splitlines()
        assert line.startswith(f"error: {file}: ")
        assert "move it away" in line
        assert file.read_bytes() == damage

    def test_two_data_sets_with_a_class_of_the_same_name(
        self, cifar10: Path, folders: Path, tmp_path: Path, options: PaperOptions
    ) -> None:
        run_paper("cifar10", cifar10, tmp_path / "out", options)
        beside = run_paper("cats-vs-dogs", folders, tmp_path / "out", options)
        alone = run_paper("cats-vs-dogs", folders, tmp_path / "alone", options)
        assert [row["image_auroc"] for row in beside] == [row["image_auroc"] for row in alone]
        cats = [next((tmp_path / "out" / "activations" / name).rglob(f"train-cat-{TRAIN}.npy"))
                for name in ("cifar10", "cats-vs-dogs")]  # fmt: skip
        assert not np.array_equal(*(np.load(file) for file in cats))
