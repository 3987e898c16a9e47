"""What reads foreign input has a floor in pyproject.toml without known holes, and CI tests no older one."""

from __future__ import annotations

import re
import tomllib
from itertools import chain

import pytest
from delivery import lock
from delivery.wheels import ROOT

# The lowest version without a hole that is known and has a remedy. SECURITY.md says what each mends, and where that was
# read; `pip-audit` reached no advisories from here, so ask it before a release.
FLOORS = {
    "pillow": "13.0",
    "pillow-heif": "1.8.1",
    "av": "18.1",
    "onnx": "1.21",
    "onnxruntime": "1.28.1",
    "hnswlib": "0.8",
    "starlette": "1.3.1",
    "h11": "0.16",
    "uvicorn": "0.30",
    "cryptography": "50.0",
    "distributed": "2026.1.1",
    "paho-mqtt": "2",
    "pymodbus": "3.16",
    "asyncua": "2.1",
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
    floor = FLOORS[name]
    given = asked()[name]
    assert all(numbers(version) >= numbers(floor) for version in given), given
    assert numbers(lock.read()[name]) >= numbers(floor)


@pytest.mark.parametrize("name", FLOORS)
def test_where_it_was_read_is_said(name: str) -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^\| {re.escape(name)} {re.escape(FLOORS[name])} \|.+\| (\[.+\]\(https://.+\)|nothing found) \|$", page, re.M
    )
