"""What `panda-edge` and `panda-train` have in common: `--version`, `-h`, flags, and a way to each other's commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

import pytest
import typer

from panda_edge import __version__
from panda_edge.commands.console import COMMANDS_OF

MODULES = {"panda-edge": "panda_edge.commands.app", "panda-train": "panda_train.commands.app"}
APPS = {program: import_module(module) for program, module in MODULES.items()}
PAIRS = [(program, command) for program, commands in COMMANDS_OF.items() for command in ("", *commands)]

Said = Callable[..., tuple[object, str, str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Exit code, stdout and stderr of a command line, run inside this process."""

    def call(program: str, *arguments: str) -> tuple[object, str, str]:
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr(sys, "argv", [program, *(argument for argument in arguments if argument)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            APPS[program].main()
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return call


@pytest.mark.parametrize("program", MODULES)
def test_each_program_knows_the_commands_of_both(program: str) -> None:
    commands = typer.main.get_command(APPS[program].app).commands  # type: ignore[attr-defined]
    assert sorted(COMMANDS_OF[program]) == sorted(commands)


@pytest.mark.parametrize(("program", "command"), PAIRS)
def test_help(said: Said, program: str, command: str) -> None:
    code, text, _ = said(program, command, "-h")
    assert code == 0
    assert said(program, command, "--help")[1] == text
    assert "bool" not in text
    assert "--version" in text


@pytest.mark.parametrize(("program", "command"), [pair for pair in PAIRS if pair[1] != "sign"])
def test_version(said: Said, program: str, command: str) -> None:
    assert said(program, command, "--version") == (0, f"panda-edge {__version__}\n", "")


def test_completion_is_mentioned(said: Said) -> None:
    for program in MODULES:
        assert "--install-completion" in said(program, "--help")[1].strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("panda-edge fit parts", "it is `panda-train fit`"),
        ("panda-train detect x.panda", "it is `panda-edge detect`"),
        ("panda-edge segmnt x.panda", "Did you mean 'segment'"),
        ("panda-edge detect", "detect --help"),
        ("panda-edge detect x.panda y --jsn", "--json"),
        ("panda-train keygen", "keygen --help"),
    ],
)
def test_a_wrong_command_line_names_the_right_one(said: Said, line: str, hint: str) -> None:
    program, *arguments = line.split()
    code, out, err = said(program, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert hint in err
