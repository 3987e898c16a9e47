"""MkDocs hook: pages of the site link to files of the repository, such as `../../benchmarks/…`, as they do on GitHub.

What lies outside of `docs/` and is linked becomes part of the site, below `repository/`: Markdown as a page, all else
as it is. A link that leads nowhere is left alone, so that `mkdocs build --strict` fails for it. The pages of commands,
counters and the C interface are made from the programs themselves.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import c_header
import typer
import typer.cli
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from panda_edge.commands.app import app as panda_edge
from panda_edge.stream.sinks.metrics import Metrics
from panda_train.commands.app import app as panda_train

ROOT = Path(__file__).resolve().parents[2]
_PREFIX = "repository/"
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_HEADER = "edge/kernel/panda_edge.h"
_COUNTER = re.compile(r"^# HELP (\w+) (.*)\n# TYPE \1 (\w+)$", re.MULTILINE)
_INCLUDED = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "FORMAT.md", "SECURITY.md", "THIRD_PARTY.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's files that pages link to, and those that these link to."""
    waiting = [*_INCLUDED]
    for file in files.documentation_pages():
        waiting += _outside(f"docs/{file.src_uri}", Path(str(file.abs_src_path)).read_text(encoding="utf-8"))
    added: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in added:
            continue
        added.add(path)
        files.append(File.generated(config, _PREFIX + path, abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            waiting += _outside(path, (ROOT / path).read_text(encoding="utf-8"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site has them."""
    for name, app in (("panda-edge", panda_edge), ("panda-train", panda_train)):
        markdown = markdown.replace(f"<!-- commands of {name} -->", _commands(name, app))
    markdown = markdown.replace("<!-- counters of watch -->", _counters())
    header = c_header.reference((ROOT / _HEADER).read_text(encoding="utf-8"))
    markdown = markdown.replace(f"<!-- declarations of {_HEADER} -->", header)
    here = page.file.src_uri
    source = here.removeprefix(_PREFIX) if here.startswith(_PREFIX) else f"docs/{here}"

    def on_site(match: re.Match[str]) -> str:
        path = _target(source, match[2])
        if path is None:
            return match[0]
        there = path.removeprefix("docs/") if path.startswith("docs/") else _PREFIX + path
        return f"{match[1]}{posixpath.relpath(there, posixpath.dirname(here) or '.')}{match[3] or ''}{match[4]}"

    return _LINK.sub(on_site, markdown)


def _outside(source: str, markdown: str) -> list[str]:
    """Paths in the repository, outside of docs/, that a page links to."""
    found = [_target(source, match[2]) for match in _LINK.finditer(markdown)]
    return [path for path in found if path is not None and not path.startswith("docs/")]


def _target(source: str, link: str) -> str | None:
    """The repository's path of a link, None where it leads elsewhere or nowhere; of a folder its README.md."""
    if "://" in link or link.startswith(("/", "mailto:")):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if (ROOT / path).is_dir():
        path += "/README.md"
    return path if not path.startswith("..") and (ROOT / path).is_file() else None


def _commands(name: str, app: typer.Typer) -> str:
    """Every command and option, as `typer utils docs` writes them, one heading lower."""
    command = typer.main.get_command(app)
    for one in getattr(command, "commands", {}).values():
        one.short_help = (one.help or "").partition("\n\n")[0]  # else it is cut after some words
    context = command.make_context(name, [], resilient_parsing=True)
    pages = typer.cli.get_docs_for_click(obj=command, ctx=context, name=name)
    return re.sub(r"^(#+ `)", r"#\1", pages, flags=re.MULTILINE)


def _counters() -> str:
    """A row for each family of `watch --metrics`."""
    rows = [f"| `{name}` | {kind} | {about} |" for name, about, kind in _COUNTER.findall(Metrics(list, dict).text())]
    return "\n".join(["| counter | type | what it counts |", "|---|---|---|", *rows])
