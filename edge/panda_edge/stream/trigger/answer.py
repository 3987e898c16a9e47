"""What a trigger is answered."""

from __future__ import annotations

from typing import Any

from panda_edge.stream.frame import Outcome
from panda_edge.stream.lines import outcome_line

_WORST = ("missed", "not judged", "NG", "OK")


def answer_of(outcomes: list[Outcome | None]) -> dict[str, Any]:
    """verdict: the worst of the sources', `missed`, `not judged`, `NG` or `OK`; outcomes: each source's, as JSON lines
    have it, null where it was missed."""
    verdicts = {_verdict(outcome) for outcome in outcomes}
    return {
        "verdict": next(name for name in _WORST if name in verdicts),
        "outcomes": [None if outcome is None else outcome_line(outcome) for outcome in outcomes],
    }


def _verdict(outcome: Outcome | None) -> str:
    if outcome is None:
        return "missed"
    return {True: "NG", False: "OK", None: "not judged"}[outcome.anomalous]
