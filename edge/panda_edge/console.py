"""How the commands speak: results on stdout, errors as one line on stderr with exit code 2."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from typing import Any

import typer

from panda_edge.errors import PandaError


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, at once, so that a pipe reads it as it comes."""
    print(json.dumps(value, allow_nan=False), flush=True)


def print_error(error: PandaError | str) -> None:
    """One line on stderr, whatever the message holds."""
    line = " ".join(str(error).split())
    # A file's name may hold what a terminal obeys.
    print("error: " + "".join(c if c.isprintable() else "?" for c in line), file=sys.stderr, flush=True)


def run(app: typer.Typer) -> None:
    """Run a command line: a PandaError becomes one line and exit code 2."""
    # Names of files need not be text in this terminal's encoding.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module=r"PIL\..*")  # its remarks on damaged files; ours say what came of it
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except PandaError as error:
        print_error(error)
        sys.exit(2)
    except BrokenPipeError:
        _drop_output()  # the reader (head, say) has what it wanted
        sys.exit(1)
    except OSError as error:
        if error.errno is None:  # a library's own, not the system's: a defect of ours
            raise
        # The machine's state: a full disk, a folder that may not be entered.
        if error.filename is None:
            _drop_output()
        print_error(f"{error.filename or 'output'}: {error.strerror or error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _drop_output() -> None:
    """Keep the interpreter from failing again as it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
