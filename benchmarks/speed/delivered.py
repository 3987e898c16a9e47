"""Sizes of what `make wheels` and `make wheelhouse` left: python -m benchmarks.speed.delivered [FOLDER]

FOLDER: the clone that they were made in, this one by default. Rows go to benchmarks/speed/results/delivered.json; what
is not there keeps its row.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import REPOSITORY


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    head = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    rows = ResultsFile("speed/results/delivered")
    for path in sorted((folder / "dist").glob("panda_edge-*")):
        rows.update(path.name, kb=round(path.stat().st_size / 1e3), command="make wheels", commit=commit)
    for path in sorted(folder.glob("wheelhouse-*")):
        if not (path / "sbom.cdx.json").exists():  # which comes last
            continue
        wheels = list(path.glob("*.whl"))
        largest = sorted(wheels, key=lambda wheel: -wheel.stat().st_size)[:3]
        rows.update(
            path.name,
            mb=round(sum(wheel.stat().st_size for wheel in wheels) / 1e6, 1),
            wheels=len(wheels),
            largest_mb={wheel.name.split("-")[0]: round(wheel.stat().st_size / 1e6, 1) for wheel in largest},
            command=f"make wheelhouse ARCH={path.name.removeprefix('wheelhouse-')}",
            commit=commit,
        )
    for name in rows.names():
        print(name, rows.get(name))


if __name__ == "__main__":
    main()
