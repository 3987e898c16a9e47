"""The device side where what only POSIX has is missing, as on Windows: modules, calls of `os`, signals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from each_command import EACH_COMMAND

MISSING_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "syslog")
MISSING_CALLS = (
    "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_DIRECTORY", "O_NOFOLLOW", "O_TMPFILE", "posix_fallocate", "memfd_create",
    "sched_getaffinity", "pread", "pwrite", "preadv", "pwritev", "fork", "register_at_fork", "getuid", "geteuid",
    "getgid", "getpgid", "setsid", "killpg", "fchmod", "fchown", "chown", "mkfifo", "sendfile", "statvfs", "uname",
    "openpty", "fdatasync", "sync", "getxattr", "sysconf", "nice", "wait",
)  # fmt: skip
MISSING_SIGNALS = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGWINCH")

# A process that loads the libraries, loses what Windows lacks, and then runs what is given as JSON.
WITHOUT_POSIX = f"""
import asyncio, json, os, signal, socket, sqlite3, subprocess, shutil, sys, tempfile
import numpy, onnxruntime, PIL.Image, typer, rich.console, rich.progress
given = json.loads(sys.argv[1])
for name in given["before"]:
    try:
        __import__(name)
    except ImportError:
        pass

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {MISSING_MODULES!r}:
            raise ModuleNotFoundError(f"no module named {{name}}", name=name)

sys.meta_path.insert(0, Absent())
for name in {MISSING_MODULES!r}:
    sys.modules.pop(name, None)
for module, names in (os, {MISSING_CALLS!r}), (signal, {MISSING_SIGNALS!r}), (socket, ("AF_UNIX", "SOCK_CLOEXEC")):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = set()
for name in given["modules"]:
    __import__(name)
commands = given["commands"]
"""
# Libraries of extras, which know themselves what system they are on.
OF_EXTRAS = ("av", "paho.mqtt.client", "starlette.applications", "uvicorn", "h11", "pymodbus", "asyncua", "gpiod",
             "distributed", "cryptography", "pillow_heif")  # fmt: skip


def run(commands: list[list[str]], modules: list[str] | None = None, before: tuple[str, ...] = ()) -> str:
    given = json.dumps({"commands": commands, "modules": modules or [], "before": before})
    done = subprocess.run([sys.executable, "-c", WITHOUT_POSIX + EACH_COMMAND, given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_hidden_is_hidden() -> None:
    for name in ("fcntl", "resource"):
        with pytest.raises(AssertionError, match="ModuleNotFoundError"):
            run([], [name])
    code = WITHOUT_POSIX.partition("commands =")[0] + "print(hasattr(os, 'pread'), hasattr(signal, 'SIGHUP'))"
    given = json.dumps({"before": [], "modules": []})
    done = subprocess.run([sys.executable, "-c", code, given], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_every_module_is_imported() -> None:
    import panda_edge

    root = Path(panda_edge.__file__).parent
    names = [".".join(file.relative_to(root.parent).with_suffix("").parts) for file in sorted(root.rglob("*.py"))]
    names.remove("panda_edge.windows")
    assert len(names) > 100
    run([], [name.removesuffix(".__init__") for name in names], OF_EXTRAS)


def test_the_commands_run(made_bundles: dict[str, Path], odd_image: Path, tmp_path: Path) -> None:
    bundle, image = str(made_bundles["exact"]), str(odd_image)
    maps, lines = tmp_path / "maps", tmp_path / "lines.jsonl"
    watch = ["watch", bundle, str(odd_image.parent), "--once", "--jsonl", str(lines)]
    commands = [
        ["info", bundle, "--json"],
        ["verify", bundle, "--json"],
        ["detect", bundle, image, "--json"],
        ["segment", bundle, image, "--out", str(maps), "--json"],
        ["bench", bundle, "--frames", "3", "--json"],
        *[[*watch, "--rotate-mb", "0.001", "--save", str(tmp_path / "saved")]] * 3,
    ]
    printed = run(commands).splitlines()
    told = json.loads(printed[2])
    assert told["score"] == json.loads(printed[3])["score"]
    assert list(maps.glob("*_overlay.png"))
    first = lines.with_name(lines.name + ".1").read_text().splitlines()
    judged = [line for line in map(json.loads, first) if "score" in line]
    assert judged
    assert all(line["score"] == pytest.approx(told["score"]) for line in judged if line.get("where") == image)
