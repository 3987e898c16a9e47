"""Bundles are written whole or not at all, whatever ends the writing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from panda_edge import whole_folder
from panda_edge.builder.bundle_writer import staged_bundle
from panda_edge.bundle.manifest import MAGIC, MANIFEST_NAME
from panda_edge.errors import PandaError
from panda_edge.inspect.verify import verify


def fill(folder: Path, word: str) -> None:
    (folder / MANIFEST_NAME).write_text(f"{MAGIC} {word}")
    (folder / "bank" / "a.npy").write_text(word)


def read(bundle: Path) -> str:
    assert (bundle / MANIFEST_NAME).read_text() == f"{MAGIC} {(bundle / 'bank' / 'a.npy').read_text()}"
    return (bundle / "bank" / "a.npy").read_text()


def write(out: Path, word: str) -> None:
    with staged_bundle(out) as staging:
        fill(staging, word)


@pytest.fixture(params=["exchange", "two renames"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "two renames":
        monkeypatch.setattr(whole_folder, "exchange", lambda one, other: False)


both_ways = pytest.mark.usefixtures("_way")


@both_ways
def test_a_new_bundle_and_its_replacement_leave_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "x.panda"
    for word in ("one", "two", "three"):
        write(out, word)
        assert read(out) == word
        assert [path.name for path in out.parent.iterdir()] == ["x.panda"]


@both_ways
def test_the_old_bundle_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "x.panda"
    write(out, "old")
    with staged_bundle(out) as staging:
        fill(staging, "new")
        assert read(out) == "old"
    assert read(out) == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError, SystemExit])
@pytest.mark.parametrize("old", [True, False])
def test_an_exception_in_the_middle(tmp_path: Path, error: type[BaseException], old: bool) -> None:
    out = tmp_path / "x.panda"
    if old:
        write(out, "old")

    def fail() -> None:
        with staged_bundle(out) as staging:
            fill(staging, "new")
            raise error

    with pytest.raises(error):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == (["x.panda"] if old else [])
    assert not old or read(out) == "old"


def test_a_link_to_a_bundle_stays_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real.panda", "old")
    (tmp_path / "link.panda").symlink_to("real.panda")
    write(tmp_path / "link.panda", "new")
    assert (tmp_path / "link.panda").is_symlink()
    assert read(tmp_path / "real.panda") == "new"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_rename_puts_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_folder, "exchange", lambda one, other: False)
    out = tmp_path / "x.panda"
    write(out, "old")
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(source).name.endswith(".part"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        write(out, "new")
    assert read(out) == "old"


class TestTargets:
    def refused(self, out: Path, expected: str) -> None:
        with pytest.raises(PandaError, match=expected) as caught:
            write(out, "new")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["x", "x.zip", ".panda", "x.panda.bak"])
    def test_a_name_without_the_suffix(self, tmp_path: Path, name: str) -> None:
        self.refused(tmp_path / name, r"ends in \.panda")

    def test_what_is_not_a_bundle_is_never_replaced(self, tmp_path: Path) -> None:
        folder, file = tmp_path / "photos.panda", tmp_path / "file.panda"
        folder.mkdir()
        (folder / "dear.jpg").write_text("keep")
        file.write_text("keep")
        self.refused(folder, "exists and is not a bundle")
        self.refused(file, "exists and is not a bundle")
        assert (folder / "dear.jpg").read_text() == file.read_text() == "keep"

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("keep")
        self.refused(tmp_path / "file" / "x.panda", "cannot be written")


# Writes a bundle of many small files over and over, until it is killed.
WRITER = """
import sys
from pathlib import Path
from panda_edge.builder.bundle_writer import staged_bundle
from panda_edge.bundle.manifest import MAGIC, MANIFEST_NAME
out = Path(sys.argv[1])
print("ready", flush=True)
for i in range(10**9):
    with staged_bundle(out) as staging:
        (staging / MANIFEST_NAME).write_text(f"{MAGIC} {i}")
        (staging / "bank" / "a.npy").write_text(str(i))
"""

# Begins to write a bundle, and goes on for ever.
HOLDER = """
import sys, time
from pathlib import Path
from panda_edge.builder.bundle_writer import staged_bundle
with staged_bundle(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(1e6)
"""


def test_a_kill_at_any_moment_leaves_a_whole_bundle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    if not whole_folder.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("no exchange of folders on this system: between two renames the old bundle lies beside its name")
    out = tmp_path / "x.panda"
    write(out, "0")
    for after_ms in (0, 3, 7, 13, 20, 31):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(after_ms / 1000)
            process.send_signal(signal.SIGKILL)
        read(out)
    write(out, "after")  # what the killed ones left behind is in nobody's way
    assert read(out) == "after"
    make_old(tmp_path)
    write(out, "later")
    assert [path.name for path in tmp_path.glob(".*")] == []


# Writes a bundle again and again to new paths, at the moments that another process does it, too.
AT_ONCE = """
import sys, time
from pathlib import Path
from panda_edge.bundle.manifest import MAGIC, MANIFEST_NAME
from panda_edge.builder.bundle_writer import staged_bundle
folder, word, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
for number in range(40):
    with staged_bundle(folder / f"{number}.panda") as staging:
        (staging / MANIFEST_NAME).write_text(f"{MAGIC} {word}")
        (staging / "bank" / "a.npy").write_text(word)
        (folder / f"{word}.{number}").touch()
        until = time.monotonic() + 20
        while not (folder / f"{other}.{number}").exists() and time.monotonic() < until:
            pass
"""


def test_two_processes_that_write_to_one_path_leave_one_whole_bundle(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", AT_ONCE, str(tmp_path), *words], stderr=subprocess.PIPE, text=True)
        for words in (("one", "two"), ("two", "one"))
    ]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert ([run.returncode for run in runs], said) == ([0, 0], ["", ""])
    assert {read(tmp_path / f"{number}.panda") for number in range(40)} <= {"one", "two"}
    assert list(tmp_path.glob(".*")) == []


def make_old(folder: Path) -> None:
    for path in folder.glob(".*.part"):
        os.utime(path, (0, 0))


def test_leftovers_are_removed_but_not_what_another_process_is_writing(tmp_path: Path) -> None:
    out = tmp_path / "x.panda"
    for name in (".x.panda.1.part", ".y.panda.1.part", f".x.panda.{os.getpid()}.part"):
        (tmp_path / name / "bank").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(out)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        make_old(tmp_path)
        write(out, "new")
        assert sorted(path.name for path in tmp_path.glob(".*")) == [f".x.panda.{process.pid}.part", ".y.panda.1.part"]
        process.kill()
    write(out, "newer")
    assert read(out) == "newer"
    assert [path.name for path in tmp_path.glob(".*")] == [".y.panda.1.part"]


def test_a_bundle_beside_leftovers_verifies(exact_bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(exact_bundle, tmp_path / "x.panda"))
    (tmp_path / f".x.panda.{os.getpid()}.part" / "bank").mkdir(parents=True)
    assert verify(copy, threads=1)["ok"]
