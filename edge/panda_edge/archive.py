"""An archive of pictures scored by many workers: Dask hands parts out, a `Detector` in each worker scores them.

A part is some pictures that follow one another; its results are one file of JSON lines, written by the process that
asks, whole or not at all. So a part that a dead worker had is scored by another, and a run that was killed goes on with
the parts that are not there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from panda_edge.builder.progress import Progress, silent
from panda_edge.bundle.folder import open_bundle, sha256
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.regular import read_regular
from panda_edge.decide.false_alarms import DEFAULT_FPR
from panda_edge.detector import Detector, load
from panda_edge.errors import BundleError, PandaError, missing
from panda_edge.images.listing import images_below
from panda_edge.printable import rounded
from panda_edge.result import Result
from panda_edge.whole_file import remove_parts, whole_file

ABOUT_FILE = "archive.json"
PART_IMAGES = 256
_MOST_ABOUT = 100_000  # bytes of ABOUT_FILE
_AHEAD = 3  # parts that wait for each worker
_RETRIES = 3  # times that a part is given to another worker when its own has died


@dataclass(frozen=True)
class Archive:
    """folder: of pictures, and of folders of them. bundle: what scores them. Both under the same path for every worker.
    fpr, require_signature: see `load`. images: of a part."""

    folder: Path
    bundle: Path
    fpr: float = DEFAULT_FPR
    require_signature: str | None = None
    images: int = PART_IMAGES


@dataclass(frozen=True)
class Scored:
    """parts: of the archive; before: those that an earlier run had scored. images: in all parts; failed: of them, those
    that could not be read, whose lines say why."""

    parts: int
    before: int
    images: int
    failed: int


def score_archive(
    archive: Archive,
    out: Path,
    workers: int,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> Scored:
    """Score every picture of an archive that `out` has no results of: `part-NNNNNN.jsonl`, in the pictures' order.

    workers: processes on this machine, each of one thread. scheduler: address of a Dask scheduler whose workers are
    taken instead. Raises PandaError, BundleError.
    """
    open_bundle(archive.bundle, archive.require_signature)  # a mistake is said here, before anything starts
    paths = images_below(archive.folder)
    if not paths:
        raise PandaError(f"{archive.folder}: no images in this folder or below")
    parts = [paths[begin : begin + archive.images] for begin in range(0, len(paths), archive.images)]
    seal = sha256(archive.bundle / MANIFEST_NAME)
    _begin(archive, out, seal, paths)
    missing = [number for number in range(len(parts)) if not _part_file(out, number).exists()]
    with _client(workers, scheduler) as client:
        scored = _scored(client, archive, seal, parts, missing) if missing else iter(())
        for number, lines in progress(scored, "parts", len(missing)):
            write_part(_part_file(out, number), lines)
    failed = sum(_part_file(out, number).read_bytes().count(b'"error": ') for number in range(len(parts)))
    return Scored(len(parts), len(parts) - len(missing), len(paths), failed)


def score_part(archive: Archive, seal: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """In a worker: a line for each picture of a part. seal: of the bundle's manifest. Raises PandaError."""
    detector = _detector(archive, seal)
    return [_line(archive, detector, path) for path in paths]


@lru_cache(maxsize=1)
def _detector(archive: Archive, seal: str) -> Detector:
    """The worker's own, which stays from part to part."""
    detector = load(archive.bundle, 1, fpr=archive.fpr, require_signature=archive.require_signature)
    if sha256(archive.bundle / MANIFEST_NAME) != seal:
        raise BundleError(f"{archive.bundle}: a worker has another bundle there; give all the same")
    return detector


def _line(archive: Archive, detector: Detector, path: Path) -> dict[str, Any]:
    line: dict[str, Any] = {"input": path.relative_to(archive.folder).as_posix()}
    try:
        return line | _in_numbers(detector.segment(path))
    except BundleError:
        raise
    except PandaError as error:
        return line | {"error": str(error)}


def _in_numbers(result: Result) -> dict[str, Any]:
    regions = None if result.regions is None else [dataclasses.asdict(region) for region in result.regions]
    return {
        "score": result.score,
        "threshold": result.threshold,
        "severity": result.severity,
        "p_value": result.p_value,
        "anomalous": result.anomalous,
        "regions": regions,
    }


def _begin(archive: Archive, out: Path, seal: str, paths: Sequence[Path]) -> None:
    """Note what the results are of; raise PandaError where those that are there are of something else."""
    names = hashlib.sha256(b"\0".join(os.fsencode(path.relative_to(archive.folder)) for path in paths)).hexdigest()
    about = {"bundle": seal, "pictures": names, "images": len(paths), "part": archive.images, "fpr": archive.fpr}
    file = out / ABOUT_FILE
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        if any(out.glob("part-*")):
            raise PandaError(f"{out}: holds parts without {ABOUT_FILE}; choose another --out")
        _write(file, json.dumps(about).encode())
        return
    try:
        there = json.loads(read_regular(file, _MOST_ABOUT))
        other = [name for name, value in about.items() if there.get(name) != value]
    except (OSError, ValueError, AttributeError, RecursionError, BundleError):
        raise PandaError(f"{file}: cannot be read; choose another --out") from None
    if other:
        raise PandaError(f"{out}: holds results of other {' and '.join(other)}; choose another --out")


def _part_file(out: Path, number: int) -> Path:
    return out / f"part-{number:06d}.jsonl"


def write_part(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """A part's results, a line of JSON each."""
    _write(file, b"".join(json.dumps(rounded(line)).encode() + b"\n" for line in lines))


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, after a power cut, too."""
    remove_parts(file)
    with whole_file(file, sync=True) as part:
        part.write_bytes(content)


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    """Dask's client, of processes on this machine that end with this one, or of a cluster that is there.

    Whoever reaches a scheduler runs code in its workers. So ours takes only who has the certificate of this one run.
    """
    try:
        dask, distributed = import_module("dask"), import_module("distributed")
        security = import_module("distributed.security").Security.temporary() if scheduler is None else None
    except ImportError as error:
        raise missing("an archive needs Dask and cryptography", "archive") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # that a worker died is no news: its part goes on
    dask.config.set({"distributed.scheduler.allowed-failures": _RETRIES})
    # Dask's own web servers, which ask nobody who he is, have nothing to show.
    dask.config.set({"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []})
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=10)
        except (OSError, ValueError) as error:
            raise PandaError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
        with client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            security=security,
        ) as cluster,
        distributed.Client(cluster, security=security) as client,
    ):
        yield client


def _scored(
    client: Any, archive: Archive, seal: str, parts: Sequence[Sequence[Path]], missing: Sequence[int]
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Numbers of parts with their lines, as they are done. Few wait at a time, so that the scheduler stays small."""
    distributed = import_module("distributed")
    waiting = iter(missing)
    numbers: dict[str, int] = {}

    def submit(number: int) -> Any:
        future = client.submit(score_part, archive, seal, parts[number], key=f"part-{number}", pure=False)
        numbers[future.key] = number
        return future

    ahead = _AHEAD * max(1, len(client.scheduler_info()["workers"]))
    running = distributed.as_completed([submit(number) for number in islice(waiting, ahead)])
    for future in running:
        number = numbers.pop(future.key)
        try:
            yield number, future.result()
        except distributed.KilledWorker:
            first, last = parts[number][0], parts[number][-1]
            raise PandaError(
                f"{first} … {last}: {_RETRIES + 1} workers died of these; take them away, or make parts smaller"
            ) from None
        future.release()
        if (further := next(waiting, None)) is not None:
            running.add(submit(further))
