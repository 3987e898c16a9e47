"""What keeps the code readable: few parameters a function, few lines a file."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_PARAMETERS, MOST_LINES = 8, 399
FOLDERS = ("benchmarks", "delivery", "docs", "edge", "examples", "export", "fuzz", "tests", "trainer")


def sources(*endings: str) -> list[Path]:
    """The files that we wrote with these endings."""
    files = [file for folder in FOLDERS for ending in endings for file in (ROOT / folder).rglob(f"*{ending}")]
    return [file for file in files if not {"vendor", "build", ".venv"} & set(file.relative_to(ROOT).parts)]


def too_many(source: str) -> list[tuple[int, str, int]]:
    """Line, name and number of parameters of each function that has too many. `self` and `cls` are none."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            names = [one.arg for one in every if one is not None and one.arg not in ("self", "cls")]
            if len(names) > MOST_PARAMETERS:
                found.append((node.lineno, node.name, len(names)))
    return found


def test_functions_have_few_parameters() -> None:
    said = [
        f"{file.relative_to(ROOT)}:{line}: {name} has {number} parameters"
        for file in sources(".py")
        for line, name, number in too_many(file.read_text(encoding="utf-8"))
    ]
    assert not said, "\n".join([f"group them, as a dataclass; at most {MOST_PARAMETERS}:", *said])


def test_files_are_short() -> None:
    files = sources(".py", ".pyi", ".c", ".h", ".js", ".css", ".html", ".sh")
    lengths = {file: len(file.read_bytes().splitlines()) for file in files}
    said = [f"{file.relative_to(ROOT)}: {lines} lines" for file, lines in lengths.items() if lines > MOST_LINES]
    assert not said, "\n".join([f"split them by role; at most {MOST_LINES}:", *said])


def test_a_long_list_of_parameters_would_be_found() -> None:
    assert too_many("def f(self, a, b, c, d, *e, f, g, h, **i): ...") == [(1, "f", 9)]
    assert too_many("def f(self, a, b, c, d, *e, f, g, **h): ...") == []
