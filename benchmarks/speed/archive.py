"""What an archive costs besides scoring: listing it, handing parts out, hashing a bundle.

    python -m benchmarks.speed.archive

Row of `benchmarks/speed/results/archive.json`; the docs' page on archives computes from it what breaks first.
Processor time of the asking process, which holds the scheduler of Dask, too.
"""

from __future__ import annotations

import hashlib
import os
import resource
import tempfile
import time
from pathlib import Path

import distributed

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from panda_edge.images.listing import images_below

_PICTURES, _FOLDERS, _PARTS, _HASHED = 100_000, 100, 2000, 1 << 27


def listing() -> dict[str, float]:
    """Names of empty files in folders of a thousand: microseconds and the peak's bytes of one."""
    with tempfile.TemporaryDirectory(prefix="panda-archive-") as folder:
        for number in range(_PICTURES):
            path = Path(folder) / f"{number % _FOLDERS:03d}" / f"picture-{number:06d}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.touch()
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        found = images_below(Path(folder))
        taken = time.process_time() - started
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(found) == _PICTURES
    return {"us": round(taken / _PICTURES * 1e6, 1), "bytes": round(grown * 1024 / _PICTURES)}


def handing_out() -> dict[str, float]:
    """Parts without work through Dask and two workers: milliseconds of one."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        started = time.process_time()
        parts = [client.submit(_nothing, part, pure=False) for part in range(_PARTS)]
        assert client.gather(parts) == list(range(_PARTS))
        return {"ms": round((time.process_time() - started) / _PARTS * 1e3, 2)}


def _nothing(part: int) -> int:
    return part


def hashing() -> dict[str, float]:
    content = os.urandom(_HASHED)
    started = time.process_time()
    hashlib.sha256(content).digest()
    return {"mb_per_s": round(_HASHED / 1e6 / (time.process_time() - started))}


def main() -> None:
    row = {"listing a picture": listing(), "handing out a part": handing_out(), "sha256": hashing()}
    ResultsFile("speed/results/archive").update("archive", **row, conditions=conditions(1))
    print(row)


if __name__ == "__main__":
    main()
