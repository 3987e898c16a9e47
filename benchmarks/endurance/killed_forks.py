"""Commands as forks of this process, which has imported what takes them long."""

from __future__ import annotations

import importlib
import os
import sys

from panda_edge.errors import PandaError

REFUSED = 2


def import_what_takes_long() -> None:
    for name in ("hnswlib", "onnxruntime", "onnxscript", "scipy.ndimage", "sklearn.cluster", "sklearn.metrics",
                 "torch.onnx", "torchvision", "panda_edge.commands.app", "panda_train.commands.app"):  # fmt: skip
        importlib.import_module(name)


def forked(arguments: list[str]) -> int:
    """The number of a child that is a command line, program first; it ends with the command's exit code."""
    child = os.fork()
    if child == 0:
        _be(arguments)
    return child


def _be(arguments: list[str]) -> None:
    """Becomes the command, and does not come back."""
    import panda_edge.commands.app
    import panda_train.commands.app

    program, *rest = arguments
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    sys.argv = arguments
    app = panda_train.commands.app.app if program == "panda-train" else panda_edge.commands.app.app
    code = 1
    try:
        app(rest, standalone_mode=False)
        code = 0
    except PandaError as error:
        print(f"{' '.join(arguments)}: {error}", file=sys.stderr)
        code = REFUSED
    except BaseException as error:
        print(f"{' '.join(arguments)}: {error!r}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        os._exit(code)
