"""A clock that is set back by a year, and forward again: it changes what is shown, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import panda_edge
from panda_edge.stream.frame import Notice
from panda_edge.stream.sinks.delivery import Deliveries
from panda_edge.stream.sinks.jsonl import JsonLines, RotatedFile
from panda_edge.stream.sinks.saved import SavedFrames
from panda_edge.stream.sinks.spool import Event, Spool

YEAR = 365 * 86_400.0


class Receiver:
    name = "receiver"

    def __init__(self) -> None:
        self.got: list[str] = []

    def deliver(self, events: list[Event]) -> None:
        self.got += [event.id for event in events]

    def close(self) -> None:
        pass


def test_a_clock_set_back_loses_and_reorders_nothing(
    bundle_path: Path, noise: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    incoming = tmp_path / "in"
    incoming.mkdir()
    said: list[str] = []
    notices: list[Notice] = []
    receiver = Receiver()
    file = RotatedFile(tmp_path / "w.jsonl", 100_000_000, 3600, 5)
    segmentation = panda_edge.load(bundle_path, threads=1).bundle.manifest.segmentation
    sinks = [
        JsonLines(file.write, said.append, lambda: True, file.close),
        SavedFrames(tmp_path / "saved", 10**9, lambda: segmentation, said.append),
        Deliveries(
            Spool(tmp_path / "s", ["receiver"]), [receiver], True, lambda: True, lambda name, line: said.append(line)
        ),
    ]
    outcomes = panda_edge.watch(
        panda_edge.load(bundle_path, threads=1, fpr=0.999), str(incoming), notify=notices.append
    )
    taken = []
    for number, shift in enumerate([0.0, -YEAR, YEAR, -10 * YEAR]):
        ahead[0] = shift
        for part in range(3):
            noise(10 * number + part).save(incoming / f"{number}-{part}.png")
            taken.append(next(outcomes))
            for sink in sinks:
                sink.outcome(taken[-1])
    outcomes.close()  # type: ignore[attr-defined]
    for sink in sinks:
        sink.close(10)
    ids = [outcome.id for outcome in taken]
    wanted = [f"{number}-{part}.png" for number in range(4) for part in range(3)]
    assert [Path(outcome.frame.picture.where or "").name for outcome in taken] == wanted
    assert [outcome.frame.number for outcome in taken] == list(range(1, 13))
    assert all(outcome.result is not None and 0 < outcome.latency_ms < 60_000 for outcome in taken)
    assert len({*ids}) == 12
    assert [json.loads(line)["id"] for line in (tmp_path / "w.jsonl").read_text().splitlines()] == ids
    assert list(dict.fromkeys(receiver.got)) == ids
    saved = sorted((tmp_path / "saved").glob("*.json"))
    assert [json.loads(path.read_text())["id"] for path in saved] == [o.id for o in taken if o.anomalous]
    assert said == []
    assert notices == []
    assert taken[-1].frame.captured < taken[0].frame.captured  # what is shown is what the clock said
