"""A new user with a stop watch: python -m benchmarks.speed.new_user PICTURES KIND

PICTURES: "pictures of your own", laid out as Start says; KIND: a folder of bad ones below its `test/`. The repository
is cloned afresh, and installed as README says, into new environments, with nothing of this machine's pip but its
certificates. README's own five commands are then run on the pictures, less the one that makes a sample. A second
environment stands for the device: the device install, the copied bundle, `watch` on a folder that pictures come into,
and a webhook that hears the alarm. What a person reads and types is not in the times.

`--installed` leaves out cloning, installing and the device: README's commands alone, by the environment that runs this.
Rows go to benchmarks/speed/results/new_user.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import REPOSITORY, say

sys.path.append(str(REPOSITORY / "docs" / "site"))
from documents import blocks

TARGETS_MIN = {"overlay": 15, "alarm": 30}


class StopWatch:
    """Seconds of each step by the clock, and of its processors, in order."""

    def __init__(self, folder: Path) -> None:
        self.steps: dict[str, float] = {}
        self.processor: dict[str, float] = {}
        self._folder = folder
        kept = {name: text for name, text in os.environ.items() if not name.startswith("PIP_") or name == "PIP_CERT"}
        self.environment = {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}

    def run(self, step: str, line: str) -> None:
        """Run a line of a shell as a user pastes it; its failure ends the trial."""
        say(f"{step}: {line}")
        started = self.begin()
        done = subprocess.run(
            ["bash", "-c", line], cwd=self._folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        self.add(step, started)

    def begin(self) -> tuple[float, float]:
        """The clock, and what children that ended have had of the processors."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.monotonic(), used.ru_utime + used.ru_stime

    def add(self, step: str, started: tuple[float, float]) -> None:
        clock, processor = self.begin()
        self.steps[step] = round(clock - started[0], 1)
        self.processor[step] = round(processor - started[1], 1)

    @property
    def minutes(self) -> float:
        return round(sum(self.steps.values()) / 60, 1)


def readme_lines(kind: str) -> list[str]:
    """README's commands for pictures of one's own in `parts`, whose bad ones are in `parts/test/KIND`."""
    pasted = blocks(REPOSITORY / "README.md", "bash")[0].text
    lines = [line.partition("#")[0].strip() for line in pasted.splitlines()]
    return [line.replace("parts/test/hole", f"parts/test/{kind}") for line in lines if line and " sample " not in line]


def install(watch: StopWatch, folder: Path) -> None:
    """A clone, and an environment of the workstation side."""
    watch.run("clone", f"git clone --quiet {REPOSITORY} panda-edge")
    watch.run("install", "python3 -m venv workstation && workstation/bin/pip install --quiet './panda-edge[train]'")
    watch.environment["PATH"] = f"{folder / 'workstation' / 'bin'}:{os.environ['PATH']}"


def to_the_first_overlay(watch: StopWatch, folder: Path, kind: str) -> None:
    """README's commands, which end with an overlay of one's own picture."""
    for line in readme_lines(kind):
        watch.run(" ".join(line.split()[:2]), line)
    if not any((folder / "maps").rglob("*_overlay.png")):
        sys.exit("README's commands left no overlay")


class _Alarms(BaseHTTPRequestHandler):
    heard = threading.Event()

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        if event.get("anomalous"):
            self.heard.set()

    def log_message(self, format: str, *args: object) -> None:
        pass


def to_the_first_alarm(watch: StopWatch, folder: Path, kind: str) -> None:
    """From the bundle to an alarm that a webhook hears, on what stands for a second device."""
    watch.environment["PATH"] = os.environ["PATH"]
    watch.run("device install", "python3 -m venv device && device/bin/pip install --quiet ./panda-edge")
    watch.run("copy", "mkdir on-device incoming && cp -r parts.panda on-device/")
    watch.run("verify", "device/bin/panda-edge verify on-device/parts.panda")
    started = watch.begin()
    server = HTTPServer(("127.0.0.1", 0), _Alarms)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{server.server_address[1]}/"
    command = ["device/bin/panda-edge", "watch", "on-device/parts.panda", "incoming", "--webhook", hook]
    state = {**watch.environment, "STATE_DIRECTORY": str(folder / "state")}
    running = subprocess.Popen(command, cwd=folder, env=state, stderr=subprocess.DEVNULL)
    try:
        for picture in sorted((folder / "parts" / "test" / kind).iterdir()):
            shutil.copy(picture, folder / "incoming")
        if not _Alarms.heard.wait(300):
            sys.exit("no alarm within 5 minutes")
    finally:
        running.terminate()
        running.wait(30)
        server.shutdown()
    watch.add("watch to the alarm", started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, help="a data set in MVTec layout")
    parser.add_argument("kind", help="a folder of its test/")
    parser.add_argument("--installed", action="store_true", help="README's commands alone, by this environment")
    given = parser.parse_args()
    if not (given.pictures / "test" / given.kind).is_dir():
        sys.exit(f"{given.pictures / 'test' / given.kind}: no such folder; give a data set and a kind of its defects")
    facts = conditions(os.cpu_count() or 1, packages=())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(given.pictures, folder / "parts", symlinks=False)
        watch = StopWatch(folder)
        if given.installed:
            watch.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        else:
            install(watch, folder)
        to_the_first_overlay(watch, folder, given.kind)
        minutes = {"overlay": watch.minutes}
        if not given.installed:
            to_the_first_alarm(watch, folder, given.kind)
            minutes["alarm"] = watch.minutes
    row = {
        "minutes": minutes,
        "at_most": TARGETS_MIN,
        "seconds": watch.steps,
        "processor_seconds": watch.processor,
        "normal_pictures": len(list((given.pictures / "train" / "good").iterdir())),
        "load": [facts["load"], round(os.getloadavg()[0], 1)],
        **{name: facts[name] for name in ("cores", "system")},
    }
    name = given.pictures.name + (", installed" if given.installed else "")
    ResultsFile("speed/results/new_user").update(name, **row)
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
