"""The command `panda-edge verify`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from panda_edge.commands.console import print_json, print_line
from panda_edge.commands.options import BundlePath, Json, Threads
from panda_edge.errors import PandaError


def verify(
    bundle: BundlePath,
    threads: Threads = None,
    require_signature: Annotated[
        str | None,
        typer.Option(
            "--require-signature",
            "--key",
            metavar="PUB",
            help="Check that this key has signed it, too: a public key file, or its line.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check every file's hash, then that this machine gives the workstation's numbers."""
    from panda_edge.inspect.verify import verify as verify_bundle

    report: dict[str, Any] = verify_bundle(bundle, threads, require_signature)
    if json:
        print_json(report)
    else:
        print(f"{report['files']} files as the manifest says")
        if report["signature"] is not None:
            print_line(f"signed with key {report['signature']['key']}: {report['signature']['comment']}")
        for name, difference in report["largest_difference"].items():
            print(f"{name}: largest difference {difference:.1e} (tolerance {report['tolerance'][name]:.0e})")
    if not report["ok"]:
        raise PandaError(f"{bundle}: this machine's numbers differ from the workstation's by more than the tolerance")
