"""Drift as the stream says it: which frames are counted, what is told, what is kept over restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.decide.calibration import Calibration
from panda_edge.decide.decision import Decider
from panda_edge.decide.drift import DriftMartingale
from panda_edge.errors import PandaError
from panda_edge.stream.drift import SourceDrift, Start
from panda_edge.stream.frame import Notice
from panda_edge.stream.sinks.drift import Drift
from panda_edge.stream.sinks.metrics import Metrics

N = 40


def feed(source: SourceDrift, scores: np.ndarray, alpha: float = 0.01) -> list[tuple[int, str]]:
    """What becomes known, and with which score."""
    told = []
    for number, score in enumerate(scores, 1):
        news = source.add(float(score), Start(float(number), number, f"id-{number}"), 1 / alpha)
        told += [(number, news)] if news else []
    return told


def smooth(random: np.random.Generator, frames: int, alike: float) -> np.ndarray:
    """Normal scores whose neighbours are correlated."""
    values = [random.normal()]
    while len(values) < frames:
        values.append(alike * values[-1] + (1 - alike**2) ** 0.5 * random.normal())
    return np.array(values)


def test_independent_frames_are_all_counted_and_a_change_is_told_once() -> None:
    random = np.random.default_rng(0)
    source = SourceDrift(DriftMartingale(random.normal(size=N)))
    told = feed(source, np.concatenate([random.normal(size=300), random.normal(2, 1, size=300)]))
    ((number, news),) = told
    assert news == "drift"
    assert 300 < number < 400
    assert source.every == 1
    assert source.found is not None
    assert 270 < source.found.since.number <= 310
    assert source.found.since.id == f"id-{source.found.since.number}"


def test_frames_that_are_alike_are_thinned_until_they_are_not() -> None:
    """30 frames a second of parts that stay in view: without thinning every run would be a drift."""
    random = np.random.default_rng(1)
    raised_bare = raised = 0
    for seed in range(6):
        scores, stream = random.normal(size=N), smooth(random, 17_000, 0.95)
        bare = DriftMartingale(scores, seed)
        raised_bare += any(bare.add(float(score)) and bare.wealth >= 100 for score in stream)
        source = SourceDrift(DriftMartingale(scores, seed))
        told = [news for _, news in feed(source, stream)]
        assert source.every >= 16
        assert source.settled
        raised += "drift" in told
    assert raised_bare >= 5
    assert raised <= 1


def test_thinned_frames_still_tell_a_change() -> None:
    random = np.random.default_rng(2)
    source = SourceDrift(DriftMartingale(random.normal(size=N)))
    told = feed(source, smooth(random, 12_000, 0.9) + 3 * (np.arange(12_000) > 6000))
    assert [news for _, news in told] == ["every", "drift"]
    assert source.found is not None
    assert abs(source.found.since.number - 6000) < 40 * source.every


def test_a_step_among_the_first_frames_is_found_all_the_same() -> None:
    random = np.random.default_rng(3)
    for at in (0, 10, 30, 50):
        source = SourceDrift(DriftMartingale(random.normal(size=N)))
        told = feed(source, random.normal(size=600) + 4 * (np.arange(600) >= at))
        assert "drift" in [news for _, news in told], at


@pytest.fixture
def calibration() -> Calibration:
    scores = np.random.default_rng(4).normal(size=N)
    return Calibration("max", dict.fromkeys(("embedding", "max", "top1"), scores))


@pytest.fixture
def told() -> list[tuple[str, str | None, dict[str, Any]]]:
    return []


@pytest.fixture
def make_drift(calibration: Calibration, told: list) -> Callable[..., Drift]:
    decider = [Decider(calibration, 0.05)]

    def make(*names: str, alpha: float = 0.01, file: Path | None = None, decider_at: Any = None) -> Drift:
        say = lambda kind, source, text, **facts: told.append((kind, source, {"text": text, **facts}))  # noqa: E731
        return Drift(decider_at or (lambda: decider[0]), names or ("s",), alpha, say, file)

    return make


def outcome(make_frame: Callable[..., Any], number: int, score: float, source: str = "s") -> Any:
    decision = None if np.isnan(score) else SimpleNamespace(score=score)
    frame = make_frame(None, number, source=source)
    return SimpleNamespace(source=source, frame=frame, id=f"run-{number}", result=SimpleNamespace(decision=decision))


def test_it_is_told_with_all_that_is_known(
    make_drift: Callable[..., Drift], make_frame: Callable[..., Any], told: list
) -> None:
    sink = make_drift("a", "b")
    for number in range(1, 300):
        sink.outcome(outcome(make_frame, number, 5 + 0.01 * number, "b"))
        sink.outcome(outcome(make_frame, number, float("nan"), "a"))
    ((kind, source, facts),) = told
    assert (kind, source) == ("drift", "b")
    assert facts["change"] == "more"
    assert facts["since"].endswith("Z")
    assert facts["since_id"] == f"run-{facts['since_frame']}"
    assert facts["alpha"] == 0.01
    assert "more pictures are anomalous since" in facts["text"]
    metrics = Metrics(list, dict, lambda: sink.sources).text()
    assert 'panda_edge_drift{source="b"} 1' in metrics
    assert 'panda_edge_drift{source="a"} 0' in metrics
    assert 'panda_edge_drift_evidence{source="a"} 1' in metrics


def test_what_was_seen_is_kept_over_restarts(
    make_drift: Callable[..., Drift], make_frame: Callable[..., Any], told: list, tmp_path: Path
) -> None:
    scores = np.random.default_rng(5).normal(size=400) + 1.2 * (np.arange(400) >= 200)
    file = tmp_path / "state" / "drift.json"
    whole = make_drift()
    for number, score in enumerate(scores[:100]):
        whole.outcome(outcome(make_frame, number, score))
    state = whole.sources["s"].as_json()
    parts = make_drift(file=file)
    for number, score in enumerate(scores[:100]):
        parts.outcome(outcome(make_frame, number, score))
    parts.close(5)
    again = make_drift(file=file)
    assert json.loads(json.dumps(again.sources["s"].as_json())) == json.loads(json.dumps(state))
    for number, score in enumerate(scores[100:], 100):
        again.outcome(outcome(make_frame, number, score))
    assert [kind for kind, *_ in told] == ["drift"]
    again.close(5)
    after = make_drift(file=file)
    assert after.sources["s"].found == again.sources["s"].found
    after.outcome(outcome(make_frame, 401, 99.0))
    after.close(5)
    assert len(told) == 1  # it is said once


def test_another_calibration_begins_anew(
    make_drift: Callable[..., Drift], make_frame: Callable[..., Any], calibration: Calibration, tmp_path: Path
) -> None:
    deciders = [Decider(calibration, 0.05)]
    sink = make_drift(decider_at=lambda: deciders[-1], file=tmp_path / "d")
    sink.outcome(outcome(make_frame, 1, 0.0))
    deciders.append(Decider(calibration, 0.5))  # another rate is no other calibration
    sink.outcome(outcome(make_frame, 2, 0.0))
    assert sink.sources["s"].martingale.counted == 2
    other = Calibration("max", {name: scores + 1 for name, scores in calibration.scores.items()})
    deciders.append(Decider(other, 0.5))
    sink.outcome(outcome(make_frame, 3, 0.0))
    assert sink.sources["s"].martingale.counted == 1
    sink.close(5)
    assert make_drift(file=tmp_path / "d").sources["s"].martingale.counted == 0


@pytest.mark.parametrize("held", ["words", "[]", '{"drift": 2}', '{"drift": 1, "calibration": "x", "sources": []}'])
def test_a_file_of_something_else_is_refused(make_drift: Callable[..., Drift], tmp_path: Path, held: str) -> None:
    (tmp_path / "d").write_text(held)
    with pytest.raises(PandaError, match="not what --drift-state keeps"):
        make_drift(file=tmp_path / "d")
    assert (tmp_path / "d").read_text() == held


@pytest.mark.parametrize(
    "damage", [{"counts": [1, 2]}, {"counts": None}, {"bets": {}}, {"every": 0}, {"early": ["x"]}, {"found": [1]}]
)
def test_a_damaged_state_is_refused(make_drift: Callable[..., Drift], tmp_path: Path, damage: dict[str, Any]) -> None:
    make_drift(file=tmp_path / "d").close(5)
    state = json.loads((tmp_path / "d").read_text())
    state["sources"]["s"].update(damage)
    (tmp_path / "d").write_text(json.dumps(state))
    with pytest.raises(PandaError, match="not what --drift-state keeps"):
        make_drift(file=tmp_path / "d")


def test_a_place_that_cannot_be_written_is_said_at_once(make_drift: Callable[..., Drift], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PandaError, match="cannot be"):
        make_drift(file=tmp_path / "file" / "d")


def test_wrong_options_are_one_line(bundle_path: Path, tmp_path: Path) -> None:
    for alpha in (-0.1, 0.6, float("nan")):
        with pytest.raises(PandaError, match="--drift"):
            panda_edge.watch(bundle_path, str(tmp_path), drift=alpha)


def test_python_is_told(bundle_path: Path, sample_data: Path, tmp_path: Path) -> None:
    """Test pictures that turn noisy, through `panda_edge.watch`."""
    paths = sorted((sample_data / "test" / "good").glob("*.png"))
    random = np.random.default_rng(0)
    for number in range(160):
        image = np.asarray(Image.open(paths[number % len(paths)]).convert("RGB")).astype(float)
        image = image + random.normal(0, 60 if number >= 60 else 2, image.shape)
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
    notices: list[Notice] = []
    outcomes = list(
        panda_edge.watch(panda_edge.load(bundle_path, threads=1), str(tmp_path), once=True, notify=notices.append)
    )
    assert len(outcomes) == 160
    drifts = [notice for notice in notices if notice.kind == "drift"]
    assert len(drifts) == 1
    assert drifts[0].source == str(tmp_path)
    notices.clear()
    list(
        panda_edge.watch(
            panda_edge.load(bundle_path, threads=1), str(tmp_path), once=True, drift=0, notify=notices.append
        )
    )
    assert notices == []
