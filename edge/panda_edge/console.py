"""How the commands speak: results on stdout, errors as one line on stderr with exit code 2."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer

from panda_edge.errors import PandaError


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, at once, so that a pipe reads it as it comes."""
    print(json.dumps(value, allow_nan=False), flush=True)


def print_error(error: PandaError | str) -> None:
    """One line on stderr, whatever the message holds."""
    print("error: " + " ".join(str(error).split()), file=sys.stderr, flush=True)


def run(app: typer.Typer) -> None:
    """Run a command line: a PandaError becomes one line and exit code 2."""
    try:
        app()
    except PandaError as error:
        print_error(error)
        sys.exit(2)
    except BrokenPipeError:
        # The reader (head, say) has what it wanted; keep the interpreter from failing again as it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
