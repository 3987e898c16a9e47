"""What the page shows, kept in bounded memory while frames go by; pictures are drawn only when someone looks."""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from threading import Lock
from typing import Any

from PIL import Image

from panda_edge.bundle.manifest import Segmentation
from panda_edge.errors import PandaError
from panda_edge.images.reading import OpenedImage
from panda_edge.images.shrunk import shrunk
from panda_edge.stream.bundles.labels import Labels
from panda_edge.stream.capture import SourceState
from panda_edge.stream.drift import SourceDrift
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.history.reader import Wanted
from panda_edge.stream.history.row import Row
from panda_edge.stream.lines import notice_line, outcome_line, utc
from panda_edge.stream.page.past import Past, jpeg, plain_jpeg
from panda_edge.stream.page.tally import HOUR, SHIFT, Counts, Tally, doubt
from panda_edge.stream.weight import lightened, outcome_bytes
from panda_edge.visualise.files import png_bytes
from panda_edge.visualise.overlay import color_scale, overlay

_HISTORY = 2000  # points of the chart
_ANOMALIES, _ANOMALY_BYTES = 60, 96_000_000
_NOTICES = 30
_PART, _LOOKED_THROUGH = 100, 5000  # frames of the history at a time, and in all for one answer
_LIVE_SIDE, _SMALL_SIDE = 480, 160  # pixels
_LATEST_SIDE = 2048  # pixels of a picture that is kept only to be drawn at _LIVE_SIDE
_LIVE_PAUSE = 0.4  # seconds for which a drawn live picture serves everyone; the page asks for one every half second


