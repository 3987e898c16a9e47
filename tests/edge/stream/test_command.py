"""`panda-edge watch` as it is run: lines, exit codes, signals, systemd."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))


def run(
    *arguments: str | Path, program: str | Path = PANDA_EDGE, **options: object
) -> subprocess.CompletedProcess[str]:
    command = [program, "watch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]


def test_a_folder_worked_off_once(bundle_path: Path, sample_data: Path, tmp_path: Path) -> None:
    shutil.copytree(sample_data / "test" / "good", tmp_path / "in")
    Image.new("RGB", (64, 64)).save(tmp_path / "in" / "zz.png")
    done = run(bundle_path, tmp_path / "in", "--once")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(1, len(lines) + 1))
    *judged, black = lines
    for line in judged:
        assert line["not_judged"] is None
        assert isinstance(line["anomalous"], bool)
        assert 0 < line["p_value"] <= 1
        assert line["score"] > 0
        assert line["latency_ms"] > 0
        assert line["captured"].endswith("Z")
    assert black["not_judged"].startswith("black")
    assert black["anomalous"] is black["score"] is black["p_value"] is None


def test_lines_into_a_file_leave_stdout_alone(bundle_path: Path, sample_data: Path, tmp_path: Path) -> None:
    done = run(bundle_path, sample_data / "test" / "good", "--once", "--jsonl", tmp_path / "w.jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    assert all(json.loads(line)["id"] for line in (tmp_path / "w.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--once", "nothing"], "nothing: no such file"),
        (["--once"], "Missing argument"),
        (["--drop", "new", "."], "new"),
        (["--raw", "1x1", "-"], "--raw"),
        (["--once", "--jsonl", "no/such/folder/x", "."], "cannot be written"),
        (["--once", "--jsonl", "x", "--rotate-mb", "0", "."], "--rotate-mb"),
        (["--once", "--drift", "2", "."], "--drift 2"),
        (["--once", "--drift", "x", "."], "--drift"),
        (["--once", "--drift", "0", "--drift-state", "d", "."], "--drift-state"),
        (["--once", "--drift-state", ".", "."], "cannot be read"),
        (["--once", "--new-only", "."], "--new-only"),
        (["--new-only", "rtsp://camera/live"], "--new-only"),
    ],
)
def test_a_mistake_is_one_line(
    bundle_path: Path, tmp_path: Path, commands: Path, arguments: list[str], said: str
) -> None:
    done = run(bundle_path, *arguments, program=commands / "panda-edge", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    *warnings, last = done.stderr.splitlines()
    assert said in last
    assert all(line.startswith("warning") for line in warnings)


def test_an_empty_folder_is_no_success(bundle_path: Path, tmp_path: Path) -> None:
    done = run(bundle_path, tmp_path, "--once")
    assert done.returncode == 2
    assert "no pictures in it" in done.stderr


def test_a_reader_that_has_enough_ends_it(bundle_path: Path, sample_data: Path) -> None:
    command = f"{PANDA_EDGE} watch {bundle_path} {sample_data / 'test'} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["frame"] == 1
    assert "Traceback" not in done.stderr


def test_sigterm_finishes_and_flushes(start: Callable, bundle_path: Path, noise: Callable, tmp_path: Path) -> None:
    noise(0).save(tmp_path / "a.png")
    running = start(bundle_path, tmp_path)
    assert running.line()["frame"] == 1
    noise(1).save(tmp_path / "b.png")
    assert running.line()["frame"] == 2
    assert running.end(signal.SIGTERM) == 0
    assert not any("Traceback" in line for line in running.said)


def test_sighup_takes_up_the_new_bundle(
    start: Callable, bundle_path: Path, noise: Callable, tmp_path: Path, edit_manifest: Callable
) -> None:
    bundle, pictures = tmp_path / "x.panda", tmp_path / "in"
    shutil.copytree(bundle_path, bundle)
    pictures.mkdir()
    noise(0).save(pictures / "a.png")
    running = start(bundle, pictures)
    running.line()
    running.process.send_signal(signal.SIGHUP)
    assert running.line(lambda line: "notice" in line)["notice"] == "bundle"
    (bundle / "manifest.json").write_text("{}")
    running.process.send_signal(signal.SIGHUP)
    assert running.line(lambda line: "notice" in line)["notice"] == "bundle_refused"
    noise(1).save(pictures / "b.png")
    assert running.line()["frame"] == 2
    assert running.end(signal.SIGTERM) == 0


def test_systemd_is_told(start: Callable, bundle_path: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"}
        (tmp_path / "in").mkdir()
        running = start(bundle_path, tmp_path / "in", env={**__import__("os").environ, **environment})
        heard = [listener.recv(100) for _ in range(4)]
        assert sorted(heard[:2]) == [b"READY=1", b"WATCHDOG=1"]
        assert heard[2:] == [b"WATCHDOG=1"] * 2
        assert running.end(signal.SIGTERM) == 0
        while (last := listener.recv(100)) != b"STOPPING=1":
            assert last == b"WATCHDOG=1"
