"""What a plant's sinks were asked for, and what became of it: nothing may be missing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from panda_edge.stream.frame import Outcome
from panda_edge.stream.sinks.delivery import Deliveries
from panda_edge.stream.sinks.jsonl import JsonLines
from panda_edge.stream.sinks.saved import SavedFrames
from panda_edge.stream.sinks.sink import Sink


class Account:
    """Counts what opened sinks are given to keep, and the lines that are written."""

    def __init__(self, sinks: list[Sink]) -> None:
        self._asked, self._written = Counter[str](), 0
        opened = {type(sink): sink for sink in sinks}
        kept, events, lines = opened[SavedFrames], opened[Deliveries], opened[JsonLines]
        assert isinstance(kept, SavedFrames)
        assert isinstance(events, Deliveries)
        assert isinstance(lines, JsonLines)
        self._kept, self._events, self._lines = kept, events, lines
        self._first, put_event, put_frame = kept._next, events._keep.put, kept._worker.put
        write = lines._worker._work

        def event(item: tuple[str, bytes]) -> None:
            self._asked["events"] += 1
            put_event(item)

        def frame(outcome: Outcome) -> None:
            # Beside a page, some normal frames are saved, too: those that nearly are anomalous.
            self._asked["anomalous" if outcome.anomalous else "nearly"] += 1
            put_frame(outcome)

        def written(batch: list[bytes]) -> None:
            write(batch)
            self._written += len(batch)

        events._keep.put, kept._worker.put = event, frame  # type: ignore[method-assign]
        lines._worker._work = written

    def closed(self, frames: int, notices: int, anomalous: int, arrived: int) -> dict[str, Any]:
        """Once the sinks are closed: of each what it kept, what it lost, and what is missing. frames, anomalous: as the
        loop gave them; notices: that were given to the sinks; arrived: events, at the receiver."""
        saved = self._kept._next - self._first
        nearly = self._asked["nearly"]
        return {
            "lines": {"written": self._written, "lost": self._lines.lost,
                      "unaccounted_for": frames + notices - self._written - self._lines.lost},
            "saved": {"saved": saved, "nearly_anomalous": nearly, "lost": self._kept.lost,
                      "unaccounted_for": anomalous + nearly - saved - self._kept.lost},
            "events": {"arrived": arrived, "lost": self._events.lost,
                       "unaccounted_for": self._asked["events"] - arrived - self._events.lost},
        }  # fmt: skip
