"""Full disks, folders of others, too little memory, two at one path: one line each, and nothing half-written."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import check_seal
from panda_edge.stream.history.reader import HistoryReader
from panda_export.signing import make_key

BIN = Path(sys.executable).parent
NOBODY = 65534
# Root without what makes it more than another user where files are not its own; it still finds its Python.
ANOTHER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk and gives up rights: needs root")


def one_line(*command: str | Path, before: Sequence[str] = (), programs: Path = BIN) -> str:
    """What a command says, in one line, as it ends with 2."""
    done = subprocess.run([*before, programs / command[0], *map(str, command[1:])], capture_output=True, text=True)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture
def full_disk(tmp_path: Path, exact_bundle: Path) -> Iterator[Path]:
    """A file system with a bundle on it, and hardly a page left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    shutil.copytree(exact_bundle, disk / "old.panda")
    _fill(disk / "fill")
    yield disk
    subprocess.run(["umount", disk], check=True)


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


@pytest.fixture
def for_anybody(tmp_path: Path, exact_bundle: Path, sample_data: Path) -> Iterator[Path]:
    """A folder that another user may read but not write: with a bundle, and pictures."""
    place = Path("/var/tmp") / f"panda-{os.getpid()}-{tmp_path.name}"
    shutil.copytree(exact_bundle, place / "x.panda")
    shutil.copytree(sample_data, place / "data")
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
        path.chmod(0o755)
    yield place
    shutil.rmtree(place)


@as_root
def test_a_full_disk(
    full_disk: Path, sample_data: Path, odd_image: Path, exact_bundle: Path, tmp_path: Path, commands: Path
) -> None:
    make_key(tmp_path / "line.key")
    before = sorted(full_disk.rglob("*"))
    tried = [
        ("panda-train", "fit", sample_data, "--out", full_disk / "x.panda", "--input-size", "64", "--device", "cpu"),
        ("panda-edge", "segment", exact_bundle, odd_image, "--out", full_disk),
        ("panda-train", "sign", full_disk / "old.panda", "--key", tmp_path / "line.key"),
        ("panda-train", "keygen", full_disk / "other.key"),
        ("panda-train", "sample", full_disk / "made", "--size", "64"),
        ("panda-edge", "extend", full_disk / "old.panda", odd_image, "--out", full_disk / "old.panda"),
    ]
    for command in tried:
        line = one_line(*command, programs=commands)
        assert "No space left" in line
        assert str(full_disk) in line
        assert sorted(full_disk.rglob("*")) == before
    check_seal(full_disk / "old.panda")


@as_root
def test_a_disk_that_is_full_for_one_picture_is_for_all(
    full_disk: Path, sample_data: Path, exact_bundle: Path, commands: Path
) -> None:
    """segment stops at the first; watch, which goes on for months, says how many it lost, and ends with 2."""
    pictures = sample_data / "test"
    segment = ("panda-edge", "segment", exact_bundle, pictures, "--out", full_disk / "maps")
    assert "No space left" in one_line(*segment, programs=commands)
    assert not [path for path in (full_disk / "maps").rglob("*") if path.is_file()]
    jsonl = full_disk / "watch.jsonl"
    watch = [BIN / "panda-edge", "watch", exact_bundle, pictures, "--once", "--drift", "0", "--jsonl", jsonl]
    done = subprocess.run(watch, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    *_, last = done.stderr.splitlines()
    lost = re.fullmatch(rf"panda-edge watch: {re.escape(str(jsonl))}: No space left on device; (\d+) lost", last)
    assert lost, last
    assert int(lost[1]) >= len(list(pictures.rglob("*.png")))  # and notices
    assert jsonl.read_bytes() == b""


@as_root
def test_watch_starts_on_a_full_disk(full_disk: Path, sample_data: Path, exact_bundle: Path) -> None:
    """Found: the history could not be made, so a device that came up with a full disk judged nothing."""
    watch = [BIN / "panda-edge", "watch", exact_bundle, sample_data / "test" / "hole", "--jsonl", "-", "--http",
             "127.0.0.1:0", "--webhook", "http://127.0.0.1:9/", "--spool", full_disk / "spool.sqlite", "--drift-state",
             full_disk / "drift.json", "--save", full_disk / "saved" / "here"]  # fmt: skip
    with subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert "anomalous" in running.stdout.readline()
        said = next(line for line in running.stderr if "history" in line)
        assert "no space left on the disk" in said
        (full_disk / "fill").unlink()
        assert any("history: works again, nothing lost" in line for line in running.stderr)
        running.terminate()
        assert running.wait(30) == 0
    rows = list(HistoryReader(full_disk / "saved" / "here").every())
    assert len(rows) >= len(list((sample_data / "test" / "hole").glob("*.png")))


@as_root
def test_temporary_files_without_room(full_disk: Path, sample_data: Path, tmp_path: Path, commands: Path) -> None:
    """Found: it was said of --out, or of nothing."""
    fit = ("panda-train", "fit", sample_data, "--out", tmp_path / "x.panda", "--input-size", "64", "--device", "cpu")
    os.truncate(full_disk / "fill", (full_disk / "fill").stat().st_size - 4 * 4096)  # or Python takes another folder
    line = one_line(*fit, before=("env", f"TMPDIR={full_disk}"), programs=commands)
    assert line == f"error: {full_disk}: No space left on device; name another folder in TMPDIR"
    assert not list(tmp_path.glob("*.panda"))


@as_root
def test_a_mapped_file_without_room_is_an_error(full_disk: Path) -> None:
    """Found: the first page that the disk had no room for ended the process by SIGBUS."""
    call = f"reserved_array(Path({str(full_disk / 'x.npy')!r}), 'float32', (1 << 20,))[:] = 1"
    (full_disk / "fill").write_bytes(bytes(1 << 16))  # room for the header, not for the rest
    lines = f"from pathlib import Path\nfrom panda_edge.bundle.space import reserved_array\n{call}"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 28] No space left on device"


