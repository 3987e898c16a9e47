"""What a visitor may decide: the rate, what a picture shows, and which bundle is at work. Each decision is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from panda_edge.errors import PandaError
from panda_edge.stream.bundles.better import BetterBundle
from panda_edge.stream.page.board import Board
from panda_edge.stream.page.visitors import Visitor


class Record(Protocol):
    """Is told of each decision: a line, and facts as JSON has them."""

    def __call__(self, text: str, **facts: Any) -> None: ...


def no_record(text: str, **facts: Any) -> None:
    """Keeps nothing."""


@dataclass(frozen=True)
class Decisions:
    """Methods raise PandaError where it cannot be, and then nothing is recorded."""

    board: Board
    set_fpr: Callable[[float], None]
    record: Record = no_record
    better: BetterBundle | None = None

    def rate(self, visitor: Visitor, fpr: float) -> None:
        before = self.board.about().get("promised")
        self.set_fpr(fpr)
        self._note(visitor, "rate", before, fpr)

    def label(self, visitor: Visitor, identity: str, label: str) -> dict[str, Any]:
        """`before` and `label`, as it is now."""
        labels = self._loop.labels
        known = labels.of(identity)
        picture = None if known is not None and known.file.is_file() else self.board.original(identity)
        before = labels.set(identity, label, visitor.name, picture)
        self._note(visitor, "label", before, label, frame_id=identity)
        return {"before": before, "label": label}

    def undo_label(self, visitor: Visitor, identity: str) -> dict[str, Any]:
        """`before` and `label`, as it is now; None where there is none."""
        before, label = self._loop.labels.undo(identity, visitor.name)
        self._note(visitor, "undo label", before, label, frame_id=identity)
        return {"before": before, "label": label}

    def attempt(self, visitor: Visitor) -> int:
        """How many pictures are to join."""
        return self._loop.attempt()

    def stop(self, visitor: Visitor) -> None:
        self._loop.stop()

    def apply(self, visitor: Visitor, sure: bool) -> dict[str, Any]:
        """What became of it."""
        before = self.board.about().get("id")
        done = self._loop.apply(visitor.name, sure)
        self._note(visitor, "apply bundle", before, done["bundle"], pictures=done["pictures"], sure=sure)
        return done

    def undo_bundle(self, visitor: Visitor) -> dict[str, Any]:
        """What became of it."""
        before = self.board.about().get("id")
        done = self._loop.undo()
        self._note(visitor, "undo bundle", before, done["bundle"], pictures=done["pictures"])
        return done

    def find_all(self, visitor: Visitor) -> int:
        """How many defects are to be found."""
        return self._loop.find_all()

    def request(self, visitor: Visitor) -> str:
        """The file's name."""
        path = self._loop.request(visitor.name)
        self._note(visitor, "request", None, str(path))
        return path.name

    @property
    def _loop(self) -> BetterBundle:
        if self.better is None:
            raise PandaError("no folder for labels; start with --save DIR or --collect DIR")
        return self.better

    def _note(self, visitor: Visitor, action: str, before: Any, after: Any, **more: Any) -> None:
        said = f"{visitor.name}: {action}, {_shown(before)} → {_shown(after)}"
        self.record(said, who=visitor.name, action=action, before=before, after=after, **more)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
