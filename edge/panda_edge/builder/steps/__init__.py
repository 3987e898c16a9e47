"""The steps of the heat map as `fit` and `extend` make them: each is measured on maps with the steps before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from panda_edge.banks import BANKS
from panda_edge.banks.bank import Bank
from panda_edge.builder.bundle_writer import with_new_files
from panda_edge.builder.progress import Progress
from panda_edge.builder.steps.recipe import Recipe
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.errors import BundleError, PandaError
from panda_edge.process_group import ALONE, ProcessGroup
from panda_edge.search.steps import STEPS, checked_steps, written
from panda_edge.search.steps.step import Step


def _recipe(step: str) -> type[Recipe]:
    """`RECIPE` of the file in this folder that has the step's name."""
    found: type[Recipe] = import_module(f"{__name__}.{step.replace('-', '_')}").RECIPE
    return found


RECIPES = {step: _recipe(step) for step in STEPS}
"""What can be asked for."""


def default_recipes(bank: type[Bank], tiled: bool) -> tuple[Recipe, ...]:
    """What `fit` asks for where it is not told: of a bank that stores frames every step, in the order of `STEPS`."""
    if not bank.traits.stores_frames:
        return ()
    return tuple(recipe() for recipe in RECIPES.values() if recipe.tiles or not tiled)


def check_recipes(recipes: Sequence[Recipe], bank: type[Bank], tiled: bool) -> None:
    """Raise PandaError where a bundle like this cannot have these steps, in this order."""
    names = [recipe.name for recipe in recipes]
    if names and not bank.traits.stores_frames:
        raise PandaError(f"step {names[0]} of a {bank.name} bank; expected an exact or hnsw bank, or no steps")
    for i, recipe in enumerate(recipes):
        missing = [name for name in recipe.after if name not in names[:i]]
        if missing:
            raise PandaError(f"step {recipe.name}: expected {missing[0]} before it")
        if tiled and not recipe.tiles:
            raise PandaError(f"step {recipe.name}: expected whole pictures, got tiles")


def read_recipes(manifest: Manifest, where: str) -> tuple[Recipe, ...]:
    """What the bundle was fitted with, of its `recipe.steps`. Raises BundleError, PandaError."""
    steps = checked_steps(manifest, where)
    found: list[Recipe] = []
    for i, one in enumerate(manifest.recipe.steps):
        name = one.get("step")
        if not isinstance(name, str) or name not in RECIPES:
            raise BundleError(f"{where}: recipe: steps[{i}] is {one!r:.60}, expected one of {', '.join(RECIPES)}")
        found.append(RECIPES[name].read(one, f"{where}: recipe: steps[{i}]: {name}"))
    check_recipes(found, BANKS[manifest.segmentation.bank], manifest.preprocessing.tiles is not None)
    for step in steps:
        if step.name not in {recipe.name for recipe in found}:
            raise PandaError(f"{where}: recipe.steps does not say how step {step.name} is made; fit again")
    return tuple(found)


def recipes_as_json(recipes: Sequence[Recipe]) -> tuple[dict[str, Any], ...]:
    """For `recipe.steps`."""
    return tuple({"step": recipe.name, **recipe.plain()} for recipe in recipes)


def with_steps(
    staging: Path, manifest: Manifest, recipes: Sequence[Recipe], progress: Progress, group: ProcessGroup = ALONE
) -> Manifest:
    """The manifest with the steps that the recipes ask for, their files written; all processes of the group call this.

    manifest: lists the banks' files as they are now.
    """
    manifest = dataclasses.replace(manifest, segmentation=dataclasses.replace(manifest.segmentation, steps=()))
    for recipe in recipes:
        step = recipe.measure(Bundle(staging, manifest), progress, group)
        manifest = group.on_rank_zero(partial(_with_step, staging, manifest, step))
    return manifest


def _with_step(staging: Path, manifest: Manifest, step: Step | None) -> Manifest:
    if step is None:
        return manifest
    maps = manifest.segmentation
    segmentation = dataclasses.replace(maps, steps=(*maps.steps, written(step)))
    return with_new_files(staging, dataclasses.replace(manifest, segmentation=segmentation))
