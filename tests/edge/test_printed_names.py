"""Names that a terminal would obey, or that hold the end of a line: printed as escapes, wherever a name is printed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from panda_edge.bundle.signature import Signature
from panda_edge.commands.console import print_error, print_line, print_remark
from panda_edge.commands.each_image import each_image, warn_of
from panda_edge.errors import PandaError
from panda_edge.printable import printable
from panda_edge.stream.frame import Notice
from panda_edge.stream.watch import print_notice

EVIL = "x\n      0.0000  good.png\r\x1b[2J\x9b\u202e\udcff"
SOURCES = Path(__file__).parents[2]


def test_it_is_one_line_of_what_can_be_seen() -> None:
    assert printable(EVIL) == r"x\n      0.0000  good.png\r\x1b[2J\x9b\u202e\udcff"
    assert printable("Größe 3 × 4, 日本") == "Größe 3 × 4, 日本"


def test_results_and_errors(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "a\n\x1b[2J.png"
    picture.write_bytes(b"")
    each_image([str(picture)], lambda item: {"score": 1.0, "anomalous": None}, json=False)
    warn_of(SimpleNamespace(remarks=(EVIL,)))  # type: ignore[arg-type]
    print_error(PandaError(EVIL))
    print_remark(EVIL)
    print_line(EVIL)
    print_notice(Notice("1", "source_lost", EVIL, "gone", 0.0))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert len(err.splitlines()) == 4
    assert all(line.isprintable() for line in (out + err).split("\n"))
    assert Signature(b"", b"", EVIL, b"").facts()["comment"].isprintable()


NAMES = {"path", "out", "bundle", "folder", "file", "given", "input", "error", "remark", "image", "video", "key"}


def raw_names(call: ast.AST) -> list[str]:
    """Names in what a call prints that do not go through `printable`."""
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "printable":
        return []
    own = [call.id] if isinstance(call, ast.Name) else [call.attr] if isinstance(call, ast.Attribute) else []
    below = [name for child in ast.iter_child_nodes(call) for name in raw_names(child)]
    return [name for name in own if name in NAMES] + below


def test_no_name_is_printed_raw() -> None:
    """Of every print in the packages."""
    said = []
    for package in ("edge/panda_edge", "export/panda_export", "trainer/panda_train"):
        for file in sorted((SOURCES / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                    said += [f"{file.name}:{node.lineno}: {name}" for arg in node.args for name in raw_names(arg)]
    assert said == []


def test_the_programs_line_is_one(tmp_path: Path) -> None:
    import subprocess

    program = Path(sys.executable).with_name("panda-edge")
    done = subprocess.run([program, "info", f"{tmp_path}/{EVIL[:30]}"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
