"""The options of `panda-edge extend`: a dataclass for each panel of its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from panda_edge.commands.grouped import option
from panda_edge.decide.false_alarms import DEFAULT_FPR


@dataclass(frozen=True)
class ExtendOptions:
    """What is written, and what is refused."""

    out: Path | None = option(None, "The bundle to write.", metavar="Y.panda")
    request: Path | None = option(None, "What a device's page exported: pictures and labels.", metavar="ZIP")
    max_severity: float | None = option(
        None,
        "Refuse pictures whose score is more than so many times the threshold. If not given: as many as one of a "
        "hundred normal false alarms exceeds.",
        min=0,
    )
    max_bank_mb: float | None = option(
        None, "Shrink the bank to at most so many megabytes; the bundle's own limit.", min=0
    )
    hold_out: int | None = option(
        None, "New pictures kept out of the bank to calibrate with; the share that `fit` held out.", min=0
    )
    progress_lines: bool = option(False, "", hidden=True)


@dataclass(frozen=True)
class CompareOptions:
    """How the bundles before and after are compared."""

    panel = "Before and after"
    dry_run: bool = option(False, "Write nothing; say what would become.")
    labels: Path | None = option(
        None, "Labelled pictures to compare by: test/good and test/KIND, as the page keeps them.", metavar="DIR"
    )
    kept: Path | None = option(None, "Pictures of `watch --save` to compare by; the 50 newest.", metavar="DIR")
    fpr: float = option(DEFAULT_FPR, "The false-alarm rate at which both are compared.")


@dataclass(frozen=True)
class AddedOptions:
    """What was added before."""

    panel = "What was added"
    list_: bool = option(False, "The pictures that were added, and by which run.", "--list")
    remove: list[str] | None = option(None, "Take an added picture out again; once for each.", metavar="NAME")
