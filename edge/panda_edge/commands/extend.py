"""The command `panda-edge extend`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.commands.grouped import grouped, option
from panda_edge.commands.options import BundlePath, Json, RequireSignature
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import PandaError


@dataclass(frozen=True)
class ExtendOptions:
    """What is written, and what is refused."""

    out: Path | None = option(None, "The bundle to write.", metavar="Y.panda")
    request: Path | None = option(None, "What a device's page exported: pictures and labels.", metavar="ZIP")
    max_severity: float | None = option(
        None,
        "Refuse pictures whose score is more than so many times the threshold; by default what only one of a "
        "hundred false alarms of normal pictures exceeds.",
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


@grouped
def extend(
    bundle: BundlePath,
    asked: ExtendOptions,
    compared: CompareOptions,
    added: AddedOptions,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT...", help="Normal pictures: files, folders, globs, or - for a list on stdin."),
    ] = None,
    require_signature: RequireSignature = None,
    json: Json = False,
) -> None:
    """Add normal pictures, such as confirmed false alarms, to a bundle: bank and calibration are made anew.

    A picture that scores as defects do is refused: it would raise the threshold for all.
    """
    from panda_edge.commands.change import Change, added_lines, change_bundle

    given = [bool(inputs), asked.request is not None, added.list_, bool(added.remove)]
    if sum(given) != 1:
        raise PandaError("give pictures to add, or one of --request, --list and --remove")
    if added.list_:
        for line in added_lines(bundle, require_signature):
            if json:
                print_json(line)
            else:
                print_line(f"{line['name']}: added by run {line['run']}, {line['kind']}")
        return
    if asked.out is None and not compared.dry_run:
        raise PandaError("nowhere to write; give --out Y.panda, or --dry-run")
    change_bundle(
        Change(
            bundle=bundle,
            inputs=tuple(inputs or ()),
            request=asked.request,
            remove=tuple(added.remove or ()),
            out=None if compared.dry_run else asked.out,
            max_severity=asked.max_severity,
            max_bank_mb=asked.max_bank_mb,
            hold_out=asked.hold_out,
            labels=compared.labels,
            kept=compared.kept,
            fpr=compared.fpr,
            require_signature=require_signature,
            progress_lines=asked.progress_lines,
            json=json,
        )
    )
