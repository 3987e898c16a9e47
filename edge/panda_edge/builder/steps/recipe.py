"""What `fit` is asked to do about a step: the file of this folder that has the step's name ends in its `RECIPE`."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from panda_edge.builder.progress import Progress
from panda_edge.bundle.folder import Bundle
from panda_edge.process_group import ProcessGroup
from panda_edge.search.steps.step import Step


class Recipe(Protocol):
    """A dataclass of what is asked for; its defaults are those of `fit`.

    Attributes:
        name: The step's.
        after: Names of the steps that must come before it.
        tiles: Whether it is for tiles, too.
    """

    name: ClassVar[str]
    after: ClassVar[tuple[str, ...]]
    tiles: ClassVar[bool]

    def __init__(self) -> None: ...

    @classmethod
    def read(cls, plain: Any, where: str) -> Recipe:
        """From the object in a manifest's `export`. Raises BundleError."""

    def plain(self) -> dict[str, Any]:
        """As JSON has it, without the name."""

    def measure(self, bundle: Bundle, progress: Progress, group: ProcessGroup) -> Step | None:
        """Find the step's parameters, and write its files. All processes of the group call this; rank 0 writes.

        bundle: with the steps before this one. Returns None where the normal pictures tell nothing.
        """
