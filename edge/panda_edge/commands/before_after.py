"""Two bundles' figures side by side, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_KINDS = {
    "new": "alarms on the new pictures",
    "normal": "alarms on other normal pictures",
    "defects": "labelled defects found",
    "kept": "alarms on kept pictures",
}


def table(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines of text; rows of which nothing is known are left out. before, after: as `compared` gives them."""
    rows: list[tuple[str, Callable[[dict[str, Any]], str | None]]] = [
        ("threshold", lambda one: _number(one["threshold"])),
        ("promised false alarms", lambda one: _percent(one["promised"])),
        *((said, _share(kind)) for kind, said in _KINDS.items()),
        ("rate that finds all defects", lambda one: _percent(one["finds_all"])),
        ("pictures in the bank", lambda one: str(one["train_images"])),
        ("megabytes", lambda one: f"{one['bytes'] / 1e6:.1f}"),
        ("ms a picture", lambda one: _number(one["ms"])),
    ]
    shown = [(said, of(before), of(after)) for said, of in rows]
    lines = [(said, first or "–", second or "–") for said, first, second in shown if first or second]
    widths = [max(len(line[column]) for line in [*lines, ("", "before", "after")]) for column in range(3)]
    return [
        f"{said:{widths[0]}}  {first:>{widths[1]}}  {second:>{widths[2]}}"
        for said, first, second in [("", "before", "after"), *lines]
    ]


def _share(kind: str) -> Callable[[dict[str, Any]], str | None]:
    def of(one: dict[str, Any]) -> str | None:
        judged = one["judged"].get(kind)
        return f"{one['alarms'][kind]} of {judged}" if judged else None

    return of


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.2g} %"
