"""What `fit` says of its pictures: `panda-train check` in short, from what it reads anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.banks.embeddings import stored_embeddings
from panda_edge.builder.copies import Distinct, taken_once
from panda_edge.bundle.folder import open_bundle
from panda_train.check.findings import quality_findings
from panda_train.check.looks import Look, Place, looks_at
from panda_train.check.unlike import NEIGHBOURS, apart, far
from panda_train.data.folders import GOOD
from panda_train.data.headers import headers_of
from panda_train.progress import show

_NAMED = 3  # pictures that a line names


@dataclass(frozen=True)
class Seen:
    """distinct: the pictures without copies. unreadable: those that cannot be read, which stay among them. lines: what
    was seen, one of counts where a picture is odd, and one of copies; none where nothing is."""

    distinct: Distinct
    unreadable: frozenset[Path]
    lines: tuple[str, ...]


def look_through(images: Sequence[Path]) -> Seen:
    """Look at normal pictures, each of which is decoded once."""
    places = [Place(path, "train", GOOD, False) for path in images]
    looks = [look for look, _ in show(looks_at(places, headers_of(images).white), "look", len(places))]
    distinct = taken_once(images, [look.colours for look in looks])
    unreadable = frozenset(look.place.path for look in looks if look.error)
    return Seen(distinct, unreadable, tuple(line for line in (_counted(looks), distinct.said) if line))


def _counted(looks: Sequence[Look]) -> str:
    """Empty where nothing is odd: the summary of `fit` counts the pictures in any case."""
    readable = [look for look in looks if not look.error]
    parts = []
    if len(readable) < len(looks):
        parts.append(f"{len(looks) - len(readable)} cannot be read")
    for finding in quality_findings(readable):
        parts.append(f"{len(finding.paths)} {finding.kind} ({_named(finding.paths)})")
    return f"check: {', '.join([f'{len(looks)} pictures', *parts])}" if parts else ""


def far_from_others(bundle: Path, images: Sequence[Path]) -> list[str]:
    """A line of normal pictures that are far from all others; none where there are none, or where the bundle's bank
    does not hold one embedding of each of `images`, in their order. Raises BundleError."""
    opened = open_bundle(bundle)
    stored = stored_embeddings(opened)
    if stored is None or len(stored) != len(images) or len(images) <= NEIGHBOURS:
        return []
    lengths = np.maximum(np.linalg.norm(stored, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    found = far(images, apart(np.ascontiguousarray(stored / lengths)))
    return [f"check: {finding.text}: {_named(finding.paths)}" for finding in found]


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "")
