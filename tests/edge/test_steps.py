"""The steps that a manifest lists: run in their order, checked by themselves, refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import panda_edge
import reference_steps
from map_steps import steps_of
from panda_edge.banks.exact import Exact
from panda_edge.banks.gaussian import Gaussian
from panda_edge.banks.kmeans import KMeans
from panda_edge.builder.steps import RECIPES, check_recipes, default_recipes, read_recipes
from panda_edge.builder.steps.border_gain import BorderGainRecipe
from panda_edge.builder.steps.context import ContextRecipe
from panda_edge.builder.steps.leave_one_out import LeaveOneOutRecipe
from panda_edge.bundle.manifest import MANIFEST_NAME, read_manifest
from panda_edge.errors import BundleError, PandaError
from panda_edge.inspect.info import describe, describe_in_words
from panda_edge.search.steps import STEPS, written

Edit = Callable[..., None]
CONTEXT = {"step": "context", "factor": 1.0, "floor": 1.0, "above": 1.0, "share": 0.5}


def test_every_step_can_be_made_and_has_a_slow_reference() -> None:
    assert [*STEPS] == [*RECIPES] == [*reference_steps.STEPS]


def test_a_manifest_gives_back_what_it_was_given(exact_bundle: Path) -> None:
    manifest = read_manifest(exact_bundle)
    assert [step["step"] for step in manifest.segmentation.steps] == [*STEPS]
    for step in manifest.segmentation.steps:
        name = step["step"]
        assert {"step": name, **written(steps_of(exact_bundle)[name])} == step
    assert read_recipes(manifest, "m") == default_recipes(Exact, tiled=False)


def test_info_says_them_in_order(exact_bundle: Path) -> None:
    said = describe_in_words(describe(exact_bundle))
    words = "less 0.35 of the match's leave-one-out distance, divided by the border gain, context added"
    assert words in said


def test_they_run_in_the_manifests_order(
    bundle_copy: Callable[..., Path], edit_manifest: Edit, odd_image: Path
) -> None:
    bundle = bundle_copy("exact")
    one = panda_edge.load(bundle).segment(odd_image).heatmap
    edit_manifest(bundle, lambda plain: plain["segmentation"]["steps"].reverse(), reseal=True)
    assert abs(panda_edge.load(bundle).segment(odd_image).heatmap - one).max() > 1e-3


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "sharpen"}, "unknown step 'sharpen', this panda-edge has leave-one-out, .*; update panda-edge"),
        ({"share": 0.5}, r"steps\[0\]: step is None, expected a string"),
        ("context", r"steps\[0\] is 'context', expected an object"),
        ({"step": "leave-one-out"}, "leave-one-out: share is None, expected a number from 0 to 1"),
        ({"step": "leave-one-out", "share": 1.5}, "share is 1.5, expected a number from 0 to 1"),
        ({"step": "border-gain", "gains": [1.0] * 65}, "gains has 65 numbers; expected at most 64"),
        ({"step": "border-gain", "gains": [0.0]}, r"gains\[0\] is 0.0, expected a number from 1 to 16"),
        ({"step": "border-gain", "gains": [1.0, math.nan]}, r"gains\[1\] is nan|not valid JSON"),
        ({"step": "border-gain", "gains": ["1"]}, r"gains\[0\] is '1'"),
        ({"step": "border-gain", "gains": 1.5}, "gains is 1.5, expected a list"),
        ({**CONTEXT, "factor": -1}, "context: factor is -1, expected a number from 0 to 1e"),
        ({**CONTEXT, "floor": "1"}, "context: floor is '1'"),
        ({**CONTEXT, "above": None}, "context: above is None"),
        ({**CONTEXT, "share": 2}, "context: share is 2"),
    ],
)
def test_a_wrong_step_is_refused(
    bundle_copy: Callable[..., Path], edit_manifest: Edit, step: Any, message: str
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(steps=[step]), reseal=True)
    for look in (panda_edge.load, describe):
        with pytest.raises(BundleError, match=message):
            look(bundle)


@pytest.mark.parametrize("name", ["discount", "evened", "wide"])
def test_a_field_of_older_bundles(bundle_copy: Callable[..., Path], edit_manifest: Edit, name: str) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update({name: 0.35}), reseal=True)
    with pytest.raises(BundleError, match=f"segmentation: {name} is a field of older bundles; fit the bundle again"):
        panda_edge.load(bundle)


def test_more_steps_than_there_may_be(bundle_copy: Callable[..., Path], edit_manifest: Edit) -> None:
    bundle = bundle_copy("exact")
    step = {"step": "leave-one-out", "share": 0.5}
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(steps=[step] * 16), reseal=True)
    panda_edge.load(bundle)
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(steps=[step] * 17), reseal=True)
    with pytest.raises(BundleError, match="17 steps; expected at most 16"):
        panda_edge.load(bundle)


@pytest.mark.parametrize(
    "step", [{"step": "leave-one-out", "share": 0.5}, {"step": "border-gain", "gains": [1.5]}, CONTEXT]
)
def test_another_bank_has_no_such_step(
    bundle_copy: Callable[..., Path], edit_manifest: Edit, step: dict[str, Any]
) -> None:
    bundle = bundle_copy("gaussian")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(steps=[step]), reseal=True)
    with pytest.raises(BundleError, match=rf"steps\[0\]: {step['step']} of a gaussian bank; expected an exact one"):
        panda_edge.load(bundle)


def test_a_missing_file_is_named(bundle_copy: Callable[..., Path]) -> None:
    bundle = bundle_copy("exact")
    for step in STEPS.values():
        for name in step.files(read_manifest(bundle).levels):
            hidden = (bundle / name).rename(bundle / "hidden")
            with pytest.raises(BundleError, match=rf"{name}: missing"):
                panda_edge.load(bundle)
            hidden.rename(bundle / name)


@pytest.mark.parametrize(
    ("recipes", "tiled", "message"),
    [
        ((BorderGainRecipe(),), False, "step border-gain: expected leave-one-out before it"),
        ((BorderGainRecipe(), LeaveOneOutRecipe()), False, "step border-gain: expected leave-one-out before it"),
        ((LeaveOneOutRecipe(), BorderGainRecipe()), True, "step border-gain: expected whole pictures, got tiles"),
    ],
)
def test_recipes_that_do_not_go_together(recipes: Any, tiled: bool, message: str) -> None:
    with pytest.raises(PandaError, match=message):
        check_recipes(recipes, Exact, tiled)


@pytest.mark.parametrize("weight", [-1.0, 101.0, math.nan])
def test_weights_that_are_none(weight: float) -> None:
    with pytest.raises(PandaError, match=r"context weight is .*; expected 0 to 100"):
        ContextRecipe(weight)


def test_what_is_made_by_default() -> None:
    whole, tiles = (default_recipes(Exact, tiled) for tiled in (False, True))
    assert whole[:3] == (LeaveOneOutRecipe(0.35), BorderGainRecipe(), ContextRecipe(0.5))
    assert tiles[:2] == (LeaveOneOutRecipe(0.35), ContextRecipe(0.5))
    assert default_recipes(Gaussian, tiled=False) == default_recipes(KMeans, tiled=True) == ()


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("context", "recipe: steps"),
        ([{"step": "sharpen"}], r"recipe: steps\[0\] is .*sharpen.*expected one of leave-one-out"),
        ([{"step": ["context"]}], r"recipe: steps\[0\] is .*context"),
        ([{"step": "leave-one-out", "share": 2}], "share is 2"),
        ([{"step": "context", "weight": -1, "share": 0.5}], "weight is -1"),
        ([], "recipe.steps does not say how step leave-one-out is made; fit again"),
    ],
)
def test_wrong_recipes(exact_bundle: Path, tmp_path: Path, listed: Any, message: str) -> None:
    plain = json.loads((exact_bundle / MANIFEST_NAME).read_text())
    plain["recipe"]["steps"] = listed
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(plain))
    with pytest.raises(PandaError, match=message):
        read_recipes(read_manifest(tmp_path), "m")
