"""The command `panda-edge`: what a device does with a bundle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from panda_edge.commands.archive import archive
from panda_edge.commands.bench import bench
from panda_edge.commands.console import run
from panda_edge.commands.detect import detect
from panda_edge.commands.extend import extend
from panda_edge.commands.history import history
from panda_edge.commands.info import info
from panda_edge.commands.program import program
from panda_edge.commands.segment import segment
from panda_edge.commands.verify import verify
from panda_edge.commands.watch import watch

# Each command's help ends with its example. A test runs them, in this order, in a folder that holds `panda-train`'s.
_COMMANDS: dict[Callable[..., Any], str] = {
    info: "panda-edge info parts.panda",
    verify: "panda-edge verify parts.panda",
    detect: "panda-edge detect parts.panda parts/test/hole --json",
    segment: "panda-edge segment parts.panda parts/test --out maps",
    archive: "panda-edge archive parts.panda parts/test --out scores --workers 2",
    watch: "panda-edge watch parts.panda parts/test/hole --once --save found",
    history: "panda-edge history found",
    extend: "panda-edge extend parts.panda parts/test/good --out more.panda",
    bench: "panda-edge bench parts.panda parts/test/good --frames 50",
}
app = program("Find anomalous images, and the anomalous pixels in them, with a bundle made by panda-train.", _COMMANDS)


def main() -> None:
    run(app)
