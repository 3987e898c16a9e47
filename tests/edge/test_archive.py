"""An archive scored by two workers: each picture once, as one process scores it, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge import archive as archiving
from panda_edge.archive import Archive, score_archive
from panda_edge.errors import PandaError
from panda_edge.printable import rounded

PROGRAM = Path(sys.executable).with_name("panda-edge")
PARTS, IMAGES = 20, 4

needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is missing: pip install '.[archive]'")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 names of four pictures, large enough that a part takes a while, and of one that cannot be read."""
    folder, random = tmp_path_factory.mktemp("archive"), np.random.default_rng(0)
    (folder / "a").mkdir()
    for number in range(PARTS * IMAGES):
        path = folder / ("a" if number % 2 else ".") / f"{number}.png"
        if number == 9:
            path.write_bytes(b"not a picture")
        elif number < 4:
            Image.fromarray(random.integers(0, 60 * (number + 1), (900, 900, 3), dtype=np.uint8)).save(path)
        else:
            os.link(folder / ("a" if number % 2 else ".") / f"{number % 4}.png", path)
    return folder


@pytest.fixture(scope="module")
def expected(archive: Path, gaussian_bundle: Path) -> dict[str, tuple[float, float]]:
    detector = panda_edge.load(gaussian_bundle, threads=1)
    results = [detector.segment(archive / ("a" if number % 2 else ".") / f"{number}.png") for number in range(4)]
    scores = [(rounded(result.score), result.p_value) for result in results]
    numbers = set(range(PARTS * IMAGES)) - {9}
    return {f"a/{number}.png" if number % 2 else f"{number}.png": scores[number % 4] for number in numbers}


@pytest.fixture(scope="module")
def gaussian_bundle(made_bundles: dict[str, Path]) -> Path:
    return made_bundles["gaussian"]


def start(bundle: Path, archive: Path, out: Path) -> subprocess.Popen[str]:
    command = [PROGRAM, "archive", bundle, archive, "--out", out, "--workers", "2", "--part", str(IMAGES), "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*.jsonl"))


def wait_for_a_part(run: subprocess.Popen[str], out: Path) -> None:
    until = time.monotonic() + 120
    while not parts(out):
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)


def workers_of(run: subprocess.Popen[str]) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == run.pid and b"spawn_main" in process.joinpath("cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def check(out: Path, expected: dict[str, tuple[float, float]]) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for part in parts(out) for line in part.read_text().splitlines()]
    assert len(lines) == PARTS * IMAGES
    broken = [line for line in lines if "error" in line]
    assert [line["input"] for line in broken] == ["a/9.png"]
    assert {line["input"]: (line["score"], line["p_value"]) for line in lines if "error" not in line} == expected
    assert {p.name for p in out.iterdir()} == {"archive.json", *(f"part-{n:06d}.jsonl" for n in range(PARTS))}


@pytest.mark.slow
@needs_dask
def test_a_killed_worker_loses_nothing(
    gaussian_bundle: Path, archive: Path, expected: dict[str, tuple[float, float]], tmp_path: Path
) -> None:
    run = start(gaussian_bundle, archive, tmp_path / "out")
    wait_for_a_part(run, tmp_path / "out")
    workers = workers_of(run)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert len(parts(tmp_path / "out")) < PARTS
    said, error = run.communicate(timeout=240)
    assert (run.returncode, error) == (2, "1 pictures could not be scored; their lines say why\n")
    assert json.loads(said) == {
        "out": str(tmp_path / "out"), "parts": PARTS, "before": 0, "images": PARTS * IMAGES, "failed": 1
    }  # fmt: skip
    check(tmp_path / "out", expected)


@pytest.mark.slow
@needs_dask
def test_a_killed_run_goes_on(
    gaussian_bundle: Path,
    made_bundles: dict[str, Path],
    archive: Path,
    expected: dict[str, tuple[float, float]],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    run = start(gaussian_bundle, archive, out)
    wait_for_a_part(run, out)
    workers = workers_of(run)
    run.kill()
    run.communicate(timeout=60)
    before = {part.name: part.stat().st_mtime_ns for part in parts(out)}
    assert 0 < len(before) < PARTS
    until = time.monotonic() + 30
    while any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers):  # they end with the run
        assert time.monotonic() < until
        time.sleep(0.05)
    again = start(gaussian_bundle, archive, out)
    said, _ = again.communicate(timeout=240)
    assert json.loads(said)["before"] == len(before)
    check(out, expected)
    assert before.items() <= {part.name: part.stat().st_mtime_ns for part in parts(out)}.items()
    with pytest.raises(PandaError, match="results of other bundle"):
        score_archive(Archive(archive, made_bundles["exact"], images=IMAGES), out, 1)


@needs_dask
def test_nobody_else_gets_into_the_scheduler() -> None:
    with archiving._client(0, None) as client:
        address = client.scheduler.address
        web = urlsplit(client.dashboard_link)
        assert web.hostname == "127.0.0.1"
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{client.cluster.scheduler.http_server.port}/metrics", timeout=5)
        assert address.startswith("tls://127.0.0.1:")
        where = urlsplit(address)
        stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
        # A scheduler greets whom it takes. (Clients of Dask's own that fail may deadlock when they are collected.)
        with socket.create_connection((where.hostname, where.port), timeout=5) as plain, suppress(OSError):
            plain.sendall(b"\0" * 64)
            assert plain.recv(1) in (b"", b"\x15")  # the end, or TLS's alert
        plain = socket.create_connection((where.hostname, where.port), timeout=5)
        with plain, suppress(OSError), stranger.wrap_socket(plain) as encrypted:
            assert encrypted.recv(1) == b""


@pytest.mark.parametrize("begun", ["pipe", "deep", "list"])
def test_what_is_no_archives_notes_is_refused(archive: Path, gaussian_bundle: Path, tmp_path: Path, begun: str) -> None:
    about = tmp_path / "archive.json"
    if begun == "pipe":
        os.mkfifo(about)
    else:
        about.write_text("[" * 50_000 if begun == "deep" else "[]")
    with pytest.raises(PandaError, match="choose another --out"):
        score_archive(Archive(archive, gaussian_bundle), tmp_path, 1)


def test_without_dask(gaussian_bundle: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(PandaError, match=r"panda-edge\[archive\]"):
        score_archive(Archive(archive, gaussian_bundle), tmp_path / "out", 1)


def test_a_folder_without_pictures(gaussian_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(PandaError, match="no images in this folder"):
        score_archive(Archive(tmp_path, gaussian_bundle), tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
