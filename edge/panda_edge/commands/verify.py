"""The command `panda-edge verify`."""

from __future__ import annotations

from typing import Any

from panda_edge.commands.console import print_json
from panda_edge.commands.options import BundlePath, Json, Threads
from panda_edge.errors import PandaError


def verify(bundle: BundlePath, threads: Threads = None, json: Json = False) -> None:
    """Check every file's hash, then that this machine gives the workstation's numbers."""
    from panda_edge.examine.verify import verify as verify_bundle

    report: dict[str, Any] = verify_bundle(bundle, threads)
    if json:
        print_json(report)
    else:
        print(f"{report['files']} files as the manifest says")
        for name, difference in report["largest_difference"].items():
            print(f"{name}: largest difference {difference:.1e} (tolerance {report['tolerance'][name]:.0e})")
    if not report["ok"]:
        raise PandaError(f"{bundle}: this machine's numbers differ from the workstation's by more than the tolerance")
