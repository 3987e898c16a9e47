"""The command `panda-edge extend`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.commands.grouped import grouped
from panda_edge.commands.options import BundlePath, Json, RequireSignature
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.errors import PandaError


@dataclass(frozen=True)
class ExtendOptions:
    """What is written, and what is refused."""

    panel: ClassVar[str | None] = None
    out: Annotated[Path | None, typer.Option(metavar="Y.panda", help="The bundle to write.")] = None
    request: Annotated[
        Path | None, typer.Option(metavar="ZIP", help="What a device's page exported: pictures and labels.")
    ] = None
    max_severity: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Refuse pictures whose score is more than so many times the threshold; by default what only one of a "
            "hundred false alarms of normal pictures exceeds.",
        ),
    ] = None
    max_bank_mb: Annotated[
        float | None, typer.Option(min=0, help="Shrink the bank to at most so many megabytes; the bundle's own limit.")
    ] = None
    hold_out: Annotated[
        int | None,
        typer.Option(min=0, help="New pictures kept out of the bank to calibrate with; the share that `fit` held out."),
    ] = None
    progress_lines: Annotated[bool, typer.Option("--progress-lines", hidden=True)] = False


@dataclass(frozen=True)
class CompareOptions:
    """How the bundles before and after are compared."""

    panel: ClassVar[str | None] = "Before and after"
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would become.")] = False
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Labelled pictures to compare by: test/good and test/KIND, as the page keeps them."
        ),
    ] = None
    kept: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures of `watch --save` to compare by; the 50 newest.")
    ] = None
    fpr: Annotated[float, typer.Option(help="The false-alarm rate at which both are compared.")] = DEFAULT_FPR


@dataclass(frozen=True)
class AddedOptions:
    """What was added before."""

    panel: ClassVar[str | None] = "What was added"
    list_: Annotated[bool, typer.Option("--list", help="The pictures that were added, and by which run.")] = False
    remove: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take an added picture out again; once for each.")
    ] = None


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
