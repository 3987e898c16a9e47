"""Whether this checkout may be released under a tag: python -m delivery.release v0.2.0

The version stands once, in edge/panda_edge/__init__.py. The tag must be `v` and that version. CHANGELOG.md must have a
section of that version with a date, and nothing under Unreleased.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<text>(?:(?!## ).*\n?)*)", re.MULTILINE)


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What speaks against it, a line each."""
    package = (root / "edge" / "panda_edge" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', package, re.MULTILINE)
    log = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = {match["title"]: match["text"].strip() for match in _SECTION.finditer(log)}
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, expected v{version}: change one of them (edge/panda_edge/__init__.py)")
    dated = [title for title in sections if re.fullmatch(rf"{re.escape(version)} – \d{{4}}-\d\d-\d\d", title)]
    if not dated or not sections[dated[0]]:
        found.append(f"CHANGELOG.md: expected a section '## {version} – YYYY-MM-DD' that says what changed")
    if sections.get("Unreleased"):
        found.append(f"CHANGELOG.md: lines are left under Unreleased; move them to {version}")
    return found


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("expected a tag, such as v0.2.0")
    if found := problems(sys.argv[1]):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
