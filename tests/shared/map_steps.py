"""What tests ask of a bundle's steps of the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from panda_edge.builder.steps.border_gain import BorderGainRecipe
from panda_edge.builder.steps.context import ContextRecipe
from panda_edge.builder.steps.leave_one_out import LeaveOneOutRecipe
from panda_edge.bundle.manifest import read_manifest
from panda_edge.search.steps import checked_steps

NO_CONTEXT = LeaveOneOutRecipe(), BorderGainRecipe()


def with_context(weight: float) -> tuple[LeaveOneOutRecipe, BorderGainRecipe, ContextRecipe]:
    return *NO_CONTEXT, ContextRecipe(weight)


def steps_of(bundle: Path) -> dict[str, Any]:
    """The steps of a bundle's manifest by their names."""
    return {step.name: step for step in checked_steps(read_manifest(bundle), "m")}
