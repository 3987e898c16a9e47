"""The live picture is never of a frame before the one that was asked for, and is drawn once for everyone."""

from __future__ import annotations

import io
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from PIL import Image

from panda_edge.images.reading import OpenedImage
from panda_edge.stream.capture import SourceState
from panda_edge.stream.frame import Frame, Outcome, Picture
from panda_edge.stream.page.board import _LIVE_PAUSE, Board
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.visitors import Tokens

pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")


class CountingBoard(Board):
    """Says how many live pictures were drawn."""

    drawn = 0

    def draw_live(self, source: int) -> None:
        self.drawn += 1
        super().draw_live(source)


def outcome_of(number: int, grey: int) -> Outcome:
    image = Image.new("RGB", (64, 48), (grey, grey, grey))
    frame = Frame("s", number, 0.0, Picture(OpenedImage(image, image.size), 0.0))
    return Outcome(f"run-{number}", frame, 0, None, "flat: contrast 0.0, normal pictures from 1.0", {}, 1.0)


@pytest.fixture
def board() -> CountingBoard:
    return CountingBoard(lambda: [SourceState("s", up=True)], lambda: None, None)  # type: ignore[arg-type, return-value]


@pytest.fixture
def port(board: Board) -> Iterator[int]:
    from panda_edge.stream.page.server import PageServer

    page = PageServer("127.0.0.1:0", Tokens(), Decisions(board, print), str)
    yield page.port
    page.close()


def grey_of(port: int, asked: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live/0.jpg{asked}", timeout=10) as answer:
        image = Image.open(io.BytesIO(answer.read()))
        return int(image.getpixel((5, 5))[0])  # type: ignore[index]


@pytest.mark.parametrize("asked", ["?run-2", "", "?another-9", "?run-9999", "?run-x"])
def test_a_frame_just_after_another_is_shown_itself(board: CountingBoard, port: int, asked: str) -> None:
    board.outcome(outcome_of(1, 50))
    assert grey_of(port, "?run-1") == 50
    board.outcome(outcome_of(2, 200))
    assert grey_of(port, asked) == 200, "the next frame's verdict would stand beside the picture before"
    assert board.drawn == 2


def test_what_is_drawn_serves_everyone_for_a_while(board: CountingBoard, port: int) -> None:
    board.outcome(outcome_of(1, 50))
    assert grey_of(port, "?run-1") == 50
    board.outcome(outcome_of(2, 200))
    assert grey_of(port, "?run-1") == 50, "what was asked for is there already"
    began, found = time.monotonic(), list[int]()
    browsers = [threading.Thread(target=lambda: found.append(grey_of(port, "?run-2"))) for _ in range(8)]
    for browser in browsers:
        browser.start()
    for browser in browsers:
        browser.join()
    assert found == [200] * 8
    assert board.drawn == 2
    assert time.monotonic() - began > _LIVE_PAUSE / 2
