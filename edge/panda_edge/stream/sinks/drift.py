"""A sink that says when the world has changed, and since when."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from panda_edge.bundle.regular import read_regular
from panda_edge.decide.calibration import Calibration
from panda_edge.decide.decision import Decider
from panda_edge.decide.drift import DriftMartingale
from panda_edge.errors import BundleError, FullDiskError, PandaError
from panda_edge.stream.drift import SourceDrift, Start
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.lines import utc
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.worker import Room, Worker
from panda_edge.visualise.files import write_whole

DEFAULT_ALPHA = 0.01
_MOST_BYTES = 100_000_000  # of the file; a source has some kilobytes, and a count for each calibrated score
_KEPT_EVERY = 60.0  # seconds between two writings of the file

_IN_WORDS = {
    "higher": "scores of normal pictures have risen",
    "lower": "scores of normal pictures have fallen",
    "more": "more pictures are anomalous",
}


class Say(Protocol):
    """`Loop.say`."""

    def __call__(self, kind: str, source: str | None, text: str, **facts: Any) -> None: ...


def check_drift(alpha: float, file: Path | None) -> None:
    """Raises PandaError where alpha is not in [0, 0.5], or a file is given for what is off."""
    if not 0 <= alpha <= 0.5:
        raise PandaError(f"--drift {alpha:g}: expected the chance of a false one, up to 0.5, or 0 for off")
    if file is not None and not alpha:
        raise PandaError("--drift-state is about drift, which --drift 0 turns off; leave one of them out")


def open_drift(loop: Loop, alpha: float, file: Path | None = None) -> Drift | None:
    """What watches for drift; None where alpha is 0, or the device's own roi makes scores lower than the calibration's.

    Raises PandaError."""
    check_drift(alpha, file)
    rois = loop.detector.preprocessing.rois
    if not alpha or (rois is not None and rois.device is not None):
        return None
    return Drift(lambda: loop.detector.decider, [state.name for state in loop.states], alpha, loop.say, file)


class Drift:
    """Plays a martingale for each source, and says `drift` once where one has won.

    The chance that it is said of any source while nothing has changed is at most alpha, with each bundle anew.
    """

    def __init__(
        self,
        decider: Callable[[], Decider | None],
        sources: Sequence[str],
        alpha: float,
        say: Say,
        file: Path | None = None,
    ) -> None:
        """decider: the one at work. sources: their names; they share alpha. file: keeps what was seen over restarts.

        Raises PandaError: alpha is not in (0, 0.5], or the file holds something else or cannot be written."""
        check_drift(alpha, file)
        self.sources: dict[str, SourceDrift] = {}
        """What is known of each source; replaced whole where the calibration changes."""
        self._decider = decider
        self._names = tuple(sources)
        self._alpha = alpha
        self._say = say
        self._file = file
        self._calibration: Calibration | None = None
        self._digest = ""
        self._kept: dict[str, Any] | None = None if file is None else _read(file)
        self._written = time.monotonic()
        self._worker: Worker[bytes] | None = None
        self._renew()
        self._kept = None
        if file is not None:
            with suppress(FullDiskError):  # where it cannot be written for another reason, say so now
                write_whole(file, self._as_json())
            self._worker = Worker(
                "drift",
                lambda states: write_whole(file, states[-1]),
                lambda line: say("sink", str(file), line),
                len,
                room=Room(1),
            )

    def outcome(self, outcome: Outcome) -> None:
        decision = None if outcome.result is None else outcome.result.decision
        if decision is None:
            return
        self._renew()
        source = self.sources.get(outcome.source)
        if source is None:
            return
        at = Start(outcome.frame.captured, outcome.frame.number, outcome.id)
        news = source.add(decision.score, at, len(self._names) / self._alpha)
        if news == "every":
            text = f"neighbouring frames show the same; one in {source.every} is counted for drift"
            self._say("drift_every", outcome.source, text, every=source.every)
        elif news == "drift":
            self._tell(outcome.source, source)
        if self._worker is not None and (news or time.monotonic() - self._written > _KEPT_EVERY):
            self._worker.put(self._as_json())
            self._written = time.monotonic()

    def notice(self, notice: Notice) -> None:
        pass

    def close(self, timeout: float) -> None:
        if self._worker is not None:
            self._worker.put(self._as_json())
            self._worker.close(timeout)

    def _renew(self) -> None:
        """Begin anew where the calibration at work is another one."""
        decider = self._decider()
        if decider is None or decider.calibration is self._calibration:
            return
        self._calibration = decider.calibration
        scores = self._calibration.normal_scores()
        digest = hashlib.sha256(self._calibration.rule.encode() + scores.tobytes()).hexdigest()
        if digest == self._digest:
            return
        self._digest, kept = digest, self._kept
        states = {} if kept is None or kept["calibration"] != digest else kept["sources"]
        try:
            self.sources = {
                name: SourceDrift.from_json(states[name], scores, seed)
                if name in states
                else SourceDrift(DriftMartingale(scores, seed))
                for seed, name in enumerate(self._names)
            }
        except (KeyError, TypeError, ValueError, OverflowError):
            raise PandaError(_no_state(self._file)) from None

    def _tell(self, name: str, source: SourceDrift) -> None:
        found = source.found
        assert found is not None
        since = utc(found.since.captured)
        text = f"drift: {_IN_WORDS[found.bet]} since about {since}, frame {found.since.number}"
        self._say(
            "drift",
            name,
            text,
            change=found.bet,
            since=since,
            since_frame=found.since.number,
            since_id=found.since.id,
            counted=found.counted,
            every=source.every,
            alpha=self._alpha,
        )

    def _as_json(self) -> bytes:
        sources = {name: source.as_json() for name, source in self.sources.items()}
        return json.dumps({"drift": 1, "calibration": self._digest, "sources": sources}).encode()


def _read(file: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(read_regular(file, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or error
        raise PandaError(f"{file}: cannot be read ({why}); give --drift-state another file") from error
    except (ValueError, RecursionError, BundleError):
        raise PandaError(_no_state(file)) from None
    whole = isinstance(kept, dict) and kept.get("drift") == 1 and isinstance(kept.get("calibration"), str)
    if not whole or not isinstance(kept.get("sources"), dict):
        raise PandaError(_no_state(file))
    return dict(kept)


def _no_state(file: Path | None) -> str:
    return f"{file}: not what --drift-state keeps; move it away, or give another file"
