"""Industrial cameras: those that the GenTL producer of the package genicam simulates. No real one is here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import PandaError
from panda_edge.images.reading import open_image_bytes
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.sources.address import open_source
from panda_edge.stream.sources.genicam import GenicamSource


@pytest.fixture(scope="module")
def producer() -> str:
    genicam = pytest.importorskip("genicam", reason="needs harvesters: pip install 'panda-edge[genicam]'")
    return str(Path(genicam.__file__).with_name("viky.cti"))


@pytest.fixture
def film(producer: str) -> Iterator[Callable[[str, int], list[Picture]]]:
    """The first pictures of an address."""
    stop = threading.Event()

    def take(address: str, count: int) -> list[Picture]:
        pictures = open_source(address.format(producer=producer)).pictures(stop)
        taken = [next(pictures) for _ in range(count)]
        pictures.close()
        return taken

    yield take
    stop.set()


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(map(int, one)) for one in np.unique(np.asarray(image).reshape(-1, 3), axis=0)}


def test_colours_and_grey(film: Callable[[str, int], list[Picture]]) -> None:
    red = [one.opened.image for one in film("genicam://0?producer={producer}", 3) if one.opened]
    assert [(image.mode, image.size) for image in red] == [("RGB", (400, 400))] * 3
    assert colours(red[0]) == {(255, 0, 0), (255, 255, 255)}  # a mark of the camera's own colour on white
    blue = film("genicam://VikyTL_DEV_blue?producer={producer}", 1)[0].opened
    assert blue is not None
    assert colours(blue.image) == {(0, 0, 255), (255, 255, 255)}
    (grey,) = film("genicam://1?producer={producer}&pixels=Mono8", 1)
    assert grey.opened is not None
    assert (grey.opened.image.mode, grey.opened.image.size) == ("L", (400, 400))


@pytest.mark.parametrize(
    ("address", "error", "why"),
    [
        ("genicam://9?producer={producer}", SourceLost, r"no such camera answers \(there: 0, 1, 2\)"),
        ("genicam://?producer={producer}", SourceLost, "several cameras answer; name one"),
        ("genicam://0?producer={producer}&pixels=Mono99", PandaError, "the camera has RGBa8, Mono8"),
        ("genicam://0?producer=/none.cti", PandaError, "no such file"),
        ("genicam://0?produce=/none.cti", PandaError, "known are producer, pixels"),
        ("genicam://0", PandaError, "no GenTL producer; install"),
    ],
)
def test_what_is_refused(
    film: Callable[[str, int], list[Picture]], monkeypatch: pytest.MonkeyPatch, address: str, error: type, why: str
) -> None:
    monkeypatch.delenv("GENICAM_GENTL64_PATH", raising=False)
    with pytest.raises(error, match=why):
        film(address, 1)
    with pytest.raises(PandaError, match="has no end"):
        open_source("genicam://0", once=True)


def test_the_standards_folder(
    film: Callable[[str, int], list[Picture]], producer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENICAM_GENTL64_PATH", str(Path(producer).parent))
    assert film("genicam://2", 1)[0].opened is not None


class TestPixels:
    """What the simulated cameras do not give."""

    @pytest.fixture
    def source(self, producer: str) -> GenicamSource:
        return GenicamSource(f"genicam://0?producer={producer}", open_image_bytes)

    def component(self, kind: str, rows: np.ndarray, width: int, height: int) -> Any:
        return SimpleNamespace(data_format=kind, width=width, height=height, represent_pixel_location=lambda: rows)

    def test_padding_is_cut_off(self, source: GenicamSource) -> None:
        rows = np.arange(10 * 20, dtype=np.uint8).reshape(10, 20)
        image = source._image(self.component("Mono8", rows, 16, 8))
        assert np.array_equal(np.asarray(image), rows[:8, :16])

    def test_order_of_colours(self, source: GenicamSource) -> None:
        rows = np.random.default_rng(0).integers(0, 256, (8, 3 * 9), dtype=np.uint8)
        image = source._image(self.component("BGR8", rows, 9, 8))
        assert np.array_equal(np.asarray(image), rows.reshape(8, 9, 3)[:, :, ::-1])

    def test_twelve_bits(self, source: GenicamSource) -> None:
        rows = np.linspace(0, 65_535, 64, dtype=np.uint16).reshape(8, 8)
        image = source._image(self.component("Mono16", rows, 8, 8))
        assert image.mode == "L"
        assert np.abs(np.asarray(image).astype(int) - (rows // 257)).max() <= 1

    def test_what_it_cannot_read(self, source: GenicamSource) -> None:
        rows = np.zeros((8, 8), np.uint8)
        with pytest.raises(PandaError, match="pixels are BayerRG8; set the camera to Mono or RGB8"):
            source._image(self.component("BayerRG8", rows, 8, 8))
        with pytest.raises(PandaError, match="set the camera's region"):
            source._image(self.component("Mono8", rows, 4, 4))


def test_it_goes_through_watch(start: Callable[..., Any], bundle_path: Path, producer: str) -> None:
    running = start(bundle_path, f"genicam://0?producer={producer}", "--frozen-after", "0")
    lines = [running.line(lambda line: "frame" in line) for _ in range(3)]
    assert [line["frame"] for line in lines] == sorted({line["frame"] for line in lines})
    # The simulated camera's picture is almost all white.
    assert {(line["source"], line["not_judged"].partition(":")[0]) for line in lines} == {
        ("genicam://0", "overexposed")
    }
    assert running.end(15) == 0
