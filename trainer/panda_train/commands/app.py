"""The command `panda-train`: what a workstation does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from panda_edge.commands.console import print_error, run
from panda_edge.commands.program import program
from panda_edge.errors import install
from panda_train.commands.backbones import backbones
from panda_train.commands.check import check
from panda_train.commands.choose import choose
from panda_train.commands.evaluate import evaluate
from panda_train.commands.fisher import fisher
from panda_train.commands.fit import fit
from panda_train.commands.paper import paper
from panda_train.commands.report import report
from panda_train.commands.sample import sample
from panda_train.commands.sign import keygen, sign

_WORKSTATION = ("torch", "torchvision", "onnx", "onnxscript", "skimage", "sklearn", "scipy")

# Each command's help ends with its example. A test runs them in this order, but for the long ones, which it parses.
_COMMANDS: dict[Callable[..., Any], str] = {
    sample: "panda-train sample parts --texture brick",
    check: "panda-train check parts --html check.html",
    choose: "panda-train choose parts --ms 30 --plot choice.png",
    fit: "panda-train fit parts --out parts.panda --bank gaussian --max-bank-mb 50",
    evaluate: "panda-train evaluate parts.panda parts",
    report: "panda-train report parts.panda parts --out report",
    backbones: "panda-train backbones efficientnet-lite0 resnet18",
    keygen: "panda-train keygen line.key",
    sign: "panda-train sign parts.panda --key line.key",
    fisher: "panda-train fisher --backbone efficientnet-lite0",
    paper: "panda-train paper cifar10 --data cifar10 --out results --methods dn2",
}
app = program("Adapt features to normal images, export bundles for panda-edge, evaluate them.", _COMMANDS)


def main() -> None:
    missing = [name for name in _WORKSTATION if find_spec(name) is None]
    if missing:
        print_error(f"panda-train needs {', '.join(missing)}; install the workstation side: {install('train')}")
        sys.exit(2)
    run(app)
