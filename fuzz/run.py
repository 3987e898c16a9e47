"""Fuzzes each target until it has had its share of a million inputs: python -m fuzz.run [TARGET…] [--times X]

Resumable: the rows of benchmarks/endurance/results/fuzz.json say how far each has come, build/fuzz/ keeps the corpora.
A find stops its target, is kept in build/fuzz/finds/, and ends the program with 1. `--times` multiplies the shares.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile

from fuzz.seeds import seeds
from fuzz.small_bundles import write_small_bundle
from fuzz.targets import SECONDS, TARGETS, remove_folder

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "fuzz"

# Inputs of each, more than a million together; in C under AddressSanitizer and UndefinedBehaviorSanitizer first.
KERNELS = {"flat": 250_000, "pyramid": 150_000, "maps": 350_000, "bundle": 100_000}
PYTHON = ("whole", "manifest", "array", "calibration", "selftest", "image", "mask", "hnsw", "signature",
          "special", "model", "request", "receiver", "address", "kept", "changing")  # fmt: skip
SHARES = {**KERNELS, **dict.fromkeys(PYTHON, 20_000)}
_KERNEL_MB = 1024  # of the whole process, the sanitizers' own included
_ROUND = 25_000  # inputs: what is lost at most when the run is killed
_WALL_SECONDS = 600  # for one input on a machine that does other things; processor time is counted by the targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="*", help=", ".join(SHARES))
    parser.add_argument("--times", type=float, default=1.0)
    given = parser.parse_args()
    rows, found = ResultsFile("endurance/results/fuzz"), 0
    for name in given.target or SHARES:
        found += fuzz(name, round(SHARES[name] * given.times), rows)
    sys.exit(1 if found else 0)


def fuzz(name: str, share: int, rows: ResultsFile) -> int:
    """Brings a target to its share. Returns how many finds there are, 0 or 1."""
    corpus, finds = WORK / "corpus" / name, WORK / "finds"
    for folder in (corpus, finds):
        folder.mkdir(parents=True, exist_ok=True)
    start = write_seeds(name)
    while (done := rows.get(name).get("inputs", 0)) < share:
        runs = min(_ROUND, share - done)
        limits = [
            f"-runs={runs}",
            f"-seed={done + 1}",
            f"-timeout={_WALL_SECONDS}",
            "-print_final_stats=1",
            "-verbosity=1",
        ]
        command = [
            *program(name),
            str(corpus),
            str(start),
            *limits,
            f"-artifact_prefix={finds}/{name}-",
        ]
        began = time.time()
        settings = {"ASAN_OPTIONS": "quarantine_size_mb=64", "PANDA_FUZZ_BUNDLE": str(WORK / "bundle.panda")}
        ran = subprocess.run(command, capture_output=True, cwd=ROOT, env={**os.environ, **settings})
        said = (ran.stdout + ran.stderr).decode(errors="replace")
        keep(rows, name, said, done, time.time() - began)
        if ran.returncode:
            print(f"{name}: a find, see {finds}/{name}-*\n{said[-3000:]}")
            rows.update(name, finds=rows.get(name).get("finds", 0) + 1)
            return 1
        print(f"{name}: {rows.get(name)['inputs']} of {share}", flush=True)
    return 0


def program(name: str) -> list[str]:
    if name in TARGETS:
        return [sys.executable, "-m", "fuzz.one", name]
    most = 16_384 if name == "bundle" else 4096  # bytes: whole files, or the numbers that arrays are made of
    return [str(WORK / "bin" / name), f"-max_len={most}", f"-rss_limit_mb={_KERNEL_MB}"]


def keep(rows: ResultsFile, name: str, said: str, done: int, seconds: float) -> None:
    """Adds a round's figures to a target's row."""

    def stat(pattern: str) -> int:
        found = re.findall(pattern, said)
        return int(found[-1]) if found else 0

    before = rows.get(name)
    rows.update(
        name,
        command=f"python -m fuzz.run {name}",
        inputs=done + stat(r"number_of_executed_units:\s+(\d+)"),
        finds=before.get("finds", 0),
        edges=stat(r"cov: (\d+)"),
        peak_mb=max(before.get("peak_mb", 0), stat(r"peak_rss_mb:\s+(\d+)")),
        most_mb=TARGETS[name].most_mb if name in TARGETS else _KERNEL_MB,
        most_processor_seconds=SECONDS,
        wall_seconds=round(before.get("wall_seconds", 0) + seconds),
        commit=commit(),
        when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def write_seeds(name: str) -> Path:
    """A folder of a target's seeds and of what was found before."""
    folder = WORK / "seeds" / name
    folder.mkdir(parents=True, exist_ok=True)
    if name == "bundle":
        shutil.rmtree(WORK / "bundle.panda", ignore_errors=True)
        write_small_bundle(WORK / "bundle.panda", "exact")
    for i, seed in enumerate(seeds(name)):
        (folder / f"seed-{i}").write_bytes(seed)
    for found in (Path(__file__).parent / "kernels" / "found").glob(f"{name}-*"):
        shutil.copy(found, folder)
    remove_folder()
    return folder


if __name__ == "__main__":
    main()
