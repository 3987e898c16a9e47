"""Arguments and options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panda_edge.commands.grouped import option
from panda_edge.decide.false_alarms import DEFAULT_FPR

if TYPE_CHECKING:
    from panda_edge.detector import Detector

BundlePath = Annotated[Path, typer.Argument(metavar="X.panda", help="The bundle.")]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Image files, folders, globs, or - for a list on stdin."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of model and search; every processor by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")]
Csv = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same results as CSV, at the end.")]
Roi = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Look only here: a mask (white inside), or polygons in a .json file."),
]
Epsilon = Annotated[
    float, typer.Option(help="Search faster: heat map distances may be up to 1 + EPSILON times the true ones.")
]
RequireSignature = Annotated[
    str | None,
    typer.Option(
        metavar="PUB",
        help="Use the bundle only if this public key has signed it. PUB is the key itself, or a file with it.",
    ),
]
Fpr = Annotated[
    float, typer.Option(help="Share of normal images that may be called anomalous, where the bundle is calibrated.")
]


@dataclass(frozen=True)
class DetectorOptions:
    """How a bundle is opened."""

    fpr: Fpr = DEFAULT_FPR
    roi: Roi = None
    epsilon: Epsilon = 0.0
    threads: Threads = None
    provider: str = option("cpu", "What runs the network in onnxruntime: cpu, cuda, tensorrt, openvino, xnnpack, …")
    require_signature: RequireSignature = None

    def load(self, bundle: Path) -> Detector:
        """See `panda_edge.load`."""
        from panda_edge.detector import load

        return load(bundle, self.threads, self.provider, self.epsilon, self.fpr, self.require_signature, self.roi)
