"""What a plant's sinks were given, and that nothing of it is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from benchmarks.endurance.plant_account import Account
from PIL import Image

from panda_edge.decide.decision import Decision
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import OpenedImage
from panda_edge.result import Result
from panda_edge.stream.frame import Frame, Outcome, Picture
from panda_edge.stream.sinks.delivery import Deliveries
from panda_edge.stream.sinks.jsonl import JsonLines, RotatedFile
from panda_edge.stream.sinks.nearly import Nearly
from panda_edge.stream.sinks.saved import SavedFrames
from panda_edge.stream.sinks.spool import Spool


class Taker:
    """Takes every event, and counts."""

    name = "taker"

    def __init__(self) -> None:
        self.taken = 0

    def deliver(self, events: list[Any]) -> None:
        self.taken += len(events)

    def close(self) -> None: ...


def outcome_of(number: int, p_value: float) -> Outcome:
    """Anomalous below 0.05; nearly so up to twice that."""
    decision = Decision("max", 1.0, 2.0, p_value, p_value <= 0.05, 0.05, 2.0, ())
    result = Result(
        1.0, 1.0, np.zeros((64, 64), np.float32), (64, 64), Preprocessing(64, 64).view((64, 64)), decision=decision
    )
    picture = Picture(OpenedImage(Image.new("RGB", (64, 64)), (64, 64)), 0.0)
    return Outcome(f"a-{number}", Frame("s", number, 100.0 * number, picture), 0, result, None, {}, 1.0)


def test_a_frame_that_nearly_is_anomalous_is_accounted_for(tmp_path: Path) -> None:
    file, taker = RotatedFile(tmp_path / "lines", 10**6, 3600, 1), Taker()
    segmentation: Any = SimpleNamespace(normal_low=0.0, normal_high=1.0)
    saved = SavedFrames(tmp_path / "saved", 10**8, lambda: segmentation, print, nearly=Nearly())
    events = Deliveries(Spool(tmp_path / "spool", ["taker"], 100), [taker], False, lambda: False, print)
    sinks = [JsonLines(file.write, print, lambda: False, file.close), saved, events]
    account = Account(sinks)
    for number, p_value in enumerate((0.01, 0.5, 0.08, 0.02, 0.5)):
        for sink in sinks:
            sink.outcome(outcome_of(number, p_value))
    for sink in sinks:
        sink.close(20)
    found = account.closed(frames=5, notices=0, anomalous=2, arrived=taker.taken)
    assert found["saved"] == {"saved": 3, "nearly_anomalous": 1, "lost": 0, "unaccounted_for": 0}
    assert found["lines"] == {"written": 5, "lost": 0, "unaccounted_for": 0}
    assert found["events"] == {"arrived": 2, "lost": 0, "unaccounted_for": 0}
    assert account.closed(5, 0, anomalous=3, arrived=1)["saved"]["unaccounted_for"] == 1
    assert account.closed(6, 0, 2, 1)["lines"]["unaccounted_for"] == 1
    assert account.closed(6, 0, 2, 1)["events"]["unaccounted_for"] == 1
