"""A room imports only the rooms below it, as drawn in ARCHITECTURE.md; no modules import one another in a circle.

Every import counts, those inside functions and under TYPE_CHECKING too: a late import is for speed, not a way around.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"panda_train": "trainer", "panda_export": "export", "panda_edge": "edge"}


def files() -> dict[str, Path]:
    """Dotted module name → file; the C extension is known by its stub."""
    found = {}
    for package, side in PACKAGES.items():
        for file in (ROOT / side / package).rglob("*.py*"):
            if file.suffix in (".py", ".pyi"):
                found[".".join(file.relative_to(ROOT / side).with_suffix("").parts).removesuffix(".__init__")] = file
    return found


FILES = files()


@cache
def arrows(module: str) -> dict[str, int]:
    """The modules of ours that a module imports, each with the line where it does."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [name if name in FILES else str(node.module) for name in whole]
        else:
            continue
        found |= {name: node.lineno for name in named if name in FILES}
    return found


def drawn(text: str) -> dict[str, list[str]]:
    """Package → its rooms, highest first, of the drawing: lines such as `panda_edge  commands ─► show ─► errors`."""
    lines = re.findall(r"^ +(panda_\w+) +(\w.*─►.*(?:\n +─►.*)*)$", text, re.MULTILINE)
    return {package: re.findall(r"(\w+)(?: \([^)]*\))?(?=\s*─►|$)", rooms) for package, rooms in lines}


ROOMS = drawn((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))


def room(module: str) -> tuple[str, str]:
    """Package and room: a folder, or a file that stands beside the folders, or the package's own `__init__`."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0] or package


def broken(module: str) -> list[str]:
    """The arrows of a module that point up, each in words."""
    package, here = room(module)
    said = []
    for target, line in arrows(module).items():
        other, there = room(target)
        if other != package:
            up = list(PACKAGES).index(other) < list(PACKAGES).index(package)
        else:
            order = [*ROOMS.get(package, []), here, there]  # one that is not drawn is another test's finding
            up = order.index(there) < order.index(here)
        if up:
            said.append(f"{FILES[module].relative_to(ROOT)}:{line}: {module} ─► {target} points up")
    return said


def circle(modules: list[str]) -> list[str]:
    """A way from a module back to itself along imports, or nothing."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for target in arrows(module):
            if found := walk(target, [*way, module]):
                return found
        done.add(module)
        return []

    return next((found for module in modules if (found := walk(module, []))), [])


def test_every_room_is_in_the_drawing() -> None:
    assert {"panda_edge", "panda_train"} <= set(ROOMS)
    there = {room(module) for module in FILES if arrows(module) and room(module)[0] in ROOMS}
    missing = there - {(package, name) for package, names in ROOMS.items() for name in names}
    assert not missing, f"ARCHITECTURE.md, Layers: no place for {sorted(missing)}"


def test_imports_point_down() -> None:
    said = [arrow for module in FILES for arrow in broken(module)]
    assert not said, "\n".join(["ARCHITECTURE.md, Layers, has it the other way round:", *said])


def test_no_circle() -> None:
    assert not (way := circle(list(FILES))), " ─► ".join(way)


def test_a_crooked_arrow_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crooked = tmp_path / "reading.py"
    crooked.write_text("def late():\n    from panda_edge.bundle import folder\n")
    monkeypatch.setitem(FILES, "panda_edge.images.reading", crooked)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    arrows.cache_clear()
    try:
        assert broken("panda_edge.images.reading") == [
            "reading.py:2: panda_edge.images.reading ─► panda_edge.bundle.folder points up"
        ]
        assert circle(["panda_edge.images.reading"])[0] == "panda_edge.images.reading"
    finally:
        arrows.cache_clear()


def test_contributing_shows_the_tree() -> None:
    shown, above = set(), [""]
    for indent, name in re.findall(
        r"^    ( *)([\w./]+/)(?: .*)?$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    ):
        above = [*above[: len(indent) // 2 + 1], above[len(indent) // 2] + name]
        shown.add(above[-1].rstrip("/"))
    sources = [*FILES.values(), *(ROOT / "edge/kernel").rglob("*.c")]
    assert shown - {"benchmarks", "delivery", "fuzz", "tests", "docs"} == {
        str(file.parent.relative_to(ROOT)) for file in sources
    } | {"edge/kernel"}
