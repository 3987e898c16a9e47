"""What the benchmarks are run on: real data where PANDA_DATA is set, otherwise the made sample pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lib.subject import Subject, open_subject
from benchmarks.speed.bank_table import EXACT
from panda_edge.bundle.model import default_threads


@pytest.fixture(scope="session")
def subject() -> Subject:
    return open_subject()


@pytest.fixture(scope="session")
def exact_bundle(subject: Subject) -> Path:
    """A bundle with the default options, kept between runs under build/."""
    return subject.bundle(EXACT.args)


@pytest.fixture(scope="session")
def threads() -> int:
    return min(2, default_threads())
