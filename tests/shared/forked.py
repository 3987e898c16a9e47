"""Our commands without what it costs to start them: forks of one process a run, which has imported what takes long.

    python forked.py serve SOCKET OWNER                    that process; it ends when the process OWNER does
    python -IS forked.py ask SOCKET COMMAND ARGUMENTS…     COMMAND, panda-train or panda-edge, in a fork of it

To import torch and what the export needs takes more processor time than most commands that tests run. The networks that
these commands export are shared as in `exports_once.py`. `make demo` runs commands as they are installed.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

_HEAVY = ("hnswlib", "onnxruntime", "onnxscript", "scipy.ndimage", "scipy.stats", "sklearn.cluster", "sklearn.metrics",
          "skimage.data", "torch.onnx", "torchvision", "panda_edge.commands.app", "panda_train.commands.app",
          "panda_train.fitting", "panda_train.backbones")  # fmt: skip
_TURN = 1.0  # seconds between looks whether the owner lives


def start(folder: Path, owner: int) -> None:
    """Fill a folder with `panda-train` and `panda-edge`, and start the process that they ask."""
    folder = folder.absolute()
    path = folder / "socket"
    for name in ("panda-train", "panda-edge"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" ask "{path}" {name} "$@"\n')
        program.chmod(0o755)
    log = folder / "log"
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    command = [sys.executable, __file__, "serve", str(path), str(owner)]
    server = os.posix_spawn(sys.executable, command, os.environ, file_actions=streams, setsid=True)
    while not path.exists():
        if os.waitpid(server, os.WNOHANG)[0]:
            raise RuntimeError(log.read_text())
        time.sleep(0.05)


def serve(path: str, owner: int) -> None:
    """Fork for each connection until the owner is gone."""
    import torch

    import panda_export.network
    from exports_once import once
    from panda_export.onnx_file import write_onnx

    torch.set_num_threads(1)
    for name in _HEAVY:
        with suppress(ImportError):  # of an extra that is not here
            importlib.import_module(name)
    panda_export.network.write_onnx = once(write_onnx, Path(path).parents[1])  # type: ignore[assignment]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{path}.part")
        listening.listen(64)
        listening.settimeout(_TURN)
        os.rename(f"{path}.part", path)  # whoever sees it may connect
        while _lives(owner):
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            if os.fork() == 0:
                listening.close()
                _attend(connection)
            connection.close()


def _attend(connection: socket.socket) -> None:
    """Runs one command in a child, tells its process and then how it ended; does not come back."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(None)
    handles = array.array("i")
    asked, ancillary, *_ = connection.recvmsg(1 << 20, socket.CMSG_LEN(3 * handles.itemsize))
    handles.frombytes(ancillary[0][2])
    while not asked.endswith(b"\n"):
        asked += connection.recv(1 << 20)
    child = os.fork()
    if child == 0:
        connection.close()
        for number, handle in enumerate(handles):
            os.dup2(handle, number)
            os.close(handle)
        _be(**json.loads(asked))
    for handle in handles:
        os.close(handle)
    connection.sendall(f"{child}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(f"{status}\n".encode())
    os._exit(0)


def _be(command: list[str], folder: str, environment: dict[str, str]) -> None:
    """Becomes the command, and does not come back."""
    import atexit
    import tempfile
    import threading
    import traceback

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # not that of the process it is a fork of
    sys.argv = command
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    code: object = 1
    try:
        module = {"panda-train": "panda_train", "panda-edge": "panda_edge"}[command[0]]
        importlib.import_module(f"{module}.commands.app").main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def ask(path: str, command: list[str]) -> int:
    """Has a command run with this process's folder, environment and streams. Returns its exit code."""
    said = {"command": command, "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        handles = array.array("i", (0, 1, 2))
        line = json.dumps(said).encode() + b"\n"
        sent = connection.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
        connection.sendall(line[sent:])
        with connection.makefile("r") as answers:
            child = int(answers.readline())
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda caught, _: os.kill(child, caught))
            code = int(answers.readline())
    return code if code >= 0 else 128 - code


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    verb, place, *rest = sys.argv[1:]
    if verb == "serve":
        serve(place, int(rest[0]))
    else:
        sys.exit(ask(place, rest))
