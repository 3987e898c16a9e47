"""Code blocks and sentences of our documents, for the tests that hold them and for `reading_ease.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^>]+) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
_ENDS = re.compile(r"(?<=[.!?])[\"')*`]*\s+(?=[\"'(*`\[]*[A-Z0-9`-])")


@dataclass(frozen=True)
class Block:
    """Lines between fences. reason: why a reader is not expected to run them here; None where they are run."""

    text: str
    reason: str | None


def blocks(page: Path, language: str) -> list[Block]:
    """The page's fenced blocks of a language, in order. `<!-- not run: why -->` on the line above one leaves it out."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(textwrap.dedent(one["text"]), one["reason"]) for one in found if one["language"] == language]


def run_bash(script: str, folder: Path, commands: Path = Path(sys.executable).parent) -> None:
    """Run shell lines in a folder, with our commands on the path; the first that fails fails the test.

    commands: where these lie."""
    path = f"{commands}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def prose(page: Path) -> str:
    """The page's running text: no code, tables, headings, pictures, included files; of a link its words."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4}|\||#|!\[|--8<--|:::).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^]]*\]\([^)]*\)", "", text)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)


def sentences(page: Path) -> list[str]:
    """Of its prose. A list's item and a paragraph each end one."""
    parts = re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", prose(page), flags=re.MULTILINE)
    joined = [" ".join(part.split()) for part in parts]
    return [sentence for part in joined for sentence in _ENDS.split(part) if sentence]
