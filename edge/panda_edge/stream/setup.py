"""From what was asked for to open sources, every wrong option refused before the work begins."""

from __future__ import annotations

from collections.abc import Sequence

from panda_edge.errors import PandaError
from panda_edge.images.reading import Decode
from panda_edge.stream.frame import Source
from panda_edge.stream.passwords import without_password
from panda_edge.stream.sources.address import open_source
from panda_edge.stream.sources.folder import FolderSource


def open_sources(
    given: Sequence[str], once: bool, raw: tuple[int, int, int] | None, decode: Decode, new_only: bool = False
) -> list[Source]:
    """The sources named, each once. Raises PandaError."""
    if not given:
        raise PandaError("no source; give a camera, a video file, an address, a folder, or - for stdin")
    if raw is not None and "-" not in given:
        raise PandaError("--raw is about frames on stdin; give - as a source")
    for name in given:
        if list(given).count(name) > 1:
            raise PandaError(f"{without_password(name)}: given twice; once is enough")
    if new_only and once:
        raise PandaError("--new-only waits for what comes, and --once does not; leave one of them out")
    sources = [open_source(name, once, raw, decode, new_only) for name in given]
    if new_only and not any(isinstance(source, FolderSource) for source in sources):
        raise PandaError("--new-only is about folders; none of the sources is one")
    taken: dict[str, int] = {}
    for source in sources:  # two addresses may differ in what is not shown
        taken[source.name] = number = taken.get(source.name, 0) + 1
        source.name += f" #{number}" if number > 1 else ""
    return sources
