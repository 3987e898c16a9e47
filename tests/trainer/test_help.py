"""`panda-train`'s help: `fit` begins with ten options and has panels, the examples work, completion is on."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from panda_train import backbones
from panda_train.commands import app as cli
from tiny import TinyBackbone

COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
EXAMPLES = {name: command.epilog.removeprefix("Example: ") for name, command in COMMANDS.items()}
LONG = ("choose", "fisher", "paper")  # minutes or hours, or a data set that is not here


def said_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["panda-train", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert stopped.value.code == 0, said.err
    return said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = said_by(monkeypatch, capsys, name, "--help").strip().splitlines()
    assert lines[-1].strip() == f"Example: {EXAMPLES[name]}"
    assert EXAMPLES[name].startswith(f"panda-train {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_all_of_what_a_command_is_for(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found: `pip install "panda-edge[sign]"` was shown without [sign], which was taken for markup."""
    monkeypatch.setenv("COLUMNS", "100")
    assert " ".join(COMMANDS[name].help.split()) in " ".join(said_by(monkeypatch, capsys, name, "--help").split())


def test_fit_begins_with_ten_options_and_has_the_rest_in_panels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    panels: dict[str, list[str]] = {}
    for line in said_by(monkeypatch, capsys, "fit", "--help").splitlines():
        if title := re.match(r"╭─ (\w+)", line):
            panels[title[1]] = []
        elif option := re.match(r"│[ *]+(--[\w-]+)", line):
            list(panels.values())[-1].append(option[1])
    assert list(panels) == ["Arguments", "Options", "Data", "Bank", "Decision", "Adaptation", "Output"]
    assert panels["Options"][0] == "--out"
    assert len(panels["Options"]) == 10 + 2  # --help and --version
    listed = [option for options in panels.values() for option in options]
    declared = [parameter.opts[0] for parameter in COMMANDS["fit"].params if parameter.name != "data"]
    assert sorted(listed) == sorted([*declared, "--help", "--version"])


def test_the_examples_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(backbones, "load", lambda name=None, weights=None, adapt_from=None: TinyBackbone())
    monkeypatch.chdir(tmp_path)
    for name, example in EXAMPLES.items():
        program, *arguments = shlex.split(example)
        assert program == "panda-train"
        if name in LONG:
            COMMANDS[name].make_context(name, arguments[1:])
        else:
            assert said_by(monkeypatch, capsys, *arguments)
    assert (tmp_path / "parts.panda" / "model.onnx").is_file()
    assert (tmp_path / "report" / "report.html").is_file()


def test_completion() -> None:
    words = {"COMP_WORDS": "panda-train fit --max", "COMP_CWORD": "2", "_PANDA_TRAIN_COMPLETE": "complete_bash"}
    program = Path(sys.executable).with_name("panda-train")
    done = subprocess.run([program], env={**os.environ, **words}, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["--max-bank-mb"], "")


def test_the_command_line_pulls_in_nothing_heavy() -> None:
    code = "import sys, panda_train.commands.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert not imported & {"numpy", "torch", "onnx", "onnxruntime", "sklearn", "PIL"}
