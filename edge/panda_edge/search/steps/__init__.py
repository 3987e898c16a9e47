"""The steps from searched distances to a heat map: the manifest lists them, and they run in that order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from panda_edge.banks.bank import SearchOptions
from panda_edge.banks.query import Found, Query
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, Manifest
from panda_edge.errors import BundleError
from panda_edge.search.steps.border_gain import BorderGain
from panda_edge.search.steps.context import Context
from panda_edge.search.steps.leave_one_out import LeaveOneOut
from panda_edge.search.steps.step import Step

_EVERY: tuple[type[Step], ...] = (LeaveOneOut, BorderGain, Context)
STEPS = {step.name: step for step in _EVERY}
"""What `segmentation.steps` may name; a new step is a row here."""


def read_steps(plain: Sequence[Mapping[str, Any]], where: str) -> list[Step]:
    """The steps of a manifest's list. Raises BundleError: an unknown name, a parameter out of range."""
    found = []
    for i, one in enumerate(plain):
        step = STEPS.get(one["step"])
        if step is None:
            raise BundleError(
                f"{where}: steps[{i}]: unknown step {one['step']!r:.60}, this panda-edge has {', '.join(STEPS)}; "
                "update panda-edge"
            )
        found.append(step.read(one, f"{where}: steps[{i}]: {step.name}"))
    return found


def checked_steps(manifest: Manifest, where: str) -> list[Step]:
    """The manifest's steps, each fit for its bank. Raises BundleError."""
    where = f"{where}: segmentation"
    steps = read_steps(manifest.segmentation.steps, where)
    for i, step in enumerate(steps):
        step.check(manifest, f"{where}: steps[{i}]: {step.name}")
    return steps


def written(step: Step) -> dict[str, Any]:
    """A step as the manifest lists it."""
    parameters = dataclasses.asdict(step)  # type: ignore[call-overload]
    return {"step": step.name, **{k: [*v] if isinstance(v, tuple) else v for k, v in parameters.items()}}


def open_steps(bundle: Bundle, options: SearchOptions) -> Callable[[Found, Query], np.ndarray]:
    """What turns a search's answer into L2 distances, float32 (height, width), by all steps. Raises BundleError."""
    steps = checked_steps(bundle.manifest, str(bundle.path / MANIFEST_NAME))
    opened = [step.open(bundle, options) for step in steps]

    def apply(found: Found, query: Query) -> np.ndarray:
        distances: np.ndarray = np.sqrt(found.squared)
        for step in opened:
            distances = step(distances, found, query)
        return distances

    return apply
