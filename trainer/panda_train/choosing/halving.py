"""Successive halving (Jamieson and Talwalkar, AISTATS 2016): all candidates on few pictures, the better ones on more,
the last few on all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from panda_edge.errors import PandaError
from panda_train.choosing.candidates import Candidate, Look
from panda_train.choosing.judge import Verdict, verdict
from panda_train.choosing.pictures import Judged
from panda_train.choosing.state import State
from panda_train.choosing.trial import OpenLook
from panda_train.progress import show


@dataclass(frozen=True)
class Rung:
    """fitted: normal pictures of a bank. normal, painted: that judge it. survivors: candidates that go on."""

    fitted: int
    normal: int
    painted: int
    survivors: int


RUNGS = (Rung(120, 40, 70, 9), Rung(300, 70, 140, 3), Rung(600, 100, 210, 1))
DOUBT = 0.1
"""Painted defects are not the real ones: what `fit` does by itself, which was found with real ones, is left only for
what is better than it by more."""
_SLACK = 1.5  # times the budget of milliseconds, before the last rung: short measurements are noisy


@dataclass(frozen=True)
class Row:
    """A candidate at the highest rung that it reached, from 1. left_out: why it went no further; empty for the chosen
    one."""

    candidate: Candidate
    rung: int
    verdict: Verdict
    left_out: str

    @property
    def standing(self) -> float:
        """What candidates are compared by: the verdict's score, of what is usual with the benefit of the doubt."""
        return self.verdict.score + (DOUBT if self.candidate.usual else 0.0)


@dataclass
class Halving:
    """open_look: of the same look always the same. ms: budget of a picture on the device. slowness: the device's
    milliseconds over this machine's. state: what is done is kept there, and not done again."""

    open_look: Callable[[Look], OpenLook]
    pictures: Judged
    ms: float
    slowness: float
    fpr: float
    state: State

    def run(self, candidates: Sequence[Candidate]) -> list[Row]:
        """Tries the candidates, rung by rung. An interrupt (Ctrl-C) ends it with the best so far.

        Args:
            candidates: Those to try.

        Returns:
            All that fit into the megabytes: the chosen one first, then as far as they came and how good they were.

        Raises:
            PandaError: None is within the milliseconds, or none fits.
            KeyboardInterrupt: Nothing within the milliseconds had been tried.
        """
        rows: dict[str, Row] = {}
        stopped = False
        try:
            self._climb(candidates, rows)
        except KeyboardInterrupt:
            if not any(self._may_be_chosen(row) for row in rows.values()):
                raise
            stopped = True
            print(f"stopped: the best of the {len(rows)} of {len(candidates)} that were tried", file=sys.stderr)
        found = sorted(rows.values(), key=lambda row: (not self._may_be_chosen(row), -row.rung, -row.standing))
        if not stopped:
            return found
        return [found[0], *(row if row.left_out else replace(row, left_out="stopped") for row in found[1:])]

    def _may_be_chosen(self, row: Row) -> bool:
        return not row.left_out and row.verdict.ms <= self.ms

    def _climb(self, candidates: Sequence[Candidate], rows: dict[str, Row]) -> None:
        """Fills the rows, by the candidates' names, each at once when it has been tried."""
        left, failed = list(candidates), ""
        for number, rung in enumerate(RUNGS, 1):
            last = rung is RUNGS[-1]
            tried: list[Row] = []
            for candidate in show(left, f"rung {number} of {len(RUNGS)}", len(left)):
                try:
                    tried.append(self._row(candidate, number, rung, last))
                except PandaError as error:
                    failed = str(error)
                else:
                    rows[candidate.name] = tried[-1]
            # Where all of them turn out too slow after all, those that were left behind get their turn.
            while last and rows and all(row.left_out for row in tried):
                behind = [row for row in rows.values() if row.rung < number and row.verdict.ms <= self.ms]
                if not behind:
                    break
                next_one = max(behind, key=lambda row: (row.rung, row.standing)).candidate
                tried.append(self._row(next_one, number, rung, last))
                rows[next_one.name] = tried[-1]
            within = sorted((row for row in tried if not row.left_out), key=lambda row: -row.standing)
            if not within:
                raise PandaError(self._none_within(rows, failed))
            going = _survivors(within, rung.survivors, self.ms)
            for row in within:
                if row not in going:
                    rows[row.candidate.name] = replace(row, left_out=_why(within[0], row))
            left = [row.candidate for row in going]

    def _row(self, candidate: Candidate, number: int, rung: Rung, last: bool) -> Row:
        found = self._verdict(candidate, number, rung)
        slow = found.ms > self.ms * (1 if last else _SLACK)
        return Row(candidate, number, found, f"{found.ms:.1f} ms, more than {self.ms:g}" if slow else "")

    def _verdict(self, candidate: Candidate, number: int, rung: Rung) -> Verdict:
        key = f"{number}: {candidate.name}"
        found = self.state.get(key)
        if found is None:
            tried = self.open_look(candidate.look).try_out(
                candidate, rung.fitted, self.pictures.some(rung.normal, rung.painted)
            )
            found = verdict(tried, self.fpr, self.slowness)
            self.state.put(key, found)
        return found

    def _none_within(self, rows: dict[str, Row], failed: str) -> str:
        if not rows:
            return f"no candidate fits: {failed}"
        fastest = min(rows.values(), key=lambda row: row.verdict.ms)
        return (
            f"no candidate takes at most {self.ms:g} ms a picture; the fastest, {fastest.candidate.name}, takes "
            f"{fastest.verdict.ms:.1f}: give --ms {fastest.verdict.ms * 1.1:.2g} or more"
        )


def _why(best: Row, row: Row) -> str:
    """Why a row goes no further than the best."""
    ahead = row.verdict.score - best.verdict.score
    if ahead > 0:
        return f"{ahead:.3f} ahead of what is usual, which is no more than chance"
    return f"{-ahead:.3f} behind the best"


def _survivors(within: Sequence[Row], count: int, ms: float) -> list[Row]:
    """The best `count` of those surely within the time; and as many others, better than the last of these, whose
    measured time may be above it by noise. within: best first."""
    sure = [row for row in within if row.verdict.ms <= ms][:count]
    worst = sure[-1].standing if len(sure) == count else -1.0
    unsure = [row for row in within if row.verdict.ms > ms and row.standing > worst][:count]
    return [row for row in within if row in sure or row in unsure]
