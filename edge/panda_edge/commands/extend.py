"""The command `panda-edge extend`."""

from __future__ import annotations

from typing import Annotated

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.commands.extend_options import AddedOptions, CompareOptions, ExtendOptions
from panda_edge.commands.grouped import grouped
from panda_edge.commands.options import BundlePath, Json, RequireSignature
from panda_edge.errors import PandaError


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
            **vars(asked),
            **vars(compared),
            bundle=bundle,
            inputs=tuple(inputs or ()),
            remove=tuple(added.remove or ()),
            require_signature=require_signature,
            json=json,
        )
    )
