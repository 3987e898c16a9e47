"""Pipes, video files, and what SOURCE stands for."""

from __future__ import annotations

import io
import struct
import tempfile
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import open_image_bytes
from panda_edge.stream.frame import Picture
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sources.address import open_source, without_password
from panda_edge.stream.sources.stdin import PipeSource, parse_raw


class TestPipe:
    @staticmethod
    def read(data: bytes, raw: tuple[int, int, int] | None = None) -> list[Picture]:
        pipe = io.BufferedReader(io.BytesIO(data), 64)  # smaller than any picture
        return list(PipeSource(raw, open_image_bytes, pipe).pictures(threading.Event()))

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

    @pytest.mark.parametrize("kind", ["nv12", "bayer_rggb8", "mono12p"])
    def test_frames_of_other_kinds_are_refused_with_the_way_out(self, kind: str) -> None:
        with pytest.raises(PandaError, match=r"NV12, Bayer and packed .* turned into RGB before \(docs/pictures.md"):
            parse_raw(f"640x480x{kind}")

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

    @pytest.mark.parametrize(
        ("matrix", "shape", "corner"),
        [
            ((1, 0, 0, 1), (48, 64), (0, 0)),
            ((0, 1, -1, 0), (64, 48), (0, -1)),  # as a telephone held upright writes it: a quarter turn clockwise
            ((-1, 0, 0, -1), (48, 64), (-1, -1)),
            ((0, -1, 1, 0), (64, 48), (-1, 0)),
        ],
    )
    def test_a_turn_in_its_header(
        self, tmp_path: Path, matrix: tuple[int, ...], shape: tuple[int, int], corner: tuple[int, int]
    ) -> None:
        path = self.marked(tmp_path)
        data = bytearray(path.read_bytes())
        a, b, c, d = (value << 16 for value in matrix)
        at = data.index(b"tkhd") + 4 + 40  # version 0: what lies before the matrix
        struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
        seen = self.first(path)
        assert seen.shape[:2] == shape
        assert seen[corner][0] > 180  # the red mark, which is stored at the upper left

    def test_grey_frames_of_sixteen_bits_are_read_as_files_of_them(self, tmp_path: Path) -> None:
        """As a camera of 12 bits gives them: by what is white in the bundle, or not at all."""
        av = pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
        values = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
        with av.open(str(tmp_path / "v.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "gray16le"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(values, format="gray16le")))
            container.mux(stream.encode())

        def first(white: int | None) -> Picture:
            source = open_source(str(tmp_path / "v.mkv"), decode=Preprocessing(64, 64, white=white).decode)
            return next(source.pictures(threading.Event()))

        fitted = first(4095)
        assert fitted.opened is not None
        assert np.abs(np.asarray(fitted.opened.image).astype(float) - values * (255 / 4095)).max() <= 0.51
        assert "nothing says so" in str(first(None).problem)

    @pytest.mark.parametrize(("pixel", "shape"), [((4, 3), (48, 85)), ((3, 4), (64, 64)), ((1, 1), (48, 64))])
    def test_its_pixels_become_square(self, tmp_path: Path, pixel: tuple[int, int], shape: tuple[int, int]) -> None:
        assert self.first(self.marked(tmp_path, Fraction(*pixel))).shape[:2] == shape

    @staticmethod
    def first(path: Path) -> np.ndarray:
        picture = next(open_source(str(path)).pictures(threading.Event()))
        assert picture.opened is not None
        assert picture.opened.full_size == picture.opened.image.size
        return np.asarray(picture.opened.image)

    @staticmethod
    def marked(folder: Path, pixel: Fraction = Fraction(1)) -> Path:
        """A video of 64 × 48 pixels with a red mark at its upper left."""
        av = pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
        image = Image.new("RGB", (64, 48), (40, 40, 40))
        image.paste((250, 20, 20), (0, 0, 16, 16))
        with av.open(str(folder / "v.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.sample_aspect_ratio = pixel
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
            container.mux(stream.encode())
        return folder / "v.mp4"

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

    def test_only_a_character_device_is_a_camera(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Found: whatever lies below /dev, as a folder in shared memory does, was taken for one."""
        pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            assert not open_source(folder, once=True).live
            with pytest.raises(PandaError, match="no such file"):
                open_source(f"{folder}/nothing")
        (tmp_path / "front").symlink_to("/dev/null")  # as udev names a camera by its place
        for camera in ("/dev/null", str(tmp_path / "front"), "/dev/video987", "987"):
            assert open_source(camera).live
            with pytest.raises(PandaError, match="--once"):
                open_source(camera, once=True)

    def test_passwords_are_not_shown(self) -> None:
        assert without_password("rtsp://me:secret@cam:554/live?key=1") == "rtsp://cam:554/live"
        with pytest.raises(PandaError) as caught:
            open_source("http://me:sec/ret@cam/")
        assert "sec" not in str(caught.value)

    def test_each_source_once_and_each_name_once(self, tmp_path: Path) -> None:
        with pytest.raises(PandaError, match="given twice"):
            open_sources([str(tmp_path), str(tmp_path)], False, None, open_image_bytes)
        sources = open_sources(["http://c/?ch=1", "http://c/?ch=2"], False, None, open_image_bytes)
        assert [source.name for source in sources] == ["http://c/", "http://c/ #2"]
        with pytest.raises(PandaError, match="--raw"):
            open_sources([str(tmp_path)], False, (8, 8, 3), open_image_bytes)
