"""The site's pages: their commands work, their sentences are short, and it builds without a broken link."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from documents import ROOT, blocks, run_bash, sentences

DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
OURS = [ROOT / "README.md", DOCS / "index.md", DOCS / "start.md", *GUIDES]
OURS += [DOCS / "troubleshooting.md", DOCS / "licences.md"]
OURS += sorted((DOCS / "explanation").glob("*.md")) + sorted((DOCS / "reference").glob("*.md"))
MOST_WORDS = 35
GUIDED = 30  # normal pictures that the guides' commands get, of Start's hundred: they show how, not how well
SOURCES = [file for side in ("edge", "export", "trainer") for file in (ROOT / side).rglob("*.py")]
# Messages over several lines of source, and with the code that fills them in, as one text.
SAID = re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text(encoding="utf-8") for file in SOURCES))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Path:
    """A folder in which Start's commands have been run: what the guides begin with."""
    folder = tmp_path_factory.mktemp("docs")
    for block in blocks(DOCS / "start.md", "bash"):
        assert block.reason is None, "Start leaves nothing out"
        run_bash(block.text, folder, commands)
    for picture in sorted((folder / "parts" / "train" / "good").iterdir())[GUIDED:]:
        picture.unlink()
    return folder


@pytest.mark.slow
def test_start_leaves_what_it_promises(started: Path) -> None:
    assert (started / "parts.panda" / "manifest.json").is_file()
    assert (started / "report" / "report.html").is_file()
    assert (started / "maps" / "brick-000_overlay.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_commands_of_a_guide_work(page: Path, started: Path, commands: Path) -> None:
    for block in blocks(page, "bash"):
        if block.reason is None:
            run_bash(block.text, started, commands)


@pytest.mark.slow
@pytest.mark.parametrize("page", [*GUIDES, DOCS / "reference" / "python.md"], ids=lambda page: page.stem)
def test_python_lines_work(page: Path, started: Path) -> None:
    for block in blocks(page, "python"):
        done = subprocess.run([sys.executable, "-c", block.text], cwd=started, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.text}\n{done.stderr}"


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.stem)
def test_sentences_are_short(page: Path) -> None:
    long = [sentence for sentence in sentences(page) if len(sentence.split()) > MOST_WORDS]
    assert not long, "\n".join(long)


def test_a_long_sentence_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\nShort. Word {'word ' * 35}end. Short again.\n\n    {'code ' * 50}\n")
    assert [len(sentence.split()) for sentence in sentences(page)] == [1, 37, 2]


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    """Of the hook: what is there in the repository is linked, what is not is left for `mkdocs build --strict`."""
    import repository

    assert repository._target("docs/guides/c.md", "../../FORMAT.md") == "FORMAT.md"
    assert repository._target("docs/guides/c.md", "../../benchmarks/studies/map_steps") == (
        "benchmarks/studies/map_steps/README.md"
    )
    assert repository._target("docs/guides/c.md", "../../NOTHING.md") is None
    assert repository._target("docs/guides/c.md", "https://example.org/x.md") is None


def quoted() -> list[str]:
    """Parts of our own messages that Troubleshooting quotes: not those of pip and the system, under Installing."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8").split("## Pictures", 1)[1]
    symptoms = re.findall(r"^\*\*(.+?)\*\*", page, flags=re.MULTILINE | re.DOTALL)
    spans = [span for symptom in symptoms for span in re.findall(r"`([^`]+)`", " ".join(symptom.split()))]
    parts = [part.strip(" ,;:()`") for span in spans for part in re.split(r"…|\(…\)|\d+(?:\.\d+)?|\bN\b|--\S+", span)]
    return [part for part in parts if len(part) > 5]


@pytest.mark.parametrize("part", quoted())
def test_troubleshooting_quotes_what_we_say(part: str) -> None:
    assert part in SAID, f"docs/troubleshooting.md quotes {part!r}, which no source file says"


def test_an_invented_message_is_found() -> None:
    assert "the flux capacitor is empty" not in SAID


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.stem)
def test_links_of_the_repository_lead_somewhere(page: Path) -> None:
    """The site's pages are held by `mkdocs build --strict`; GitHub shows these as they are."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]