class Board:
    """A sink that remembers the last outcome of each source, a history of scores, and the last anomalies."""

    def __init__(
        self,
        states: Callable[[], list[SourceState]],
        segmentation: Callable[[], Segmentation],
        labels: Labels | None,
        drifts: Callable[[], dict[str, SourceDrift]] = dict,
        about: Callable[[], dict[str, Any]] = dict,
        past: Past | None = None,
    ) -> None:
        """labels: what visitors said of pictures; None where no folder was given. drifts: of the sources. about: the
        bundle at work: `name`, `id`, and where it is calibrated `promised`, the rate that is kept, and `least`, the
        lowest that it can promise. past: what is no longer in memory; None where no history is kept.
        """
        self.about = about
        self._past = past
        self._tallies: dict[str, Tally] = {}
        for state in states() if past is not None else ():
            self._tallies[state.name] = Tally()
            with suppress(PandaError):  # none can be read: the disk is full
                self._tallies[state.name].fill(past.shift(state.name, SHIFT) if past is not None else ())
        self._states = states
        self._drifts = drifts
        self._segmentation = segmentation
        self._labels = labels
        self._lock = Lock()
        self._drawing = Lock()
        self._latest: dict[str, Outcome] = {}
        self._history: deque[dict[str, Any]] = deque(maxlen=_HISTORY)
        self._seen = 0
        self._anomalies: OrderedDict[str, Outcome] = OrderedDict()
        self._anomaly_bytes = 0
        self._notices: deque[dict[str, Any]] = deque(maxlen=_NOTICES)
        self._drawn: dict[str, tuple[float, str, bytes]] = {}
        self._small: dict[str, bytes] = {}
        self._odd = 0  # anomalous frames so far

    def outcome(self, outcome: Outcome) -> None:
        light = lightened(outcome, _LATEST_SIDE, keep_file=False)
        with self._lock:
            self._seen += 1
            self._latest[outcome.source] = light
            self._history.append(_point(outcome))
            tally = self._tallies.setdefault(outcome.source, Tally())
            tally.add(outcome.frame.captured, outcome.anomalous, outcome.not_judged is not None)
            if outcome.anomalous:
                self._odd += 1
                self._anomalies[outcome.id] = outcome
                self._anomaly_bytes += outcome_bytes(outcome)
                while len(self._anomalies) > _ANOMALIES or self._anomaly_bytes > _ANOMALY_BYTES:
                    identity, oldest = self._anomalies.popitem(last=False)
                    self._anomaly_bytes -= outcome_bytes(oldest)
                    self._small.pop(identity, None)

    def notice(self, notice: Notice) -> None:
        with self._lock:
            self._notices.append(notice_line(notice))

    def close(self, timeout: float) -> None:
        pass

    def state(self, since: int) -> dict[str, Any]:
        """What the page asks for twice a second: points newer than `since`, sources, anomalies, notices."""
        with self._lock:
            latest = {source: outcome_line(outcome) for source, outcome in self._latest.items()}
            drifts = self._drifts()
            about = self.about()
            return {
                "seen": self._seen,
                "odd": self._odd,
                "bundle": about,
                "points": self._points(since),
                "sources": [
                    {
                        "name": s.name,
                        "up": s.up and not s.silent,
                        "ended": s.ended,
                        "error": s.error,
                        "frames": s.frames,
                        "dropped": s.dropped,
                        "losses": s.losses,
                        "drift": _drift(drifts.get(s.name)),
                        "latest": latest.get(s.name),
                        **self._counted(s.name, about.get("promised")),
                    }
                    for s in self._states()
                ],
                "remembers": self._past is not None,
                "notices": list(self._notices)[::-1],
                "labels": self._labels is not None,
            }

    def _points(self, since: int) -> list[dict[str, Any]]:
        newer = min(max(self._seen - since, 0), len(self._history))
        return list(islice(reversed(self._history), newer))[::-1]

    def _counted(self, source: str, promised: float | None) -> dict[str, Any]:
        tally, now = self._tallies.get(source, Tally()), time.time()
        hour, shift = tally.last(HOUR, now), tally.last(SHIFT, now)
        return {"hour": _counts(hour), "shift": _counts(shift), "doubt": doubt(hour, promised)}

    def frames(self, wanted: Wanted, most: int, worst_first: bool, skip: int) -> list[dict[str, Any]]:
        """Frames of the history; without one, the anomalous frames that are still in memory. As `Row.facts`, with
        `picture`: whether there is one, and `label`. Raises PandaError."""
        if self._past is not None:
            found = self._past.frames(wanted, most, worst_first, skip)
            return [self._shown(one, one["picture"] or one["id"] in self._anomalies) for one in found]
        with self._lock:
            outcomes = [one for one in reversed(self._anomalies.values()) if wanted.source in (None, one.source)]
        if worst_first:
            outcomes.sort(key=lambda one: -((one.result and one.result.severity) or 0.0))
        rows = [Row.of(one, "") for one in outcomes[skip : skip + most]] if wanted.verdict in (None, "NG") else []
        return [self._shown(row.facts(), True) for row in rows]

    def to_review(self, source: str | None, most: int, worst_first: bool, skip: int) -> list[dict[str, Any]]:
        """Frames with a picture and without a label: anomalous ones, and some that nearly are. As `frames`. Raises
        PandaError."""
        found: list[dict[str, Any]] = []
        seen = 0
        while len(found) < skip + most and seen < _LOOKED_THROUGH:
            part = self.frames(Wanted(source, saved=True), _PART, worst_first, seen)
            found += [one for one in part if one["picture"] and one["label"] is None]
            seen += len(part)
            if len(part) < _PART:
                break
        return found[skip : skip + most]

    def labelled(self, label: str, most: int, skip: int) -> list[dict[str, Any]]:
        """Frames with a label, the one that was labelled last first. As `frames`. Raises PandaError."""
        known = [] if self._labels is None else [*self._labels.all(label), *self._labels.all(label, joined=True)]
        return [one for labelled in known[skip : skip + most] for one in self.frame(labelled.identity)]

    def _shown(self, facts: dict[str, Any], picture: bool) -> dict[str, Any]:
        known = None if self._labels is None else self._labels.of(facts["id"])
        picture = picture or known is not None
        joined = known is not None and known.joined
        return {**facts, "picture": picture, "label": None if known is None else known.label, "joined": joined}

    def frame(self, identity: str) -> list[dict[str, Any]]:
        """One frame, as of `frames`; none where it is not known. Raises PandaError."""
        outcome = self._anomaly(identity)
        if outcome is not None:
            return [self._shown(Row.of(outcome, "").facts(), True)]
        found = None if self._past is None else self._past.frame(identity)
        if found is None and self._labels is not None and self._labels.of(identity) is not None:
            found = {**Row.forgotten(identity).facts(), "picture": True}
        return [] if found is None else [self._shown(found, found["picture"])]

    def minutes(self, source: int, since: float, until: float) -> list[dict[str, Any]]:
        """A source's minutes, see HistoryReader; empty without a history. Raises PandaError."""
        names = [state.name for state in self._states()]
        if self._past is None or not 0 <= source < len(names):
            return []
        return self._past.minutes(names[source], since, until)

    def live_number(self, source: int, asked: str) -> int | None:
        """The number within its run of the frame whose id is `asked`, or of the source's last one where that is not
        known; None where there is none."""
        outcome = self._last(source)
        if outcome is None:
            return None
        run, _, last = outcome.id.rpartition("-")
        wanted, _, number = asked.rpartition("-")
        known = wanted == run and number.isdecimal() and len(number) <= len(last)
        return min(int(number), int(last)) if known else int(last)

    def live(self, source: int, at_least: int) -> bytes | None:
        """A source's picture under its heat map, JPEG, as it was drawn last; None where that is of a frame before
        number `at_least`."""
        outcome = self._last(source)
        drawn = None if outcome is None else self._drawn.get(outcome.source)
        return drawn[2] if drawn is not None and int(drawn[1].rpartition("-")[2]) >= at_least else None

    def live_pause(self, source: int) -> float:
        """Seconds until a source's picture is to be drawn anew; what is drawn serves everyone who asks until then."""
        outcome = self._last(source)
        drawn = None if outcome is None else self._drawn.get(outcome.source)
        return 0.0 if drawn is None else max(drawn[0] + _LIVE_PAUSE - time.monotonic(), 0.0)

    def draw_live(self, source: int) -> None:
        """Draw a source's last picture, where there is one."""
        outcome = self._last(source)
        if outcome is None:
            return
        with self._drawing:  # one at a time: a large picture takes several times its size
            data = self._draw(outcome, _LIVE_SIDE)
        self._drawn[outcome.source] = time.monotonic(), outcome.id, data

    def _last(self, source: int) -> Outcome | None:
        names = [state.name for state in self._states()]
        return self._latest.get(names[source]) if 0 <= source < len(names) else None

    def anomaly(self, identity: str, plain: bool) -> bytes | None:
        """An anomalous picture at full size, JPEG, under its heat map or plain; of a labelled one that is kept only as
        such, plain; None where it is no longer kept."""
        outcome = self._anomaly(identity)
        if outcome is None:
            found = None if self._past is None else self._past.picture(identity, plain)
            return self._labelled_picture(identity, None) if found is None else found
        with self._drawing:
            return self._draw(outcome, None, plain)

    def small_anomaly(self, identity: str) -> bytes | None:
        """An anomalous picture under its heat map for the list of all, JPEG, drawn once for everyone who asks."""
        with self._drawing:
            outcome, data = self._anomaly(identity), self._small.get(identity)
            if outcome is None:
                found = None if self._past is None else self._past.small(identity)
                return self._labelled_picture(identity, _SMALL_SIDE) if found is None else found
            if data is not None:
                return data
            data = self._draw(outcome, _SMALL_SIDE)
            with self._lock:
                if identity in self._anomalies:
                    self._small[identity] = data
            return data

    def _anomaly(self, identity: str) -> Outcome | None:
        with self._lock:
            return self._anomalies.get(identity)

    def original(self, identity: str) -> tuple[str, bytes] | None:
        """A name that ends in a suffix, and a file's content: what came from the camera, or a PNG of it; None where it
        is no longer kept. Raises PandaError."""
        outcome = self._anomaly(identity)
        if outcome is None or outcome.frame.picture.opened is None:
            return None if self._past is None else self._past.original(identity)
        picture = outcome.frame.picture
        assert picture.opened is not None
        source = re.sub(r"[^\w.-]+", "-", outcome.source).strip("-.")[-60:]
        encoded = picture.encoded is not None and picture.encoded[:2] == b"\xff\xd8"
        data = picture.encoded if encoded and picture.encoded else png_bytes(picture.opened.image)
        return f"{source}{'.jpg' if encoded else '.png'}", data

    def _labelled_picture(self, identity: str, side: int | None) -> bytes | None:
        known = None if self._labels is None else self._labels.of(identity)
        try:
            return None if known is None else plain_jpeg(known.file, side)
        except (OSError, PandaError):  # somebody has taken it away
            return None

    def _draw(self, outcome: Outcome, side: int | None, plain: bool = False) -> bytes:
        opened = outcome.frame.picture.opened
        if opened is None:
            return jpeg(Image.new("RGB", (64, 48)))
        image = opened.image if side is None else shrunk(opened.image, side)
        if outcome.result is None or plain:
            return jpeg(image)
        return jpeg(overlay(OpenedImage(image, image.size), outcome.result, color_scale(self._segmentation())))


def _drift(drift: SourceDrift | None) -> dict[str, Any] | None:
    if drift is None:
        return None
    found = drift.found
    return {
        "evidence": drift.martingale.wealth,
        "counted": drift.martingale.counted,
        "enough": drift.settled,
        "change": None if found is None else found.bet,
        "since": None if found is None else utc(found.since.captured),
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {"ok": counts.ok, "ng": counts.ng, "not_judged": counts.not_judged, "rate": counts.rate}


def _point(outcome: Outcome) -> dict[str, Any]:
    decision = None if outcome.result is None else outcome.result.decision
    return {
        "id": outcome.id,
        "at": outcome.frame.captured,
        "source": outcome.source,
        "frame": outcome.frame.number,
        "score": None if outcome.result is None else outcome.result.score,
        "threshold": None if decision is None else decision.threshold,
        "anomalous": outcome.anomalous,
        "not_judged": outcome.not_judged,
    }
