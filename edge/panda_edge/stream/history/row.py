"""One frame of the history."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from panda_edge.stream.frame import Outcome
from panda_edge.stream.lines import utc

NAME = "history.sqlite"
"""The history's file in the folder of `--save`."""


@dataclass(frozen=True)
class Row:
    """id: the outcome's. captured: seconds since 1970. anomalous: None where nothing was decided. not_judged: why; then
    there are no scores. bundle: the first 12 digits of its manifest's hash. saved: the picture's file in the folder of
    `--save`, None where it was not saved. seq: the frame's place in the history, None before it has one."""

    id: str
    captured: float
    source: str
    frame: int
    place: str | None
    score: float | None
    threshold: float | None
    severity: float | None
    p_value: float | None
    anomalous: bool | None
    not_judged: str | None
    bundle: str
    saved: str | None = None
    seq: int | None = None

    @classmethod
    def of(cls, outcome: Outcome, bundle: str) -> Row:
        result, frame = outcome.result, outcome.frame
        return cls(
            outcome.id,
            frame.captured,
            text_of(frame.source),
            frame.number,
            None if frame.picture.where is None else text_of(frame.picture.where),
            None if result is None else float(result.score),
            None if result is None else result.threshold,
            None if result is None else result.severity,
            outcome.p_value,
            outcome.anomalous,
            None if outcome.not_judged is None else text_of(outcome.not_judged),
            bundle,
        )

    @classmethod
    def forgotten(cls, identity: str) -> Row:
        """Of a frame that is no longer in the history."""
        return cls(identity, 0.0, "", 0, None, None, None, None, None, None, None, "")

    @property
    def verdict(self) -> str:
        """`OK`, `NG`, `not judged`, or `undecided` of a bundle that is not calibrated."""
        if self.not_judged is not None:
            return "not judged"
        return {True: "NG", False: "OK", None: "undecided"}[self.anomalous]

    def facts(self) -> dict[str, Any]:
        """As `panda-edge history` and the page give it."""
        return {
            "id": self.id,
            "captured": utc(self.captured),
            "source": self.source,
            "frame": self.frame,
            "where": self.place,
            "verdict": self.verdict,
            "score": self.score,
            "threshold": self.threshold,
            "severity": self.severity,
            "p_value": self.p_value,
            "not_judged": self.not_judged,
            "bundle": self.bundle,
            "saved": self.saved,
        }


COLUMNS = tuple(field.name for field in fields(Row) if field.name != "seq")
HEADINGS = tuple(Row.forgotten("").facts())


def text_of(name: str) -> str:
    """A name that need not be text, as a file's, so that a database takes it."""
    return name.encode(errors="backslashreplace").decode()
