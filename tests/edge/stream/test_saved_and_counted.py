"""Anomalous frames on disk under a quota, and the counters."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import panda_edge
from panda_edge.errors import PandaError
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.capture import SourceState
from panda_edge.stream.door import host_and_port
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.sinks import saved
from panda_edge.stream.sinks.metrics import Metrics, MetricsServer
from panda_edge.stream.sinks.saved import SavedFrames
from panda_edge.stream.weight import outcome_bytes


@pytest.fixture(scope="module")
def outcomes(bundle_path: Path, sample_data: Path) -> list[Outcome]:
    """Of test pictures, all called anomalous."""
    found = list(
        panda_edge.watch(panda_edge.load(bundle_path, threads=1, fpr=0.999), str(sample_data / "test"), once=True)
    )
    anomalous = [outcome for outcome in found if outcome.anomalous]
    assert len(anomalous) > 3
    return anomalous


@pytest.fixture
def make_sink(bundle_path: Path, tmp_path: Path) -> Callable[..., SavedFrames]:
    segmentation = panda_edge.load(bundle_path, threads=1).bundle.manifest.segmentation

    def make(quota: int = 10**9, said: list[str] | None = None) -> SavedFrames:
        return SavedFrames(tmp_path / "out", quota, lambda: segmentation, (said if said is not None else []).append)

    return make


def test_frames_are_saved_as_they_came_with_overlay_and_line(
    make_sink: Callable[..., SavedFrames], outcomes: list[Outcome], tmp_path: Path
) -> None:
    sink = make_sink()
    for outcome in outcomes[:3]:
        sink.outcome(outcome)
    sink.close(10)
    files = sorted((tmp_path / "out").glob("[!.]*"))
    assert len(files) == 9
    (original,) = [file for file in files if re.fullmatch(r"000000001_.*_\d+\.png", file.name)]
    assert original.read_bytes() == Path(str(outcomes[0].frame.picture.where)).read_bytes()
    assert json.loads(original.with_suffix(".json").read_text())["id"] == outcomes[0].id
    with Image.open(original.with_name(f"{original.stem}_overlay.png")) as shown:
        assert shown.width == 64


def test_the_oldest_go_first_and_numbers_go_on(
    make_sink: Callable[..., SavedFrames], outcomes: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make_sink()
    sink.outcome(outcomes[0])
    sink.close(10)
    size = sum(file.stat().st_size for file in (tmp_path / "out").glob("[!.]*"))
    sink = make_sink()
    sink._quota = 4 * size
    for outcome in (outcomes * 10)[:20]:
        sink.outcome(outcome)
    sink.close(30)
    numbers = sorted({int(file.name[:9]) for file in (tmp_path / "out").glob("[!.]*")})
    assert sum(file.stat().st_size for file in (tmp_path / "out").glob("[!.]*")) <= 4 * size
    assert numbers[-1] == 21
    assert len(numbers) <= 6
    assert numbers == list(range(numbers[0], 22))
    with pytest.raises(PandaError, match="--quota-mb"):
        make_sink(5)


def test_a_full_disk_is_said_and_leaves_nothing_half(
    make_sink: Callable[..., SavedFrames], outcomes: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = saved.write_whole, [2]

    def full(path: Path, data: bytes) -> None:
        if not room[0]:
            raise PandaError(f"{path}: cannot be written (No space left on device)")
        room[0] -= 1
        write(path, data)

    monkeypatch.setattr(saved, "write_whole", full)
    said: list[str] = []
    sink = make_sink(said=said)
    sink.outcome(outcomes[0])
    sink.close(0.5)
    assert "No space left" in said[0]
    assert list((tmp_path / "out").glob("[!.]*")) == []
    assert sink.lost == 1


def test_a_full_disk_holds_few_large_pictures(
    make_sink: Callable[..., SavedFrames], outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PandaError("no space left")

    monkeypatch.setattr(saved, "png_bytes", full)
    monkeypatch.setattr(saved, "overlay", full)
    sink = make_sink()
    image = Image.new("RGB", (2500, 2000))  # 20 MB in memory
    picture = replace(outcomes[0].frame.picture, opened=OpenedImage(image, image.size), encoded=None)
    filed = replace(picture, encoded=b"\x89PNG")
    for number in range(30):
        frame = replace(outcomes[0].frame, picture=picture if number % 2 else filed)
        sink.outcome(replace(outcomes[0], frame=frame))
        held = list(sink._worker._queue)
        assert sum(map(outcome_bytes, held)) <= 64_000_000
    opened = [outcome.frame.picture.opened for outcome in held if outcome.frame.picture.encoded]
    assert opened
    assert all(one is not None and max(one.image.size) == 2048 for one in opened)
    assert sink.lost >= 30 - 8
    sink.close(0.1)


def test_counters(outcomes: list[Outcome]) -> None:
    state = SourceState('cam "1"', up=True, frames=12, dropped=3, losses=1)
    metrics = Metrics(lambda: [state], lambda: {"save": 2})
    for outcome in outcomes:
        metrics.outcome(outcome)
    metrics.notice(Notice("n", "source_lost", "cam", "", 0.0))
    server = MetricsServer("127.0.0.1:0", metrics.text)
    try:
        text = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics").read().decode()
    finally:
        server.close()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['panda_edge_frames_total{source="cam \\"1\\""}'] == "12"
    assert lines['panda_edge_dropped_total{source="cam \\"1\\""}'] == "3"
    assert lines["panda_edge_latency_seconds_count"] == str(len(outcomes))
    assert lines['panda_edge_latency_seconds_bucket{le="+Inf"}'] == str(len(outcomes))
    assert lines["panda_edge_p_value_count"] == str(len(outcomes))
    assert lines['panda_edge_stage_seconds_count{stage="backbone"}'] == str(len(outcomes))
    assert lines['panda_edge_sink_lost_total{sink="save"}'] == "2"
    assert lines['panda_edge_notices_total{kind="source_lost"}'] == "1"
    assert sum(int(n) for name, n in lines.items() if "judged_total" in name) == len(outcomes)
    buckets = [int(n) for name, n in lines.items() if name.startswith("panda_edge_p_value_bucket")]
    assert buckets == sorted(buckets)
    parser = pytest.importorskip("prometheus_client.parser", reason="needs prometheus_client to read it, too")
    assert {family.name for family in parser.text_string_to_metric_families(text)} >= {"panda_edge_frames"}


@pytest.mark.parametrize(("silent_s", "status"), [(1.0, 200), (40.0, 503)])
def test_a_loop_that_hangs_is_told(silent_s: float, status: int) -> None:
    looked = time.monotonic() - silent_s
    server = MetricsServer("127.0.0.1:0", lambda: "", lambda: looked)
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz").status
    except urllib.error.HTTPError as error:
        answer = error.code
    finally:
        server.close()
    assert answer == status


@pytest.mark.parametrize("given", ["9090", "host:", "host:x", ":9090", "host:99999"])
def test_addresses_are_checked(given: str) -> None:
    with pytest.raises(PandaError, match="--metrics"):
        host_and_port(given, "--metrics")


def test_the_command_with_all_of_it(start: Callable, bundle_path: Path, sample_data: Path, tmp_path: Path) -> None:
    shutil.copytree(sample_data / "test" / "hole", tmp_path / "in")
    running = start(
        bundle_path, tmp_path / "in", "--once", "--fpr", "0.999", "--save", tmp_path / "out", "--jsonl", "-"
    )
    lines: list[dict[str, Any]] = [running.line() for _ in range(3)]
    anomalous = sum(bool(line["anomalous"]) for line in lines)
    assert running.end() == 0
    assert len(list((tmp_path / "out").glob("*_overlay.png"))) == anomalous > 0
