"""How the commands speak: results on stdout, errors as one line on stderr with exit code 2."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

from panda_edge.errors import PandaError
from panda_edge.printable import printable, rounded

T = TypeVar("T")

COMMANDS_OF = {
    "panda-edge": ("info", "verify", "detect", "segment", "archive", "watch", "history", "extend", "bench"),
    "panda-train": (
        "sample", "check", "choose", "fit", "evaluate", "report", "backbones", "keygen", "sign", "fisher", "paper",
    ),
}  # fmt: skip
"""The commands of both programs, so that each can name the other's; it need not be installed."""

_PAUSE = 0.25  # seconds between two lines of progress

_NOT_MAPPED = "failed to map segment"  # the linker's words where a library finds no room in memory

# ClickException, which a wrong command line raises: typer exports only a subclass of it, and click need not be there.
_CommandLineError: Any = typer.BadParameter.__mro__[2]


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, at once, so that a pipe reads it as it comes."""
    print(json.dumps(rounded(value), allow_nan=False), flush=True)


def show(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Gives the items one by one, and shows on stderr, where that is a terminal, how many of `total` have gone."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, description=description, total=total, console=Console(stderr=True))


def show_lines(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Gives the items one by one, and says on stderr how many have gone, a line of JSON a quarter of a second: for a
    program that waits for this one."""
    said = -1.0
    for number, item in enumerate(items):
        if time.monotonic() - said >= _PAUSE:
            said = time.monotonic()
            line = json.dumps({"progress": description, "done": number, "total": total})
            print(line, file=sys.stderr, flush=True)
        yield item


def print_error(error: PandaError | str) -> None:
    """One line on stderr, whatever the message holds."""
    print("error: " + printable(" ".join(str(error).split())), file=sys.stderr, flush=True)


def print_line(text: str) -> None:
    """One line of result on stdout, at once, whatever names it holds."""
    print(printable(text), flush=True)


def print_remark(text: str) -> None:
    """One line on stderr, whatever names it holds."""
    print(printable(text), file=sys.stderr, flush=True)


def run(app: typer.Typer) -> None:
    """Run a command line: a user's mistake becomes one line and exit code 2."""
    _open_closed_streams()
    # Names of files need not be text in this terminal's encoding.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("ignore", module=r"PIL\..*")  # its remarks on damaged files; ours say what came of it
    try:
        try:
            with _interruptible():
                code = app(standalone_mode=False)
        finally:
            sys.stdout.flush()
    except typer.Abort:
        sys.exit(130)
    except _CommandLineError as error:
        _print_usage_error(error)
        sys.exit(2)
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
    except MemoryError as error:
        print_error(
            f"not enough memory ({str(error) or 'none is left'}); free some, or use a smaller bundle or picture"
        )
        sys.exit(2)
    except ImportError as error:
        said = [line.strip() for line in str(error).splitlines() if _NOT_MAPPED in line]
        if not said:
            raise
        print_error(f"not enough memory for a library ({said[0]}); free some")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raises KeyboardInterrupt where a library made an error of its own of Ctrl-C, as torch's export does."""
    interrupts: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except (PandaError, OSError, MemoryError, _CommandLineError):
        raise
    except Exception:
        if interrupts:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def _open_closed_streams() -> None:
    """Gives a closed stdout or stderr (`>&-`) a file: else the next file that is opened would get its number, and what
    a library prints. Results that find stdout closed are an error; what is said on a closed stderr is lost."""
    for name, number, flags in (("stdout", 1, os.O_RDONLY), ("stderr", 2, os.O_WRONLY)):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, flags)
        try:
            os.fstat(number)  # a file that was opened since has this number: it keeps it
            number = opened
        except OSError:
            os.dup2(opened, number)
            os.close(opened)
        setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))


def _print_usage_error(error: Any) -> None:
    """One line, and where to read on; the help itself where no argument was given."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    context = getattr(error, "ctx", None)
    said = error.format_message().rstrip(".")
    other = _other_program(said)
    hint = other or (f"see {context.command_path} --help" if context else "see --help")
    print_error(f"{said}; {hint}")


def _other_program(said: str) -> str | None:
    """Where a command belongs that this program does not have."""
    found = re.match(r"No such command '(\w+)'$", said)
    for program, commands in COMMANDS_OF.items():
        if found and found[1] in commands:
            return f"it is `{program} {found[1]}`"
    return None


def _drop_output() -> None:
    """Keep the interpreter from failing again as it flushes stdout at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
