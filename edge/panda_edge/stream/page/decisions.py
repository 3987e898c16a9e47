"""What a visitor may decide: the rate, and what was normal after all. Each decision is recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

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

    def rate(self, visitor: Visitor, fpr: float) -> None:
        before = self.board.about().get("promised")
        self.set_fpr(fpr)
        self._note(visitor, "rate", before, fpr)

    def normal(self, visitor: Visitor, identity: str) -> str:
        """The file that was written."""
        path = str(self.board.keep_as_normal(identity))
        self._note(visitor, "normal", None, path, frame_id=identity)
        return path

    def undo_normal(self, visitor: Visitor, identity: str) -> str:
        """The file that was removed."""
        path = str(self.board.undo_normal(identity))
        self._note(visitor, "undo normal", path, None, frame_id=identity)
        return path

    def _note(self, visitor: Visitor, action: str, before: Any, after: Any, **more: Any) -> None:
        said = f"{visitor.name}: {action}, {_shown(before)} → {_shown(after)}"
        self.record(said, who=visitor.name, action=action, before=before, after=after, **more)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
