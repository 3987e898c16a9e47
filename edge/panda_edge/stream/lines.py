"""Outcomes and notices as the JSON objects that every sink sends."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from panda_edge.stream.frame import Notice, Outcome


def outcome_line(outcome: Outcome) -> dict[str, Any]:
    """One frame's outcome. Scores are null where it was not judged, p-value and decision also without calibration."""
    frame, result = outcome.frame, outcome.result
    regions = None if result is None or result.regions is None else [asdict(region) for region in result.regions]
    return {
        "id": outcome.id,
        "source": frame.source,
        "frame": frame.number,
        "where": frame.picture.where,
        "captured": utc(frame.captured),
        "score": None if result is None else result.score,
        "threshold": None if result is None else result.threshold,
        "severity": None if result is None else result.severity,
        "p_value": outcome.p_value,
        "anomalous": outcome.anomalous,
        "not_judged": outcome.not_judged,
        "regions": regions,
        "dropped": outcome.dropped,
        "latency_ms": round(outcome.latency_ms, 3),
        "ms": {stage: round(milliseconds, 3) for stage, milliseconds in outcome.stages_ms.items()},
    }


def notice_line(notice: Notice) -> dict[str, Any]:
    """Something that is not of one frame: a camera lost, a bundle taken up."""
    return {
        "id": notice.id,
        "notice": notice.kind,
        "source": notice.source,
        "text": notice.text,
        "at": utc(notice.at),
        **notice.facts,
    }


def utc(seconds: float) -> str:
    """Seconds since 1970 as `2026-01-31T12:00:00.123Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
