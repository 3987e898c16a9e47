"""Reading images and preprocessing: every kind of picture, the source untouched, one clear error for the rest."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import ImageError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.reading import MAX_PIXELS, open_image

Texture = Callable[..., np.ndarray]

ORIENTATION = 0x0112  # the EXIF tag
# What a viewer does to the stored pixels for each EXIF orientation.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def opened(source: object) -> np.ndarray:
    return np.asarray(open_image(source).image)  # type: ignore[arg-type]


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is as large as that, with one row of pixels at most: costs nothing to make."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * (1 + width // 8)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


class TestModes:
    def test_grey_is_repeated_over_the_channels(self, tmp_path: Path, texture: Texture) -> None:
        grey = texture()[..., 0]
        Image.fromarray(grey).save(tmp_path / "grey.png")
        assert (opened(tmp_path / "grey.png") == grey[..., None]).all()
        assert (opened(grey) == grey[..., None]).all()
        assert (opened(grey[..., None]) == grey[..., None]).all()

    @pytest.mark.parametrize("preprocessing", [Preprocessing(64, 96), Preprocessing.paper_crop(64, 64)])
    def test_a_frame_of_grey_is_that_of_its_rgb_copy(
        self, tmp_path: Path, texture: Texture, preprocessing: Preprocessing
    ) -> None:
        grey = Image.fromarray(texture(300, 250)[..., 0])
        grey.save(tmp_path / "grey.png")
        grey.save(tmp_path / "grey.jpg", quality=95)
        deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        deep.save(tmp_path / "deep.png")
        for source in (grey, np.asarray(grey), deep, *tmp_path.iterdir()):
            assert open_image(source, keep_grey=True).image.mode == "L"
            found = preprocessing.apply(source)
            assert found.shape == (preprocessing.height, preprocessing.width, 3)
            assert (found == preprocessing.frame(open_image(source, preprocessing.draft_size).image)).all()

    @pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
    def test_transparency_is_laid_on_white(self, tmp_path: Path, texture: Texture, suffix: str) -> None:
        rgba = np.dstack([texture(), np.full((96, 128), 255, np.uint8)])
        rgba[:48, :, 3] = 0
        rgba[48:60, :, 3] = 128
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(rgba).save(path, lossless=True, exact=True)
        found = opened(path)
        assert (found[:48] == 255).all()
        half = (255 * 127 + rgba[48:60, :, :3].astype(float) * 128) / 255
        assert np.abs(found[48:60] - half).max() <= 1
        assert (found[60:] == rgba[60:, :, :3]).all()
        assert (opened(rgba) == found).all()

    def test_grey_with_transparency(self, tmp_path: Path, texture: Texture) -> None:
        la = np.dstack([texture()[..., 0], np.zeros((96, 128), np.uint8)])
        la[50:, :, 1] = 255
        Image.fromarray(la, "LA").save(tmp_path / "la.png")
        found = opened(tmp_path / "la.png")
        assert (found[:50] == 255).all()
        assert (found[50:] == la[50:, :, :1]).all()

    def test_palette_with_a_transparent_colour(self, tmp_path: Path) -> None:
        picture = Image.new("P", (20, 20), 0)
        picture.putpalette([10, 20, 30, 200, 100, 50])
        picture.paste(1, (0, 0, 10, 20))
        picture.save(tmp_path / "p.png", transparency=0)
        found = opened(tmp_path / "p.png")
        assert (found[:, :10] == [200, 100, 50]).all()
        assert (found[:, 10:] == 255).all()

    def test_rgb_with_a_transparent_colour(self, tmp_path: Path) -> None:
        picture = Image.new("RGB", (20, 20), (10, 20, 30))
        picture.paste((200, 100, 50), (0, 0, 10, 20))
        picture.save(tmp_path / "key.png", transparency=(10, 20, 30))
        found = opened(tmp_path / "key.png")
        assert (found[:, :10] == [200, 100, 50]).all()
        assert (found[:, 10:] == 255).all()

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_sixteen_bits_are_scaled_not_cut(self, tmp_path: Path, suffix: str) -> None:
        values = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
        path = tmp_path / f"deep.{suffix}"
        Image.fromarray(values).save(path)
        found = opened(path)
        assert np.abs(found[..., 0].astype(float) - values / 257).max() <= 0.5
        assert (found[..., 0] == found[..., 2]).all()

    def test_a_dim_sixteen_bit_picture_stays_dim(self, tmp_path: Path) -> None:
        # Stretching each picture to its own range would make a dark part and a bright one alike.
        Image.fromarray(np.full((32, 32), 5140, np.uint16)).save(tmp_path / "dim.png")
        assert (opened(tmp_path / "dim.png") == 20).all()

    def test_cmyk_and_one_bit(self, tmp_path: Path) -> None:
        Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "c.tif")
        assert (opened(tmp_path / "c.tif") == [255, 0, 0]).all()
        Image.new("1", (32, 32), 1).save(tmp_path / "one.png")
        assert (opened(tmp_path / "one.png") == 255).all()

    def test_cmyk_jpeg(self, tmp_path: Path) -> None:
        Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "c.jpg", quality=95)
        assert np.abs(opened(tmp_path / "c.jpg").astype(int) - [255, 0, 0]).max() < 12

    @pytest.mark.parametrize("orientation", UPRIGHT)
    def test_exif_rotation(self, tmp_path: Path, texture: Texture, orientation: int) -> None:
        stored = texture(60, 100)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        Image.fromarray(stored).save(tmp_path / "r.jpg", exif=exif, quality=95, subsampling=0)
        result = open_image(tmp_path / "r.jpg")
        upright = UPRIGHT[orientation](stored)
        assert result.full_size == (upright.shape[1], upright.shape[0])
        assert np.abs(np.asarray(result.image, float) - upright).mean() < 4


class TestSources:
    def test_path_pil_and_array_give_the_same_frame(self, tmp_path: Path, texture: Texture) -> None:
        array = texture(300, 200)
        Image.fromarray(array).save(tmp_path / "x.png")
        for preprocessing in (Preprocessing(64, 96), Preprocessing.paper_crop(64, 64)):
            frames = [
                preprocessing.apply(source)
                for source in (
                    tmp_path / "x.png",
                    str(tmp_path / "x.png"),
                    Image.open(tmp_path / "x.png"),
                    Image.fromarray(array),
                    array,
                    np.asfortranarray(array),
                    np.repeat(array, 2, axis=1)[:, ::2],
                )
            ]
            assert frames[0].dtype == np.uint8
            assert frames[0].shape == (64, preprocessing.width, 3)
            assert all((frame == frames[0]).all() for frame in frames)

    @pytest.mark.parametrize("channels", [None, 1, 3, 4])
    def test_an_array_is_never_changed(self, texture: Texture, channels: int | None) -> None:
        array = np.dstack([texture(), np.full((96, 128), 100, np.uint8)])
        array = array[..., 0].copy() if channels is None else array[..., :channels].copy()
        before = array.copy()
        array.flags.writeable = False
        Preprocessing.paper_crop(32, 32).apply(array)
        assert (array == before).all()

    def test_a_pil_image_is_never_changed(self, tmp_path: Path, texture: Texture) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        Image.fromarray(texture(800, 640)).save(tmp_path / "r.jpg", exif=exif)
        source = Image.open(tmp_path / "r.jpg")
        Preprocessing(32, 32).apply(source)
        assert (source.mode, source.size, source.getexif()[ORIENTATION]) == ("RGB", (640, 800), 6)
        with Image.open(tmp_path / "r.jpg") as again:
            assert (np.asarray(source) == np.asarray(again)).all()

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((32, 32, 3), np.float32),
            np.zeros((32, 32, 3), np.int16),
            np.zeros((32, 32), bool),
            np.zeros((32, 32, 2), np.uint8),
            np.zeros((3, 32, 32, 3), np.uint8),
            np.zeros(32, np.uint8),
            np.zeros((0, 32, 3), np.uint8),
            np.zeros((32, 0), np.uint8),
            np.zeros((1, 1, 3), np.uint8),
        ],
        ids=lambda a: f"{a.dtype}{a.shape}",
    )
    def test_wrong_arrays(self, array: np.ndarray) -> None:
        with pytest.raises(ImageError, match="array") as caught:
            open_image(array)
        assert "\n" not in str(caught.value)

    def test_a_closed_or_truncated_pil_image(self, tmp_path: Path, texture: Texture) -> None:
        Image.fromarray(texture()).save(tmp_path / "x.png")
        source = Image.open(tmp_path / "x.png")
        source.close()
        with pytest.raises(ImageError):
            open_image(source)
        data = (tmp_path / "x.png").read_bytes()
        with pytest.raises(ImageError):
            open_image(Image.open(io.BytesIO(data[: len(data) // 2])))


class TestDraftDecoding:
    @pytest.mark.parametrize("turn", [1, 6])
    def test_a_large_jpeg_gives_nearly_the_frame_of_whole_decoding(
        self, tmp_path: Path, texture: Texture, turn: int
    ) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = turn
        smooth = Image.fromarray(texture(120, 200)).resize((2000, 1200), Image.Resampling.BICUBIC)
        smooth.save(tmp_path / "large.jpg", exif=exif, quality=92)
        for preprocessing in (Preprocessing(96, 96), Preprocessing.paper_crop(96, 96)):
            drafted = open_image(tmp_path / "large.jpg", preprocessing.draft_size)
            whole = open_image(tmp_path / "large.jpg")
            assert drafted.full_size == whole.full_size == whole.image.size
            assert drafted.image.size[0] < whole.image.size[0]  # or this test proves nothing
            difference = np.abs(
                preprocessing.frame(drafted.image).astype(int) - preprocessing.frame(whole.image).astype(int)
            )
            assert difference.mean() < 1.0
            assert difference.max() < 24

    def test_a_small_jpeg_is_decoded_whole(self, tmp_path: Path, texture: Texture) -> None:
        Image.fromarray(texture(100, 100)).save(tmp_path / "small.jpg")
        assert open_image(tmp_path / "small.jpg", lambda size: (96, 96)).image.size == (100, 100)


class TestGeometry:
    def test_squash_sees_everything(self) -> None:
        assert Preprocessing(224, 224).box(640, 480) == (0, 0, 640, 480)

    def test_the_papers_crop(self) -> None:
        # 256 → 224 of the shorter side, then the centre: of 512 × 256 the middle 224 × 224.
        assert Preprocessing.paper_crop(224, 224).box(512, 256) == pytest.approx((144, 16, 368, 240))
        assert Preprocessing.paper_crop(224, 224).box(256, 512) == pytest.approx((16, 144, 240, 368))

    def test_a_crop_that_is_not_square(self) -> None:
        left, top, right, bottom = Preprocessing(100, 200, "crop", 1.0).box(400, 400)
        assert (left, top, right, bottom) == pytest.approx((0, 100, 400, 300))

    def test_the_frame_of_a_crop_is_the_centre(self) -> None:
        picture = np.zeros((256, 512, 3), np.uint8)
        picture[16:240, 144:368] = 200
        frame = Preprocessing.paper_crop(224, 224).apply(picture)
        assert (frame == 200).all()

    def test_a_mask_follows_its_image(self, texture: Texture) -> None:
        mask = np.zeros((200, 300), bool)
        mask[60:120, 140:200] = True
        picture = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
        for preprocessing in (Preprocessing(64, 96), Preprocessing.paper_crop(96, 96)):
            frame = preprocessing.apply(picture)[..., 0] >= 128
            mapped = preprocessing.apply_mask(mask)
            assert mapped.dtype == bool
            assert mapped.shape == frame.shape
            assert np.mean(mapped != frame) < 0.02  # a rim of half a pixel

    def test_a_map_goes_back_to_where_it_came_from(self) -> None:
        heat = np.zeros((64, 64), np.float32)
        heat[16:32, 32:48] = 1  # the middle of the frame's upper right
        on_image = Preprocessing(64, 64).to_image(heat, (256, 128))
        assert on_image.shape == (128, 256)
        assert np.isfinite(on_image).all()
        rows, columns = np.nonzero(on_image > 0.5)
        assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (32, 64, 128, 192)

    def test_a_crops_map_is_nan_outside(self) -> None:
        crop = Preprocessing.paper_crop(64, 64)
        on_image = crop.to_image(np.ones((64, 64), np.float32), (512, 256))
        seen = np.zeros((256, 512), bool)
        seen[16:240, 144:368] = True
        assert (np.isfinite(on_image) == seen).all()
        assert on_image[seen] == pytest.approx(1)

    @pytest.mark.parametrize("size", [(8, 4000), (4000, 8), (1, 2048), (9, 9)])
    def test_a_sliver_still_gets_its_map(self, size: tuple[int, int]) -> None:
        for preprocessing in (Preprocessing(64, 64), Preprocessing.paper_crop(64, 64)):
            on_image = preprocessing.to_image(np.ones((64, 64), np.float32), size)
            assert on_image.shape == (size[1], size[0])
            assert np.nanmax(on_image) == pytest.approx(1)


class TestRefused:
    """Each is one ImageError of one line that names the file and says what to do or what is wrong."""

    def refused(self, path: Path, expected: str) -> None:
        with pytest.raises(ImageError, match=expected) as caught:
            Preprocessing(64, 64).apply(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "none.png", "no such file")

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "empty.png").touch()
        self.refused(tmp_path / "empty.png", "empty")

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").mkdir()
        self.refused(tmp_path / "x.png", "cannot be read")

    def test_text(self, tmp_path: Path) -> None:
        (tmp_path / "text.jpg").write_text("not an image\n" * 100)
        self.refused(tmp_path / "text.jpg", "not an image")

    def test_a_name_that_no_file_system_takes(self, tmp_path: Path) -> None:
        self.refused(tmp_path / ("x" * 5000 + ".png"), "cannot be read")
        self.refused(Path("a\0b.png"), "cannot be read")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "gif", "ppm"])
    @pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
    def test_truncated(self, tmp_path: Path, texture: Texture, suffix: str, share: float) -> None:
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(texture(160, 160)).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        self.refused(path, "truncated|not an image")

    def test_one_pixel(self, tmp_path: Path) -> None:
        Image.new("RGB", (1, 1)).save(tmp_path / "x.png")
        self.refused(tmp_path / "x.png", "1×1 pixels is too small")

    def test_twelve_thousand_pixels_a_side(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(png_header(12_000, 12_000))
        self.refused(tmp_path / "x.png", "12000×12000 is more than the 100 megapixels")

    @pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS // 8 + 1, 8)])
    def test_decompression_bombs(self, tmp_path: Path, size: tuple[int, int]) -> None:
        (tmp_path / "x.png").write_bytes(png_header(*size))
        self.refused(tmp_path / "x.png", "megapixels")

    def test_a_large_image_within_the_limit_is_read_without_a_warning(self, tmp_path: Path) -> None:
        side = 9_600  # more than where Pillow begins to warn
        Image.new("1", (side, side), 1).save(tmp_path / "x.png")
        assert (Preprocessing(64, 64).apply(tmp_path / "x.png") == 255).all()

    def test_floating_point(self, tmp_path: Path) -> None:
        Image.fromarray(np.random.default_rng(0).random((32, 32), np.float32)).save(tmp_path / "f.tif")
        self.refused(tmp_path / "f.tif", "floating-point")

    @pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own remarks on the damage
    def test_damaged_exif_is_no_reason_to_fail_or_to_crash(self, tmp_path: Path, texture: Texture) -> None:
        picture = Image.fromarray(texture(64, 64))
        random = np.random.default_rng(0)
        read = 0
        for i in range(40):
            exif = bytearray(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
            for _ in range(i % 4 + 1):
                exif[random.integers(6, len(exif))] = random.integers(256)
            path = tmp_path / f"{i}.jpg"
            picture.save(path, exif=bytes(exif))
            try:
                open_image(path)
                read += 1
            except ImageError:
                pass
        assert read > 30

    @pytest.mark.filterwarnings("ignore::UserWarning")
    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "webp", "bmp"])
    def test_altered_bytes_give_an_image_or_an_image_error(self, tmp_path: Path, texture: Texture, suffix: str) -> None:
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(texture(40, 40)).save(path)
        data = path.read_bytes()
        random = np.random.default_rng(len(data))
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(random.integers(1, 6)):
                # Headers are where damage does most.
                end = len(data) if random.random() < 0.5 else min(len(data), 200)
                damaged[random.integers(end)] = random.integers(256)
            path.write_bytes(damaged)
            message = ""
            try:
                assert Preprocessing(32, 32).apply(path).shape == (32, 32, 3)
            except ImageError as error:
                message = str(error)
            assert "\n" not in message
