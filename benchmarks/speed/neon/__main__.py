"""Counts the instructions that a kernel takes on aarch64, scalar and NEON: python -m benchmarks.speed.neon [KERNEL…]

Under qemu-user, one instruction at a time, each a line of its log; what the program takes without the call is not
counted.
Instructions are no time: a NEON one may take as long as two, and memory is not counted. Needs aarch64-linux-gnu-gcc and
qemu-aarch64 (Debian: gcc-aarch64-linux-gnu, qemu-user). Rows go to benchmarks/speed/results/neon.json.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile

KERNEL = Path(__file__).parents[2] / "edge" / "kernel"
SIZES = {
    "topk": "1 query, 20 embeddings of 1,280",
    "gaussian": "4 of 784 positions, 176 channels, float16 factors",
    "pyramid": "7 × 7 cells, 2 images, levels of 112, 40 and 24 channels in float16, random numbers",
    "heatmap": "56 × 56 cells to 56 × 224 pixels, 12 taps",
}


def main() -> None:
    rows = ResultsFile("speed/results/neon")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "once"
        sources = [path for room in ("base", "simd", "search") for path in sorted((KERNEL / room).glob("*.c"))]
        options = ["-std=c11", "-O3", "-D_POSIX_C_SOURCE=200809L", f"-I{KERNEL}", "-pthread", "-static"]
        own = Path(__file__).with_name("once.c")
        subprocess.run(["aarch64-linux-gnu-gcc", *options, own, *sources, "-o", program, "-lm"], check=True)
        for kernel in sys.argv[1:] or SIZES:
            without = count(program, "scalar", kernel)
            scalar, neon = (count(program, level, kernel, "call") - without for level in ("scalar", "neon"))
            rows.update(kernel, size=SIZES[kernel], scalar=scalar, neon=neon, ratio=round(scalar / neon, 2),
                        command=f"python -m benchmarks.speed.neon {kernel}", commit=commit())  # fmt: skip
            print(f"{kernel}: {scalar:,} scalar, {neon:,} NEON, {scalar / neon:.1f} times fewer", flush=True)


def count(program: Path, level: str, *arguments: str) -> int:
    """Instructions of a run."""
    emulator = ["qemu-aarch64", "-singlestep", "-d", "exec,nochain", program, *arguments]
    environment = {**os.environ, "PANDA_SIMD": level}
    with subprocess.Popen(emulator, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as running:
        assert running.stderr is not None
        lines = 0
        while block := running.stderr.read(1 << 20):
            lines += block.count(b"Trace ")
    if running.returncode:
        sys.exit(f"{arguments} at {level} ended with {running.returncode}")
    return lines


if __name__ == "__main__":
    main()
