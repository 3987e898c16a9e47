"""The loop: every frame has an outcome, in order; sources are lost and found; the bundle changes between two frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.detector import Detector, load
from panda_edge.errors import BundleError, PandaError
from panda_edge.stream import capture
from panda_edge.stream.frame import Notice, Outcome, SourceLost
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop


@pytest.fixture
def told() -> list[Notice]:
    return []


@pytest.fixture
def make_loop(bundle_path: Path, told: list[Notice]) -> Callable[..., Loop]:
    def make(*sources: Any, load_bundle: Callable[[], Detector] | None = None, **options: Any) -> Loop:
        opener = load_bundle or (lambda: load(bundle_path, threads=1))
        return Loop(opener, sources, FrameOptions(**options), told.append)

    return make


def test_outcomes_are_what_segment_says_in_order(
    make_loop: Callable[..., Loop], list_source: Any, pictures: list[Image.Image], bundle_path: Path
) -> None:
    alone = [load(bundle_path, threads=1).segment(picture) for picture in pictures]
    outcomes = list(make_loop(list_source(pictures)).outcomes())
    assert [outcome.frame.number for outcome in outcomes] == list(range(1, len(pictures) + 1))
    for outcome, expected in zip(outcomes, alone, strict=True):
        assert outcome.result is not None
        assert outcome.result.score == expected.score
        np.testing.assert_array_equal(outcome.result.heatmap, expected.heatmap)
        assert outcome.anomalous == expected.anomalous
        assert outcome.result.regions == expected.regions
        assert {"decode", "wait", "check", "backbone", "search", "heatmap"} <= set(outcome.stages_ms)
    assert len({outcome.id for outcome in outcomes}) == len(outcomes)


def test_a_bad_frame_is_not_judged_and_the_others_are(
    make_loop: Callable[..., Loop], list_source: Any, pictures: list[Image.Image]
) -> None:
    black = Image.new("RGB", (64, 64))
    mixed = [pictures[0], None, pictures[1], black, pictures[2], pictures[2].resize((70, 70)), None]
    outcomes = list(make_loop(list_source(mixed)).outcomes())
    words = [outcome.not_judged and outcome.not_judged.partition(":")[0] for outcome in outcomes]
    assert words == [None, "damaged", None, "black", None, None, "damaged"]
    assert all((outcome.result is None) == (outcome.not_judged is not None) for outcome in outcomes)
    assert all(outcome.p_value is None and outcome.anomalous is None for outcome in outcomes if outcome.not_judged)


def test_a_frame_that_fails_in_the_model_is_named_and_the_others_go_on(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, bundle_path: Path, monkeypatch: Any
) -> None:
    detector = load(bundle_path, threads=1)
    see = detector.features

    def features(frames: np.ndarray) -> Any:
        if frames[0, 0, 0, 0] == np.asarray(images[3])[0, 0, 0]:
            raise PandaError("not finite")
        return see(frames)

    images = [noise(i) for i in range(8)]
    monkeypatch.setattr(detector, "features", features)
    loop = make_loop(list_source(images), load_bundle=lambda: detector)
    found = [outcome.not_judged for outcome in loop.outcomes()]
    assert found[3] == "failed: not finite"
    assert len(found) == 8


def test_a_lost_source_is_said_once_and_taken_up_again(
    make_loop: Callable[..., Loop], list_source: Any, pictures: list[Image.Image], told: list[Notice], monkeypatch: Any
) -> None:
    monkeypatch.setattr(capture, "_FIRST_PAUSE", 0.02)
    lost = [SourceLost("cam: gone"), SourceLost("cam: gone")]
    source = list_source(pictures[:2], name="cam", live=True, pause=0.05, then=lost)
    loop = make_loop(source, frozen_after=0)
    outcomes = []
    for outcome in loop.outcomes():
        outcomes.append(outcome)
        if len(outcomes) == 6:
            loop.stop()
    assert [outcome.frame.number for outcome in outcomes] == [1, 2, 3, 4, 5, 6]
    assert [notice.kind for notice in told] == ["source_lost", "source_back"] * 2
    assert source.opened == source.closed == 3
    assert loop.states[0].losses == 2


def test_a_source_that_stays_away_is_retried_with_growing_pauses(
    make_loop: Callable[..., Loop], told: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    class Away:
        name, live, endless = "away", True, True

        def pictures(self, stop: threading.Event) -> Any:
            tries.append(time.monotonic())
            raise SourceLost("away: no route")
            yield

    monkeypatch.setattr(capture, "_FIRST_PAUSE", 0.05)
    loop = make_loop(Away())
    threading.Timer(1.2, loop.stop).start()
    assert list(loop.outcomes()) == []
    pauses = np.diff(tries)
    assert 3 <= len(tries) <= 6
    assert (pauses[1:] > pauses[:-1] * 1.2).all()
    assert [notice.kind for notice in told] == ["source_lost"]


def test_a_silent_camera_is_said(
    make_loop: Callable[..., Loop], list_source: Any, pictures: list[Image.Image], told: list[Notice], monkeypatch: Any
) -> None:
    monkeypatch.setattr(capture, "_SILENT", 0.3)
    loop = make_loop(list_source(pictures[:1], live=True))
    threading.Timer(1.8, loop.stop).start()
    assert len(list(loop.outcomes())) == 1
    assert [notice.kind for notice in told] == ["source_silent"]


def test_what_is_dropped_is_counted(make_loop: Callable[..., Loop], list_source: Any, noise: Callable) -> None:
    images = [noise(i) for i in range(40)]
    camera = list_source(images, live=True)
    loop = make_loop(camera)
    taken: list[Outcome] = []
    for outcome in loop.outcomes():
        taken.append(outcome)
        time.sleep(0.05)
        if outcome.frame.number == 40:
            loop.stop()
    assert len(taken) < 40
    assert taken[-1].frame.number == 40
    assert sum(outcome.dropped for outcome in taken) + len(taken) == 40
    assert loop.states[0].dropped == sum(outcome.dropped for outcome in taken)
    patient = make_loop(list_source(images), drop="never")
    assert [outcome.dropped for outcome in patient.outcomes()] == [0] * 40


def test_a_new_bundle_is_taken_up_without_losing_a_frame(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, bundle_path: Path, told: list[Notice]
) -> None:
    loaded: list[Detector] = []

    def open_it() -> Detector:
        if len(loaded) == 1:
            loaded.append(loaded[0])
            raise BundleError("x.panda: truncated")
        loaded.append(load(bundle_path, threads=1))
        return loaded[-1]

    loop = make_loop(list_source([noise(i) for i in range(60)], pause=0.02), load_bundle=open_it)
    numbers = []
    for outcome in loop.outcomes():
        numbers.append(outcome.frame.number)
        if outcome.frame.number in (5, 25):
            loop.reload()
    assert numbers == list(range(1, 61))
    assert [notice.kind for notice in told] == ["bundle_refused", "bundle"]
    assert loop.detector is loaded[-1]
    assert len(loaded) == 3


def test_the_rate_can_change_while_it_runs(
    make_loop: Callable[..., Loop], list_source: Any, noise: Callable, bundle_path: Path
) -> None:
    loop = make_loop(list_source([noise(i) for i in range(30)], pause=0.02))
    rates = []
    for outcome in loop.outcomes():
        assert outcome.result is not None
        assert outcome.result.decision is not None
        rates.append(outcome.result.decision.fpr)
        if outcome.frame.number == 3:
            loop.set_fpr(0.5)
    assert rates[0] != 0.5
    assert rates[-1] == 0.5
    with pytest.raises(PandaError, match="false-alarm rate"):
        loop.set_fpr(1.0)


def test_several_sources_share_one_bundle(
    make_loop: Callable[..., Loop], list_source: Any, pictures: list[Image.Image]
) -> None:
    loop = make_loop(list_source(pictures[:5], "a"), list_source(pictures[:3], "b"))
    found = [(outcome.source, outcome.frame.number) for outcome in loop.outcomes()]
    assert [number for source, number in found if source == "a"] == [1, 2, 3, 4, 5]
    assert [number for source, number in found if source == "b"] == [1, 2, 3]


def test_regions_are_in_pixels_of_the_whole_picture(
    make_loop: Callable[..., Loop], bundle_path: Path, sample_data: Path, tmp_path: Path
) -> None:
    big = Image.open(next((sample_data / "test" / "hole").glob("*.png"))).convert("RGB").resize((1000, 800))
    big.save(tmp_path / "big.jpg", quality=95)
    (outcome,) = panda_edge.watch(load(bundle_path, threads=1, fpr=0.95), str(tmp_path), once=True)
    expected = load(bundle_path, threads=1, fpr=0.95).segment(tmp_path / "big.jpg")
    assert outcome.result is not None
    assert outcome.result.score == expected.score
    assert outcome.result.image_size == (1000, 800)
    assert outcome.result.regions
    assert expected.regions
    for found, wanted in zip(outcome.result.regions, expected.regions, strict=True):
        np.testing.assert_allclose(found.box, wanted.box, atol=8)  # the draft has a pixel for eight


def test_the_iterator_leaves_nothing_behind(bundle_path: Path, sample_data: Path) -> None:
    before = threading.active_count()
    outcomes = panda_edge.watch(load(bundle_path, threads=1), str(sample_data / "test"), notify=lambda notice: None)
    first = next(outcomes)
    assert first.result is not None
    outcomes.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 0}, "--every"),
        ({"max_fps": 0.0}, "--max-fps"),
        ({"drop": "new"}, "--drop"),
        ({"frozen_after": -1.0}, "--frozen-after"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PandaError, match=said):
        panda_edge.FrameOptions(**options)


def test_no_source_is_refused(bundle_path: Path) -> None:
    with pytest.raises(PandaError, match="no source"):
        panda_edge.watch(bundle_path)
