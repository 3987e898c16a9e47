"""Folders that are being filled, pipes, video files, and what SOURCE stands for."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.reading import open_image
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sources import folder as folder_module
from panda_edge.stream.sources.address import open_source, without_password
from panda_edge.stream.sources.folder import FolderSource
from panda_edge.stream.sources.stdin import PipeSource, parse_raw


def folder(path: Path, once: bool = False) -> FolderSource:
    return FolderSource(path, once, lambda size: size)


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
        (source,) = open_sources([str(tmp_path)], False, None, lambda size: size, new_only=True)
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
            open_sources([str(tmp_path)], True, None, lambda size: size, new_only=True)
        with pytest.raises(PandaError, match="--new-only is about folders"):
            open_sources(["rtsp://camera/live"], False, None, lambda size: size, new_only=True)


class TestPipe:
    @staticmethod
    def read(data: bytes, raw: tuple[int, int, int] | None = None) -> list[Picture]:
        pipe = io.BufferedReader(io.BytesIO(data), 64)  # smaller than any picture
        return list(PipeSource(raw, lambda size: size, pipe).pictures(threading.Event()))

    def test_files_end_to_end(self, noise: Callable, jpeg: Callable) -> None:
        data = b""
        for number, kind in enumerate(["PNG", "JPEG", "PPM", "JPEG", "PNG"]):
            stream = io.BytesIO()
            noise(number).save(stream, kind, **({"progressive": True} if number == 3 else {}))
            data += stream.getvalue()
        grey = io.BytesIO()
        noise(9).convert("L").save(grey, "PPM")
        found = self.read(data + grey.getvalue())
        assert [picture.problem for picture in found] == [None] * 6
        assert [picture.opened.image.mode for picture in found if picture.opened] == ["RGB"] * 5 + ["L"]
        np.testing.assert_array_equal(np.asarray(found[0].opened.image), np.asarray(noise(0)))
        np.testing.assert_array_equal(np.asarray(found[4].opened.image), np.asarray(noise(4)))

    def test_raw_frames(self, noise: Callable) -> None:
        found = self.read(noise(0).tobytes() + noise(1).tobytes(), (64, 64, 3))
        np.testing.assert_array_equal(np.asarray(found[1].opened.image), np.asarray(noise(1)))
        (grey,) = self.read(bytes(64 * 64), (64, 64, 1))
        assert grey.opened is not None
        assert grey.opened.image.mode == "L"

    def test_a_damaged_picture_is_one_problem_and_the_next_goes_on(self, noise: Callable, jpeg: Callable) -> None:
        stream = io.BytesIO()
        noise(0).save(stream, "PNG")
        damaged = bytearray(stream.getvalue())
        damaged[60:80] = bytes(20)
        first, second = self.read(bytes(damaged) + jpeg(noise(1)))
        assert first.problem is not None
        assert second.problem is None

    @pytest.mark.parametrize(
        ("data", "raw", "said"),
        [
            (b"GIF89a", None, "begins no PNG"),
            (b"\x89PNG\r\n\x1a\n\x00\x00", None, "middle of a picture"),
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", None, "middle of a picture"),
            (b"P6 64 x", None, "damaged header"),
            (b"P6 99999 99999 255\n", None, "GB is no image"),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", (64, 64, 3), "middle of a raw frame"),
        ],
    )
    def test_what_is_no_picture_is_refused(self, data: bytes, raw: tuple[int, int, int] | None, said: str) -> None:
        with pytest.raises(PandaError, match=said):
            self.read(data, raw)

    @pytest.mark.parametrize("text", ["640", "640x", "axb", "640x480x4", "1x1", "99999x99999", "-5x640"])
    def test_raw_sizes_are_checked(self, text: str) -> None:
        with pytest.raises(PandaError, match="--raw"):
            parse_raw(text)

    def test_raw_sizes(self) -> None:
        assert parse_raw("640x480") == (640, 480, 3)
        assert parse_raw("32x16x1") == (32, 16, 1)


class TestVideo:
    @pytest.fixture
    def video(self, tmp_path: Path, noise: Callable) -> Path:
        av = pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
        path = tmp_path / "v.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for number in range(25):
                image = Image.new("RGB", (64, 64), (number * 10, 128, 128))
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
            container.mux(stream.encode())
        return path

    def test_every_frame_in_order(self, video: Path) -> None:
        found = list(open_source(str(video)).pictures(threading.Event()))
        reds = [int(np.asarray(picture.opened.image)[..., 0].mean()) for picture in found if picture.opened]
        assert len(reds) == 25
        assert reds == sorted(reds)
        assert found[10].where == "1.000 s"

    def test_what_is_no_video_is_refused(self, tmp_path: Path) -> None:
        pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
        (tmp_path / "no.mp4").write_text("words")
        with pytest.raises(PandaError, match=r"no\.mp4: cannot be opened"):
            list(open_source(str(tmp_path / "no.mp4")).pictures(threading.Event()))

    def test_a_missing_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "av", None)
        (tmp_path / "a.mp4").touch()
        with pytest.raises(PandaError, match=r"panda-edge\[video\]"):
            open_source(str(tmp_path / "a.mp4"))


class TestAddress:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("nothing.mp4", "no such file"),
            ("", "no such file"),
            ("ftp://host/x", "ftp:// is no source"),
            ("rtsp://", "without a host"),
            ("http://host:port/", "not an address"),
            ("a\0b", "no such file"),
        ],
    )
    def test_what_is_no_source_is_one_line(self, given: str, said: str) -> None:
        with pytest.raises(PandaError, match=said) as caught:
            open_source(given)
        assert "\n" not in str(caught.value)

    def test_one_picture_is_no_stream(self, tmp_path: Path, noise: Callable) -> None:
        noise(0).save(tmp_path / "a.png")
        with pytest.raises(PandaError, match="give its folder"):
            open_source(str(tmp_path / "a.png"))

    def test_a_camera_has_no_end(self) -> None:
        with pytest.raises(PandaError, match="--once"):
            open_source("http://127.0.0.1:1/", once=True)

    def test_passwords_are_not_shown(self) -> None:
        assert without_password("rtsp://me:secret@cam:554/live?key=1") == "rtsp://cam:554/live"
        with pytest.raises(PandaError) as caught:
            open_source("http://me:sec/ret@cam/")
        assert "sec" not in str(caught.value)

    def test_each_source_once_and_each_name_once(self, tmp_path: Path) -> None:
        with pytest.raises(PandaError, match="given twice"):
            open_sources([str(tmp_path), str(tmp_path)], False, None, lambda size: size)
        sources = open_sources(["http://c/?ch=1", "http://c/?ch=2"], False, None, lambda size: size)
        assert [source.name for source in sources] == ["http://c/", "http://c/ #2"]
        with pytest.raises(PandaError, match="--raw"):
            open_sources([str(tmp_path)], False, (8, 8, 3), lambda size: size)


def test_a_jpeg_is_decoded_as_segment_does(tmp_path: Path) -> None:
    Image.effect_noise((1600, 1200), 60).convert("RGB").save(tmp_path / "big.jpg")
    source = FolderSource(tmp_path, True, lambda size: (128, 128))
    (found,) = source.pictures(threading.Event())
    opened = open_image(tmp_path / "big.jpg", lambda size: (128, 128))
    assert found.opened is not None
    assert found.opened.full_size == (1600, 1200)
    np.testing.assert_array_equal(np.asarray(found.opened.image), np.asarray(opened.image))
