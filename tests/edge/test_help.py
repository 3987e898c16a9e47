"""`panda-edge`'s help: each command ends with an example, and the examples work as they stand; completion is on."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from panda_edge.commands import app as cli

COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["panda-edge", name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    assert capsys.readouterr().out.strip().splitlines()[-1].strip().startswith(f"Example: panda-edge {name} ")


def test_the_examples_work(
    exact_bundle: Path,
    sample_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(sample_data, tmp_path / "parts")
    shutil.copytree(exact_bundle, tmp_path / "parts.panda")
    monkeypatch.chdir(tmp_path)
    for name, command in COMMANDS.items():
        example = shlex.split(command.epilog.removeprefix("Example: "))
        if name == "watch":  # says that nothing decides here
            program = Path(sys.executable).with_name(example[0])
            done = subprocess.run([program, *example[1:]], capture_output=True, text=True)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1), done.stderr
            continue
        if name == "archive":  # starts processes; its own test runs it
            continue
        monkeypatch.setattr(sys, "argv", example)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert (stopped.value.code, said.err) == (0, ""), command.epilog
        assert said.out
        if name == "history":
            assert len(said.out.splitlines()) == 1 + 3  # headings, and what `watch` judged
    assert len(list((tmp_path / "maps").rglob("*_overlay.png"))) == 15


@pytest.mark.parametrize(
    ("typed", "expected"), [("panda-edge seg", "segment"), ("panda-edge detect --prov", "--provider")]
)
def test_completion(typed: str, expected: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_PANDA_EDGE_COMPLETE": "complete_bash"}
    program = Path(sys.executable).with_name("panda-edge")
    done = subprocess.run([program], env={**os.environ, **words}, capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == ([expected], "")


def test_the_command_line_pulls_in_nothing_heavy() -> None:
    code = "import sys, panda_edge.commands.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "typer" in imported
    assert not imported & {"numpy", "onnxruntime", "PIL", "hnswlib"}
