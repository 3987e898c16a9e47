"""What a power cut would leave: each file is on the disk before the rename that makes it count, and the rename after.

A recording layer notes, in their order, what is written, brought to the disk and renamed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from panda_edge import archive, whole_folder
from panda_edge.builder.bundle_writer import staged_bundle
from panda_edge.whole_file import part_of
from panda_export.signing import make_key, read_secret_key, sign_bundle

Event = tuple[str, Path]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """`sync` of a file or folder, `rename` to a place, as they happen."""
    events: list[Event] = []

    def path_of(handle: int) -> Path:
        return Path(os.readlink(f"/proc/self/fd/{handle}"))

    def noted(kind: str, real: Callable[..., object], where: Callable[..., Path]) -> Callable[..., object]:
        def call(*given: object) -> object:
            events.append((kind, where(*given)))
            return real(*given)

        return call

    monkeypatch.setattr(os, "fsync", noted("sync", os.fsync, lambda handle: path_of(handle)))
    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, noted("rename", getattr(os, name), lambda _, to: Path(to)))
    real = whole_folder.exchange
    monkeypatch.setattr(whole_folder, "exchange", noted("rename", real, lambda to, _: Path(to)))
    return events


def check(events: list[Event], to: Path, files: set[str]) -> None:
    """Before the rename to `to` every file is synced; after it, the folder that holds the name."""
    at = events.index(("rename", to))
    assert files <= {path.name for kind, path in events[:at] if kind == "sync"}
    assert ("sync", to.parent) in events[at:]


def write(out: Path, content: str) -> None:
    with staged_bundle(out) as staging:
        (staging / "manifest.json").write_text(f'"panda-edge bundle" {content}')
        (staging / "bank" / "x.npy").write_text(content)


def test_a_bundle(tmp_path: Path, recorded: list[Event]) -> None:
    out = tmp_path / "x.panda"
    for content in ("first", "second"):  # a new one, and one in another's place
        recorded.clear()
        write(out, content)
        check([(kind, path) for kind, path in recorded], out, {"manifest.json", "x.npy", "bank"})
        assert (out / "bank" / "x.npy").read_text() == content


def test_a_signature(tmp_path: Path, bundle_copy: Callable[..., Path], recorded: list[Event]) -> None:
    bundle = bundle_copy("exact")
    make_key(tmp_path / "line.key")
    secret = read_secret_key(tmp_path / "line.key")
    recorded.clear()
    sign_bundle(bundle, secret)
    check(recorded, bundle / "manifest.json.minisig", {part_of(bundle / "manifest.json.minisig", os.getpid()).name})


def test_a_part_of_an_archive(tmp_path: Path, recorded: list[Event]) -> None:
    file = tmp_path / "part-000000.jsonl"
    archive._write(file, b"{}")
    check(recorded, file, {part_of(file, os.getpid()).name})


def test_two_that_write_to_one_path(tmp_path: Path) -> None:
    """At every moment one of them stands there, whole."""
    out, wrong = tmp_path / "x.panda", []
    write(out, "begin")
    children = []
    for name in ("one", "two"):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(20):
                    write(out, name)
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(child)
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            folder = os.open(out, os.O_RDONLY)  # of one bundle, whatever stands at the path by then
            try:
                with open(os.open("manifest.json", os.O_RDONLY, dir_fd=folder)) as manifest:
                    content = manifest.read().split()[-1]
                with open(os.open("bank/x.npy", os.O_RDONLY, dir_fd=folder)) as array:
                    wrong.extend([] if array.read() == content else [content])
            except FileNotFoundError:
                pass  # that one was replaced, and taken away, while we looked
            finally:
                os.close(folder)

    looking = threading.Thread(target=look)
    looking.start()
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    ended.set()
    looking.join()
    assert codes == [0, 0]
    assert wrong == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.panda"]
