"""What every sink is."""

from __future__ import annotations

from typing import Protocol

from panda_edge.stream.frame import Notice, Outcome


class Sink(Protocol):
    """Takes outcomes and notices, at once and without failing. `notice` may be called by any thread."""

    def outcome(self, outcome: Outcome) -> None: ...

    def notice(self, notice: Notice) -> None: ...

    def close(self, timeout: float) -> None:
        """Finish what was taken, for at most `timeout` seconds, and release everything."""
        ...
