"""The site's pages of reference name all that the programs have: variables, exit codes, figures, counters, C names."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import c_header
import pytest
from documents import ROOT

from panda_train.data.folders import Sample
from panda_train.evaluation.evaluation import figures
from panda_train.evaluation.scored import Scored, ScoredImage

REFERENCE = ROOT / "docs" / "reference"
OPENED, CLOSED = '/* Top. */\nextern "C" {\n#endif\n', "#ifdef __cplusplus"
HEADER = ROOT / "edge" / "kernel" / "panda_edge.h"
PROGRAMS = ("edge", "export", "trainer")
SOURCES = [
    file
    for folder in (*PROGRAMS, "tests", "benchmarks", "fuzz", "delivery")
    for file in (ROOT / folder).rglob("*.[pc]*")
    if file.suffix in (".py", ".c")
]


def named(page: str) -> set[str]:
    """Words between backticks in a page."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.split(r"[^\w]+", span)}


def test_every_variable_is_in_the_reference() -> None:
    """Of the programs all that they read; of tests and benchmarks our own."""
    asked = r"""(?:environ(?:\.get\(|\[)|\bgetenv\()["'](\w+)["']"""
    read = [(file, name) for file in SOURCES for name in re.findall(asked, file.read_text(encoding="utf-8"))]
    ours = {name for file, name in read if file.relative_to(ROOT).parts[0] in PROGRAMS or name.startswith("PANDA_")}
    assert {"PANDA_SIMD", "PANDA_DATA", "NOTIFY_SOCKET"} <= ours
    assert not (missing := ours - named("environment.md")), missing


def test_every_exit_code_is_in_the_reference() -> None:
    ends = r"(?:sys\.exit|typer\.Exit|SystemExit)\((?:code=)?(\d+)\)"
    programs = [file for file in SOURCES if file.relative_to(ROOT).parts[0] in PROGRAMS]
    codes = {code for file in programs for code in re.findall(ends, file.read_text(encoding="utf-8"))}
    page = (REFERENCE / "environment.md").read_text(encoding="utf-8")
    assert {"1", "2", "130"} <= codes
    assert codes | {"0"} == set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))


def scored(name: str, anomalous: bool, score: float) -> ScoredImage:
    sample = Sample(Path(name), "hole" if anomalous else "good", anomalous)
    raw = {"embedding": score, "max": score, "top1": score}
    return ScoredImage(sample, score, raw, score, anomalous, 1.0, None, None)


def test_every_figure_is_in_the_reference() -> None:
    images = [scored("a.png", False, 0.1), scored("b.png", True, 0.9)]
    report = figures(Scored(images, [], {}, None, None, 0.01, "rule"))
    keys = {*report, "native", *report["at_threshold"], *report["intervals"], *report["kinds"]["hole"]}
    assert "image_auroc" in keys
    assert not (missing := keys - named("metrics.md")), missing


def test_every_name_of_the_header_is_in_its_page() -> None:
    text = HEADER.read_text(encoding="utf-8")
    page = c_header.reference(text)
    headings = re.findall(r"^## `(\w+)`$", page, re.MULTILINE)
    without_comments = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    functions = set(re.findall(r"\b(panda_edge_\w+)\(", without_comments))
    exported = set(re.findall(r"panda_edge_\w+", (HEADER.parent / "library" / "exported.map").read_text()))
    assert functions == exported
    assert len(headings) == len(set(headings))
    types = set(re.findall(r"\b(panda_edge_\w+)\b", without_comments)) - functions
    assert functions | types | {"PANDA_EDGE_LINE"} == set(headings)


@pytest.mark.parametrize("text", ["/* Top. */\nint f(void);\n", OPENED + "int f(void);\n" + CLOSED])
def test_a_name_without_a_comment_is_an_error(text: str) -> None:
    with pytest.raises(c_header.HeaderError):
        c_header.reference(text)


def test_a_declaration_with_its_comment() -> None:
    code = "typedef struct {\n    int a; /* ; */\n} pair;"
    page = c_header.reference(f"{OPENED}/* A pair;\n * of two. */\n{code}\n{CLOSED}")
    assert page == f"Top.\n\n## `pair`\n\nA pair;\nof two.\n\n```c\n{code}\n```\n"


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_counters_are_listed_from_the_program() -> None:
    import repository

    from panda_edge.stream.sinks.metrics import Metrics

    families = re.findall(r"^# TYPE (\w+) (\w+)", Metrics(list, dict).text(), re.MULTILINE)
    page = repository._counters()
    assert len(families) > 5
    assert not [name for name, kind in families if f"| `{name}` | {kind} |" not in page]
