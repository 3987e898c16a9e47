"""The lock pins all that pyproject asks for, to versions that it allows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from delivery.lock import EXTRAS, name_of, read
from delivery.wheels import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def asked_for(extra: str) -> Iterator[Requirement]:
    """What an extra needs, those that it names of ours included."""
    for line in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            for other in requirement.extras:
                yield from asked_for(other)
        else:
            yield requirement


def stale(pins: dict[str, str]) -> list[str]:
    wanted = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in EXTRAS.split(","):
        wanted += asked_for(extra)
    return [
        str(one) for one in wanted if not one.specifier.contains(pins.get(name_of(one.name), "0"), prereleases=True)
    ]


def test_the_lock_is_current() -> None:
    assert not stale(read()), "make lock"


@pytest.mark.parametrize("version", [None, "1.0"])
def test_a_range_that_left_the_lock_behind_is_told(version: str | None) -> None:
    pins = read()
    if version:
        pins["numpy"] = version
    else:
        del pins["numpy"]
    assert any(line.startswith("numpy") for line in stale(pins))
