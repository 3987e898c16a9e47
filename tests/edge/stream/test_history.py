"""The history: every frame in a file that is bounded, survives a kill, and never keeps a frame waiting."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import panda_edge
from panda_edge.commands import app as cli
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Outcome
from panda_edge.stream.history.reader import HistoryReader, Wanted
from panda_edge.stream.history.row import Row
from panda_edge.stream.history.store import HistoryStore
from panda_edge.stream.sinks.history import History

DAY = 86_400.0


def row(number: int, at: float | None = None, **more: object) -> Row:
    known = Row(
        f"run-{number}", time.time() if at is None else at, "cam", number, None, 2.0, 4.0, 0.5, 0.7, False, None, "b"
    )
    return replace(known, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "h.sqlite", 90, 10**8)


@pytest.fixture(scope="module")
def outcome(bundle_path: Path, sample_data: Path) -> Outcome:
    return next(
        iter(panda_edge.watch(panda_edge.load(bundle_path, threads=1, fpr=0.9), str(sample_data / "test"), once=True))
    )


@pytest.fixture
def make_sink(bundle_path: Path, tmp_path: Path) -> Callable[..., History]:
    bundle = panda_edge.load(bundle_path, threads=1).bundle
    said: list[str] = []

    def make() -> History:
        return History(tmp_path / "h.sqlite", 90, 10**8, lambda: bundle, said.append)

    return make


class TestStore:
    def test_what_is_kept_is_read(self, store: HistoryStore, tmp_path: Path) -> None:
        odd = row(2, anomalous=True, severity=1.5, source="na\u00efve")
        black = row(3, anomalous=None, not_judged="black: 1.0", score=None, threshold=None, severity=None)
        store.add([row(1), odd, black, row(4, anomalous=None), row(5, anomalous=True, severity=9.0)])
        store.add([], [("run-2", "000000001_cam_2.png")])
        reader = HistoryReader(tmp_path / "h.sqlite")
        rows = list(reader.every())
        assert [one.verdict for one in rows] == ["OK", "NG", "not judged", "undecided", "NG"]
        assert replace(rows[1], seq=None) == replace(odd, saved="000000001_cam_2.png")
        for verdict in ("OK", "NG", "not judged", "undecided"):
            assert all(one.verdict == verdict for one in reader.page(Wanted(verdict=verdict), 9)), verdict
        assert [one.frame for one in reader.page(Wanted(verdict="NG"), 9, worst_first=True)] == [5, 2]
        newest = reader.page(Wanted(), 2)
        assert [one.frame for one in newest] == [5, 4]
        assert [one.frame for one in reader.page(Wanted(before=newest[-1].seq), 2)] == [3, 2]
        assert reader.counts(time.time() - 600)["cam"] == {"OK": 1, "NG": 1, "not judged": 1, "undecided": 1}
        assert reader.frame("run-2") == rows[1]
        assert reader.frame("nothing") is None

    def test_minutes_add_up(self, store: HistoryStore, tmp_path: Path) -> None:
        at = 1_800_000_000.0
        store._most_seconds = 1e10
        for second in range(0, 180, 10):
            store.add([row(second, at + second, score=float(second), anomalous=second > 100)])
        minutes = HistoryReader(tmp_path / "h.sqlite").minutes("cam", at, at + 3600)
        assert [(m["at"] - at, m["ok"], m["ng"], m["highest"]) for m in minutes] == [
            (0, 6, 0, 50.0),
            (60, 5, 1, 110.0),
            (120, 0, 6, 170.0),
        ]

    def test_the_old_ones_go(self, store: HistoryStore, tmp_path: Path) -> None:
        now = time.time()
        store.add([row(1, now - 91 * DAY), row(2, now - 89 * DAY), row(3, now)])
        store._tidy()
        reader = HistoryReader(tmp_path / "h.sqlite")
        assert [one.frame for one in reader.every()] == [2, 3]
        assert reader.minutes("cam", 0, now - 90 * DAY) == []

    def test_the_file_stays_small(self, tmp_path: Path) -> None:
        store = HistoryStore(tmp_path / "h.sqlite", 90, 1_000_000)
        for first in range(0, 30_000, 1000):
            store._tidied = float("-inf")
            store.add([row(number, place="a" * 100) for number in range(first, first + 1000)])
        frames = [one.frame for one in HistoryReader(tmp_path / "h.sqlite").every()]
        assert frames == list(range(frames[0], 30_000))  # the newest, without a gap
        assert 1000 < len(frames) < 10_000
        assert (tmp_path / "h.sqlite").stat().st_size < 2_000_000

    @pytest.mark.parametrize("source", [None, "cam"])
    @pytest.mark.parametrize("worst_first", [False, True], ids=["newest", "worst"])
    def test_the_list_of_a_verdict_costs_no_more_with_more_frames(
        self,
        store: HistoryStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        source: str | None,
        worst_first: bool,
    ) -> None:
        steps, connect = [0], sqlite3.connect

        def counting(*given: Any, **more: Any) -> sqlite3.Connection:
            database = connect(*given, **more)
            database.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 1), 50)
            return database

        def cost(frames: range) -> int:
            store.add([row(i, anomalous=i % 5 > 0, severity=i % 7 / 7) for i in frames])
            steps[0] = 0
            found = HistoryReader(tmp_path / "h.sqlite").page(Wanted(source, "NG"), 30, worst_first)
            assert len(found) == 30
            return steps[0]

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", counting)
            few, many = cost(range(200)), cost(range(200, 3000))
        assert many <= 2 * few

    def test_what_is_no_history_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "words").write_text("words, words, words " * 100)
        for path in (tmp_path / "words", tmp_path / "words" / "below", tmp_path):
            with pytest.raises(PandaError, match="give --history another file"):
                HistoryStore(path, 90, 10**8)
        for days, size in ((0, 10**8), (90, 5)):
            with pytest.raises(PandaError, match="--history-"):
                HistoryStore(tmp_path / "h", days, size)
        with pytest.raises(PandaError, match="no history"):
            HistoryReader(tmp_path)
        with pytest.raises(PandaError, match="cannot be read as a history"):
            list(HistoryReader(tmp_path / "words").every())

    def test_a_killed_process_loses_nothing_it_had_taken(self, tmp_path: Path) -> None:
        code = (
            "import sys\nfrom pathlib import Path\nfrom panda_edge.stream.history.row import Row\n"
            "from panda_edge.stream.history.store import HistoryStore\n"
            "store, run = HistoryStore(Path(sys.argv[1]), 9e5, 10**9), sys.argv[2]\ni = 0\n"
            "while True:\n    one = Row(f'{run}-{i}', 0.0, 'c', i, None, 1.0, 2.0, .5, .5, False, None, 'b')\n"
            "    store.add([one])\n    print(f'{run}-{i}', flush=True)\n    i += 1\n"
        )
        for run in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path / "h"), str(run)], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            taken = [process.stdout.readline().strip() for _ in range(50)]
            process.kill()
            taken += process.stdout.read().split()
            process.wait()
            process.stdout.close()
            found = [one.id for one in HistoryReader(tmp_path / "h").every() if one.id.startswith(f"{run}-")]
            assert found[: len(taken)] == taken
        with closing(sqlite3.connect(tmp_path / "h")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (counted,) = database.execute("SELECT SUM(ok) FROM minutes").fetchone()
            assert database.execute("SELECT COUNT(*) FROM frames").fetchone() == (counted,)


class TestSink:
    def test_frames_wait_while_the_disk_is_full(
        self, make_sink: Callable[..., History], outcome: Outcome, tmp_path: Path
    ) -> None:
        sink = make_sink()
        database = sink._store._file.connection()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite then says is what a full disk makes it say
        said: list[str] = []
        sink._worker._say = said.append
        for number in range(3000):
            sink.outcome(replace(outcome, id=f"full-{number}"))
        sink.saved("full-7", "7.png")
        until = time.monotonic() + 20
        while not said:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert "full" in said[0]
        database.execute("PRAGMA max_page_count = 100000")
        sink.close(20)
        rows = list(HistoryReader(tmp_path / "h.sqlite").every())
        assert [one.id for one in rows] == [f"full-{number}" for number in range(3000)]
        assert (sink.lost, rows[7].saved) == (0, "7.png")

    def test_a_disk_that_stays_full_costs_no_more_than_the_queue(
        self, make_sink: Callable[..., History], outcome: Outcome
    ) -> None:
        sink = make_sink()
        (pages,) = sink._store._file.connection().execute("PRAGMA page_count").fetchone()
        sink._store._file.connection().execute(f"PRAGMA max_page_count = {pages}")
        for number in range(30_000):
            sink.outcome(replace(outcome, id=f"full-{number}"))
        assert len(sink._worker._queue) <= 20_000
        sink.close(0.1)
        assert sink.lost == 30_000
        assert sink.gave_up

    def test_a_frame_never_waits(self, make_sink: Callable[..., History], outcome: Outcome, tmp_path: Path) -> None:
        sink = make_sink()
        other = sqlite3.connect(tmp_path / "h.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # as a writer that hangs
        longest = 0.0
        for number in range(2000):
            begun = time.monotonic()
            sink.outcome(replace(outcome, id=f"w-{number}"))
            longest = max(longest, time.monotonic() - begun)
        other.execute("ROLLBACK")
        other.close()
        sink.close(20)
        assert longest < 1.0  # the writer was held for longer: five seconds are what it waits for the file
        assert len(list(HistoryReader(tmp_path / "h.sqlite").every())) == 2000

    def test_any_name(self, make_sink: Callable[..., History], outcome: Outcome, tmp_path: Path) -> None:
        sink = make_sink()
        picture = replace(outcome.frame.picture, where="a\udcff.png")
        sink.outcome(replace(outcome, frame=replace(outcome.frame, picture=picture)))
        sink.close(10)
        assert [one.place for one in HistoryReader(tmp_path / "h.sqlite").every()] == ["a\\udcff.png"]


def test_the_command(
    start: Callable,
    bundle_path: Path,
    sample_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(sample_data / "test" / "hole", tmp_path / "in")
    Image.new("RGB", (64, 64)).save(tmp_path / "in" / "z.png")
    arguments = (bundle_path, tmp_path / "in", "--once", "--fpr", "0.999", "--save", tmp_path / "out", "--jsonl", "-")
    running = start(*arguments)
    lines = [running.line() for _ in range(4)]
    assert running.end() == 0

    def history(*more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["panda-edge", "history", str(tmp_path / "out"), *more])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert stopped.value.code == (2 if said.err else 0)
        return said.out or said.err

    rows = list(csv.DictReader(history().splitlines()))
    assert [one["id"] for one in rows] == [line["id"] for line in lines]
    assert [one["verdict"] for one in rows] == [
        "not judged" if line["not_judged"] else "NG" if line["anomalous"] else "OK" for line in lines
    ]
    identity = json.loads((bundle_path / "manifest.json").read_text())["manifest_sha256"]
    assert {one["bundle"] for one in rows} == {identity[:12]}
    told = [json.loads(line) for line in history("--json", "--verdict", "ng").splitlines()]
    assert [one["score"] for one in told] == [line["score"] for line in lines if line["anomalous"]]
    assert all((tmp_path / "out" / one["saved"]).is_file() for one in told)
    assert told
    assert history("--until", "2020-01-01").count("\n") == 1
    assert "expected a time" in history("--since", "yesterday")
