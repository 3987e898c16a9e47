"""What a machine is told of one source, and how an outcome becomes that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from panda_edge.stream.frame import Outcome


@dataclass(frozen=True)
class Signals:
    """At most one of ok, ng and not_judged is true; none is while there is nothing to tell. warn: normal, but nearly
    not. severity: the score over its threshold, 0 where it is not known. count: of the source's verdicts, from 0 to
    65535 and around."""

    ok: bool = False
    ng: bool = False
    not_judged: bool = False
    warn: bool = False
    severity: float = 0.0
    count: int = 0

    @property
    def state(self) -> int:
        """0: nothing, 1: OK, 2: NG, 3: not judged."""
        return 1 if self.ok else 2 if self.ng else 3 if self.not_judged else 0


@dataclass(frozen=True)
class Limits:
    """Severities above which it warns, and rejects. reject 1: where the bundle's decision says so."""

    warn: float = 1.0
    reject: float = 1.0


class Output(Protocol):
    """Somewhere that signals go. Its methods raise OSError or PandaError unless the other side has taken them."""

    name: str

    def write(self, source: int, signals: Signals) -> None:
        """source: its place among the sources, from 0."""
        ...

    def beat(self, count: int) -> None:
        """count: 0 to 65535 and around; while it changes, the program is at work."""
        ...

    def close(self) -> None: ...


def signals_of(outcome: Outcome, limits: Limits, count: int) -> Signals:
    """OK only of a frame that was judged, and decided, and is not to be rejected."""
    result = outcome.result
    if outcome.not_judged is not None or result is None or outcome.anomalous is None:
        return Signals(not_judged=True, count=count)
    severity = result.severity
    # A threshold of 0 has no severity: the decision stands.
    ng = outcome.anomalous if limits.reject == 1.0 or severity is None else not severity <= limits.reject
    shown = 0.0 if severity is None else severity
    return Signals(ok=not ng, ng=ng, warn=not ng and shown > limits.warn, severity=shown, count=count)
