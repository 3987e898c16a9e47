"""The command `panda-edge history`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.commands.options import Json
from panda_edge.errors import PandaError

Verdict = StrEnum("Verdict", {"ok": "OK", "ng": "NG", "not_judged": "not-judged", "undecided": "undecided"})


def history(
    where: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of `watch --save`, or a history's file.")],
    source: Annotated[str | None, typer.Option(help="Only frames of this source.")] = None,
    verdict: Annotated[
        Verdict | None, typer.Option(help="Only frames with this verdict.", case_sensitive=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only frames from this time on: 2026-01-31, or 2026-01-31T14:00; local time."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only frames before this time.")] = None,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="Print what visitors of the page decided instead: who, when, before, after."),
    ] = False,
    json: Json = False,
) -> None:
    """Print what `watch` judged, a line a frame, oldest first, as CSV; with --json as JSON lines. `watch` may go on."""
    from panda_edge.stream.history.reader import HistoryReader, Wanted
    from panda_edge.stream.history.row import HEADINGS
    from panda_edge.visualise.csv_lines import csv_line

    wanted = Wanted(
        source,
        None if verdict is None else verdict.value.replace("-", " "),
        None if since is None else _seconds(since, "--since"),
        None if until is None else _seconds(until, "--until"),
    )
    reader = HistoryReader(where)
    if decisions:
        for decision in reader.decisions():
            if json:
                print_json(decision)
            else:
                print_line(", ".join(f"{name} {value}" for name, value in decision.items() if value is not None))
        return
    if not json:
        print_line(csv_line(HEADINGS))
    for row in reader.every(wanted):
        if json:
            print_json(row.facts())
        else:
            print_line(csv_line(row.facts().values()))


def _seconds(given: str, option: str) -> float:
    """Seconds since 1970. Raises PandaError."""
    try:
        return datetime.fromisoformat(given).timestamp()  # without a zone: local time
    except (ValueError, OverflowError, OSError):
        raise PandaError(f"{option} {given}: expected a time such as 2026-01-31 or 2026-01-31T14:00") from None
