"""Folders that are being filled."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import open_image, open_image_bytes
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sources import folder as folder_module
from panda_edge.stream.sources.folder import FolderSource
from panda_edge.visualise.files import make_results_folder


def folder(path: Path, once: bool = False) -> FolderSource:
    return FolderSource(path, once, open_image_bytes)


def names(pictures: list[Picture]) -> list[str]:
    return [Path(picture.where or "").name for picture in pictures]


class TestFolder:
    def test_what_is_there_in_natural_order_and_then_the_end(self, tmp_path: Path, noise: Callable) -> None:
        for name in ("p10.png", "p2.png", "sub/p1.png", ".hidden.png", "notes.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            if name.endswith("png"):
                noise(1).save(tmp_path / name)
            else:
                (tmp_path / name).write_text("no picture")
        found = list(folder(tmp_path, once=True).pictures(threading.Event()))
        assert names(found) == ["p2.png", "p10.png", "p1.png"]
        assert found[0].encoded == (tmp_path / "p2.png").read_bytes()

    def test_files_that_come_later_are_taken_when_they_are_whole(self, tmp_path: Path, noise: Callable) -> None:
        stop = threading.Event()
        taken: list[Picture] = []
        thread = threading.Thread(target=lambda: taken.extend(self.until(tmp_path, stop, 3, taken)))
        noise(0).save(tmp_path / "first.png")
        thread.start()
        stream = io.BytesIO()
        noise(1).save(stream, "PNG")
        with (tmp_path / "slow.png").open("wb") as slow:
            for start in range(0, len(stream.getvalue()), 3000):
                assert "slow.png" not in names(taken)
                slow.write(stream.getvalue()[start : start + 3000])
                slow.flush()
                stop.wait(0.3)
        noise(2).save(tmp_path / "third.png")
        thread.join(10)
        stop.set()
        assert sorted(names(taken)) == ["first.png", "slow.png", "third.png"]
        assert all(picture.problem is None for picture in taken)

    @staticmethod
    def until(path: Path, stop: threading.Event, count: int, taken: list[Picture]) -> list[Picture]:
        for picture in folder(path).pictures(stop):
            taken.append(picture)
            if len(taken) == count:
                break
        return []

    def test_a_file_that_is_replaced_counts_again(self, tmp_path: Path, noise: Callable) -> None:
        stop = threading.Event()
        pictures = folder(tmp_path).pictures(stop)
        noise(0).save(tmp_path / "a.png")
        first = next(pictures)
        noise(1).save(tmp_path / "new.tmp", "PNG")
        (tmp_path / "new.tmp").rename(tmp_path / "a.png")
        second = next(pictures)
        assert first.encoded != second.encoded
        pictures.close()

    def test_a_file_that_never_becomes_whole_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(folder_module, "_PATIENCE", 0.5)
        monkeypatch.setattr(folder_module, "_TRIED_EVERY", 0.1)
        (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
        (found,) = folder(tmp_path, once=True).pictures(threading.Event())
        assert found.opened is None
        assert "broken.png" in str(found.problem)

    def test_a_folder_that_goes_is_lost_and_comes_back(self, tmp_path: Path, noise: Callable) -> None:
        path = tmp_path / "mounted"
        path.mkdir()
        noise(0).save(path / "a.png")
        source = folder(path)
        pictures = source.pictures(threading.Event())
        assert next(pictures).problem is None
        path.rename(tmp_path / "elsewhere")
        with pytest.raises(SourceLost, match="not there"):
            next(pictures)
        (tmp_path / "elsewhere").rename(path)
        noise(1).save(path / "b.png")
        assert names([next(source.pictures(threading.Event()))]) == ["b.png"]

    def test_only_what_comes(self, tmp_path: Path, noise: Callable) -> None:
        (tmp_path / "sub").mkdir()
        for name in ("a.png", "sub/b.png"):
            noise(0).save(tmp_path / name)
        (source,) = open_sources([str(tmp_path)], False, None, open_image_bytes, new_only=True)
        stop, found = threading.Event(), []
        pictures = source.pictures(stop)
        taker = threading.Thread(target=lambda: found.extend(next(pictures) for _ in range(3)))
        taker.start()
        stop.wait(0.5)
        for number, name in enumerate(("c.png", "sub/d.png", "a.png"), 1):  # the last one is replaced
            noise(number).save(tmp_path / name)
        taker.join(20)
        assert sorted(names(found)) == ["a.png", "c.png", "d.png"]
        pictures.close()

    def test_only_what_comes_is_about_folders_that_are_filled(self, tmp_path: Path) -> None:
        with pytest.raises(PandaError, match="--new-only waits"):
            open_sources([str(tmp_path)], True, None, open_image_bytes, new_only=True)
        with pytest.raises(PandaError, match="--new-only is about folders"):
            open_sources(["rtsp://camera/live"], False, None, open_image_bytes, new_only=True)


class TestFolderOfOddEntries:
    """What cannot be followed or opened is said, once; the pictures are judged once, and none is passed over."""

    @staticmethod
    def looked(source: FolderSource, looks: int) -> list[str]:
        """Names of the pictures of several looks at a folder that stays open."""
        stop, found = threading.Event(), list[str]()
        source.endless = True
        timer = threading.Timer(looks * 0.2, stop.set)
        timer.start()
        found.extend(names(list(source.pictures(stop))))
        timer.join()
        return found

    @pytest.mark.parametrize("target", ["loop.png", "absent.png"])
    def test_a_link_that_cannot_be_followed(self, tmp_path: Path, noise: Callable, target: str) -> None:
        for number in range(3):
            noise(number).save(tmp_path / f"p{number}.png")
        (tmp_path / "loop.png").symlink_to(target)
        source, told = folder(tmp_path), list[str]()
        source.tell = told.append
        assert self.looked(source, 6) == ["p0.png", "p1.png", "p2.png"]
        (line,) = told
        assert line.startswith("passed over, cannot be read: ")

    def test_what_cannot_be_looked_at_for_a_while_is_not_given_again(
        self, tmp_path: Path, noise: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "sub").mkdir()
        noise(0).save(tmp_path / "a.png")
        noise(1).save(tmp_path / "sub" / "b.png")
        source, told = folder(tmp_path), list[str]()
        source.tell = told.append
        assert self.looked(source, 4) == ["a.png", "b.png"]
        real = folder_module.look_into

        def stale(path: str, root: bool) -> object:
            if path.endswith("sub"):
                raise OSError(116, "Stale file handle", path)
            return real(path, root)

        monkeypatch.setattr(folder_module, "look_into", stale)
        (tmp_path / "sub" / "c.txt").touch()  # or it would not be listed again
        assert self.looked(source, 3) == []
        monkeypatch.setattr(folder_module, "look_into", real)
        noise(2).save(tmp_path / "sub" / "d.png")
        assert self.looked(source, 4) == ["d.png"]
        assert told[0].endswith("(Stale file handle)")

    def test_linked_folders_and_circles(self, tmp_path: Path, noise: Callable) -> None:
        (tmp_path / "watched").mkdir()
        (tmp_path / "other").mkdir()
        noise(0).save(tmp_path / "other" / "a.png")
        (tmp_path / "watched" / "link").symlink_to(tmp_path / "other")
        (tmp_path / "other" / "circle").symlink_to(tmp_path / "watched")
        assert names(list(folder(tmp_path / "watched", once=True).pictures(threading.Event()))) == ["a.png"]

    def test_a_picture_that_becomes_a_pipe(
        self, tmp_path: Path, noise: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folder_module, "_PATIENCE", 0.3)
        monkeypatch.setattr(folder_module, "_TRIED_EVERY", 0.1)
        for name in ("a.png", "b.png"):
            noise(0).save(tmp_path / name)
        real = folder_module.look_into

        def between(path: str, root: bool) -> object:
            entries = real(path, root)
            if not stat.S_ISFIFO((tmp_path / "a.png").stat().st_mode):
                (tmp_path / "a.png").unlink()
                os.mkfifo(tmp_path / "a.png")
            return entries

        monkeypatch.setattr(folder_module, "look_into", between)
        found = list(folder(tmp_path, once=True).pictures(threading.Event()))
        problems = {Path(picture.where or "").name: picture.problem for picture in found}
        assert problems["b.png"] is None
        assert "not a file" in str(problems["a.png"])

    def test_results_in_the_folder_are_no_pictures(self, tmp_path: Path, noise: Callable) -> None:
        noise(0).save(tmp_path / "a.png")
        make_results_folder(tmp_path / "anomalies")
        noise(0).save(tmp_path / "anomalies" / "000000001_a_1.png")
        assert names(list(folder(tmp_path, once=True).pictures(threading.Event()))) == ["a.png"]

    def test_what_is_no_picture_is_told_once_a_suffix(self, tmp_path: Path) -> None:
        source, told = folder(tmp_path), list[str]()
        source.tell = told.append
        for name in ("a.txt", "b.txt", "c.raw"):
            (tmp_path / name).touch()
            assert self.looked(source, 2) == []
        assert told == ["1 of 1 files is not a picture: .txt 1", "3 of 3 files are not pictures: .txt 2, .raw 1"]


def test_a_jpeg_is_decoded_as_segment_does(tmp_path: Path) -> None:
    Image.effect_noise((1600, 1200), 60).convert("RGB").save(tmp_path / "big.jpg")
    source = FolderSource(tmp_path, True, Preprocessing(64, 64).decode)
    (found,) = source.pictures(threading.Event())
    opened = open_image(tmp_path / "big.jpg", lambda size: (128, 128))
    assert found.opened is not None
    assert found.opened.full_size == (1600, 1200)
    np.testing.assert_array_equal(np.asarray(found.opened.image), np.asarray(opened.image))
