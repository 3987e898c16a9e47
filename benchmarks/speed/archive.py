"""What an archive costs, part by part, and a run of a million pictures reckoned from that.

    python -m benchmarks.speed.archive

Row of `benchmarks/speed/results/archive.json`, which the docs' page on archives cites. All is processor time: of the
asking process, which holds the scheduler of Dask, too, and of a worker's one thread. So other programs do not count,
and neither does waiting for a disk.
"""

from __future__ import annotations

import hashlib
import math
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import distributed

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from panda_edge.archive import PART_IMAGES, Archive, score_part, write_part
from panda_edge.bundle.folder import sha256
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.images.listing import images_below
from panda_train.data.sample import make_sample
from panda_train.fitting import FitOptions, fit

_PICTURES, _FOLDERS, _PARTS, _HASHED = 100_000, 100, 2000, 1 << 27
_SCORED, _WRITTEN = 60, 40  # pictures, parts
_MILLION, _WORKERS = 1_000_000, 2


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


def scoring() -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Milliseconds of one of the sample's pictures in a worker, by `fit`'s default bundle, and the lines it gives."""
    with tempfile.TemporaryDirectory(prefix="panda-archive-") as folder:
        data, bundle = Path(folder) / "sample", Path(folder) / "x.panda"
        make_sample(data)
        fit(data, bundle, FitOptions(device="cpu"))
        archive, paths = Archive(data, bundle), images_below(data / "test")[: _SCORED + 1]
        seal = sha256(bundle / MANIFEST_NAME)
        score_part(archive, seal, paths[:1])  # opens the bundle
        started = time.process_time()
        lines = score_part(archive, seal, paths[1:])
        return {"ms": round((time.process_time() - started) / len(lines) * 1e3, 1)}, lines


def writing(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Milliseconds of a part's file, whole or not at all, and bytes of a picture's line in it."""
    part = (lines * math.ceil(PART_IMAGES / len(lines)))[:PART_IMAGES]
    with tempfile.TemporaryDirectory(prefix="panda-archive-") as folder:
        files = [Path(folder) / f"part-{number:06d}.jsonl" for number in range(_WRITTEN)]
        started = time.process_time()
        for file in files:
            write_part(file, part)
        taken = time.process_time() - started
        size = files[0].stat().st_size
    return {"ms": round(taken / _WRITTEN * 1e3, 1), "line_bytes": round(size / PART_IMAGES)}


def million(row: dict[str, dict[str, float]]) -> dict[str, float]:
    """A run of a million pictures on so many workers, from the measured parts."""
    parts = math.ceil(_MILLION / PART_IMAGES)
    asking = _MILLION * row["listing a picture"]["us"] / 1e6
    asking += parts * (row["handing out a part"]["ms"] + row["writing a part"]["ms"]) / 1e3
    scored = _MILLION * row["scoring a picture"]["ms"] / 1e3
    return {
        "pictures": _MILLION,
        "parts": parts,
        "workers": _WORKERS,
        "hours": round(scored / _WORKERS / 3600, 1),
        "asking_seconds": round(asking),
        "asking_mb": round(_MILLION * row["listing a picture"]["bytes"] / 1e6),
        "results_mb": round(_MILLION * row["writing a part"]["line_bytes"] / 1e6),
        "workers_that_one_asks": math.floor(scored / asking),
    }


def main() -> None:
    # Listing comes first: its memory shows only where the process was never larger.
    row: dict[str, Any] = {"listing a picture": listing(), "handing out a part": handing_out(), "sha256": hashing()}
    row["scoring a picture"], lines = scoring()
    row["writing a part"] = writing(lines)
    row["a million pictures"] = million(row)
    ResultsFile("speed/results/archive").update("archive", **row, conditions=conditions(1))
    print(row)


if __name__ == "__main__":
    main()
