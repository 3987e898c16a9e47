"""What large pictures cost `watch` in memory: python -m benchmarks.endurance.heavy_pictures (as root, for a small disk)

Two cases, each a `panda-edge watch --once` of its own, whose peak is the system's count: ten pictures of 20
megapixels, and eight of 100, which all wait in the folder. All are called anomalous, and `--save` is on a disk that is
full from the beginning. The mark is 1 GB. The rows are in benchmarks/endurance/results/heavy_pictures.json.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.endurance.watch import conditions, gaussian
from benchmarks.endurance.watch_disk import fill
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import open_subject, say

CASES = {"full disk under --save": (10, (5472, 3648)), "100 megapixels": (8, (10_000, 10_000))}
MOST_MB = 1000


def main() -> None:
    subject, rows = open_subject(), ResultsFile("endurance/results/heavy_pictures")
    bundle = gaussian(subject)
    for name, (count, size) in CASES.items():
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            pictures, disk = Path(folder) / "pictures", Path(folder) / "disk"
            pictures.mkdir()
            disk.mkdir()
            write_pictures(pictures, subject.images(count), size)
            mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
            if subprocess.run(mount, check=False, capture_output=True).returncode:
                say("no tmpfs can be mounted here, which needs root; left out")
                return
            stack.callback(subprocess.run, ["umount", str(disk)], check=True)
            fill(disk / "filler")
            command = [str(Path(sys.executable).with_name("panda-edge")), "watch", str(bundle), str(pictures), "--once",
                       "--fpr", "0.999", "--jsonl", "-", "--save", str(disk)]  # fmt: skip
            watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            peak = Peak(watch.pid)
            out, err = watch.communicate()
            said = err.decode().replace(f"{folder}/", "").splitlines()[-1:]
            rows.update(name, pictures=count, width=size[0], height=size[1], peak_mb=peak.mb, most_mb=MOST_MB,
                        anomalous=out.count(b'"anomalous": true'), said=said, exit_code=watch.returncode,
                        **conditions(subject))  # fmt: skip
            print(name, rows.get(name), flush=True)


class Peak:
    """The most memory that a process has had at a time, read while it lives: what `wait4` says holds the parent's."""

    def __init__(self, process: int) -> None:
        self.mb = 0
        self._status = Path(f"/proc/{process}/status")
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        with suppress(OSError, StopIteration):
            while True:
                lines = self._status.read_text().splitlines()
                self.mb = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024
                time.sleep(0.02)


def write_pictures(folder: Path, given: list[Path], size: tuple[int, int]) -> None:
    """PNG, each of other pixels."""
    for number, path in enumerate(given):
        with Image.open(path) as image:
            large = image.convert("RGB").resize(size)
        large.paste(Image.fromarray(np.full((16, 16, 3), 10 * number, np.uint8)), (0, 0))
        large.save(folder / f"{number:02d}.png", compress_level=1)


if __name__ == "__main__":
    main()
