"""What reads foreign input has a floor in pyproject.toml without known holes, and CI tests no older one."""

from __future__ import annotations

import re
import tomllib
from itertools import chain

import pytest
from delivery import lock
from delivery.wheels import ROOT

# The lowest version without a hole that was known on 2026-11-30, and the last that it mends. All rest on memory: the
# packages' metadata name no holes, and `pip-audit` reached no advisories from here. Ask it before a release.
FLOORS = {
    "pillow": ("13.0", "pictures: CVE-2026-54059, -54060, -55379, -55380, -55798 in 12.3, one more in 13.0"),
    "av": ("18", "video: FFmpeg 8 inside"),
    "onnxruntime": ("1.28.1", "models: readers and kernels that left their memory"),
    "hnswlib": ("0.8", "indexes: CVE-2023-37365"),
    "starlette": ("1.3.1", "the page: CVE-2025-62727 and later"),
    "h11": ("0.16", "the page: CVE-2025-43859"),
    "cryptography": ("46.0.5", "signatures: CVE-2026-26007"),
    "distributed": ("2026.1", "archives: CVE-2026-23528"),
}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def asked() -> dict[str, list[str]]:
    """The floors that pyproject.toml has, of all extras, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, list[str]] = {}
    for line in chain(project["dependencies"], *project["optional-dependencies"].values()):
        if match := re.fullmatch(r"([\w.-]+)>=([\d.]+)", line):
            found.setdefault(lock.name_of(match[1]), []).append(match[2])
    return found


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_older_is_asked_for_or_tested(name: str) -> None:
    floor, _ = FLOORS[name]
    given = asked()[name]
    assert all(numbers(version) >= numbers(floor) for version in given), given
    assert numbers(lock.read()[name]) >= numbers(floor)
