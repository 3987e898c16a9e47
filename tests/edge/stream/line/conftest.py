"""A PLC, verdicts of each kind, and lines that are closed at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.plc import Plc

import panda_edge
from line_recorder import Recorder
from panda_edge.stream.frame import Outcome
from panda_edge.stream.line.address import Timing
from panda_edge.stream.line.line import Line
from panda_edge.stream.line.signals import Limits
from panda_edge.stream.line.way import Way


@pytest.fixture
def plc() -> Iterator[Plc]:
    pytest.importorskip("pymodbus", reason="needs pymodbus: pip install 'panda-edge[plc]'")
    server = Plc()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def judged(bundle_path: Path, sample_data: Path) -> dict[str, Outcome]:
    """An outcome of each verdict."""
    outcomes = list(
        panda_edge.watch(panda_edge.load(bundle_path, threads=1, fpr=0.3), str(sample_data / "test"), once=True)
    )
    ok, ng = ({o.anomalous: o for o in outcomes}[value] for value in (False, True))
    return {"ok": ok, "ng": ng, "odd": replace(ok, result=None, not_judged="black: 0")}


@pytest.fixture
def make_line() -> Iterator[Callable[..., Any]]:
    lines: list[Line] = []

    def make(
        output: Any = None, looked: Callable[[], float] = time.monotonic, way: Way | None = None, **timing: float
    ) -> tuple[Any, Any]:
        output = output or Recorder()
        sources = ["cam", "two"]
        lines.append(Line(output, sources, Timing(**timing), Limits(), looked, lambda text: None, way=way))
        return lines[-1], output

    yield make
    for line in lines:
        line.close(10)