@as_root
def test_another_users_folder(for_anybody: Path) -> None:
    bundle, data = for_anybody / "x.panda", for_anybody / "data"
    commands = [
        ("panda-train", "fit", data, "--out", for_anybody / "new.panda", "--input-size", "64", "--device", "cpu"),
        ("panda-edge", "segment", bundle, data / "test", "--out", for_anybody / "maps"),
        ("panda-train", "keygen", for_anybody / "line.key"),
    ]
    for command in commands:
        assert "Permission denied" in one_line(*command, before=ANOTHER)
    bundle.chmod(0o700)
    assert "not readable" in one_line("panda-edge", "detect", bundle, data / "test", before=ANOTHER)
    assert sorted(path.name for path in for_anybody.iterdir()) == ["data", "x.panda"]


@as_root
def test_a_read_only_disk(full_disk: Path, sample_data: Path, exact_bundle: Path, commands: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", full_disk], check=True)
    assert "Read-only" in one_line(
        "panda-edge", "segment", exact_bundle, sample_data / "test", "--out", full_disk / "maps", programs=commands
    )
    assert "Read-only" in one_line("panda-train", "keygen", full_disk / "line.key", programs=commands)
    fit = ("panda-train", "fit", sample_data, "--out", full_disk / "x.panda", "--input-size", "64", "--device", "cpu")
    assert "Read-only" in one_line(*fit, programs=commands)


@pytest.mark.parametrize("megabytes", [900, 1300])
def test_too_little_memory(exact_bundle: Path, sample_data: Path, megabytes: int) -> None:
    """An answer or one line, at limits between what the interpreter needs and what all needs."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    command = [BIN / "panda-edge", "detect", exact_bundle, sample_data / "test", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode in (0, 2), done.stderr
    assert len(done.stderr.splitlines()) == (done.returncode == 2), done.stderr


def test_too_little_memory_for_a_library(sample_data: Path, tmp_path: Path) -> None:
    """Found: torch, which cannot be mapped, was a traceback."""
    limit = ("prlimit", f"--as={700 << 20}")
    fit = ("panda-train", "fit", sample_data, "--out", tmp_path / "x.panda", "--input-size", "64", "--device", "cpu")
    assert "not enough memory" in one_line(*fit, before=limit)


def test_two_fits_to_one_path(sample_data: Path, tmp_path: Path, commands: Path) -> None:
    """One of the two stands there, whole, and nothing else; the other may say that it has been replaced."""
    out = tmp_path / "x.panda"
    command = [commands / "panda-train", "fit", sample_data, "--out", out, "--input-size", "64", "--device", "cpu"]
    fits = [
        subprocess.Popen(
            [*command, *more],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for more in (["--bank", "gaussian"], ["--bank", "exact", "--hold-out", "0"])
    ]  # fmt: skip
    replaced = f"error: {out}: written, and replaced by another command since; fit to one path at a time\n"
    ended = [(fit.communicate()[1], fit.returncode) for fit in fits]
    assert all(code == 0 or (code == 2 and said.endswith(replaced)) for said, code in ended), ended
    assert 0 in [code for _, code in ended]
    bundle = open_bundle(out)
    check_seal(out)
    for name in bundle.manifest.files:
        bundle.checked_file(name)
    assert [path.name for path in tmp_path.iterdir()] == ["x.panda"]
