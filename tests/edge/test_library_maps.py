"""libpanda_edge's heat maps after every step: as Python's."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from map_steps import steps_of
from panda_edge import kernel
from panda_edge.banks.query import FrameFeatures
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import Level
from panda_edge.detector import load
from panda_edge.search import picture
from panda_edge.search.scoring import Scorer
from panda_edge.search.steps import STEPS
from panda_edge.search.steps.context import Context, context_levels

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What Python's context adds from now on."""
    seen: list[np.ndarray] = []
    excess = Context._excess

    def excess_of(self: Context, *about: Any) -> np.ndarray:
        seen.append(np.asarray(excess(self, *about)))
        return seen[-1]

    monkeypatch.setattr(Context, "_excess", excess_of)
    return seen


def test_a_large_defect(
    example: Any, bundle: Path, normal_images: list[Path], tmp_path: Path, added: list[np.ndarray]
) -> None:
    """Of a bundle as `fit` makes it: context finds it."""
    assert "context" in steps_of(bundle)
    smeared = np.asarray(Image.open(normal_images[0]).convert("RGB")).copy()
    smeared[12:52, 8:56] = smeared[12:52, 8:56].mean((0, 1))
    Image.fromarray(smeared).save(tmp_path / "smeared.png")
    example.compare(load(bundle, 1), [normal_images[0], tmp_path / "smeared.png"], tmp_path / "features")
    assert (added[-1] > 0).sum() > 20


LEVELS = (Level(32, 2, 3, 6), Level(16, 4, 6, 7), Level(8, 8, 12, 5), Level(4, 16, 24, 3))


def random_bundle(path: Path, edit: Callable[..., None], levels: tuple[Level, ...], maps: dict[str, Any]) -> None:
    """Make a bundle one of frames of 64 × 96 pixels, its banks of random numbers and without calibration."""
    images, random = 6, np.random.default_rng(0)

    def stored(name: str, values: np.ndarray) -> None:
        np.save(path / "bank" / name, values)

    gallery: list[kernel.Rows] = []
    shutil.rmtree(path / "bank")
    (path / "bank").mkdir()
    stored("embeddings.npy", random.standard_normal((images, 12)).astype(np.float32))
    for level in levels:
        values = random.standard_normal((images, level.height * level.width, level.channels)).astype(np.float32)
        if maps["dtype"] == "uint8":
            values, scales = kernel.quantise_rows(values)
            stored(f"stride{level.stride:02d}_rows.npy", scales)
        stored(f"stride{level.stride:02d}.npy", values.astype(maps["dtype"]))
        gallery.append((values, scales) if maps["dtype"] == "uint8" else values.astype(maps["dtype"]))
    averages = {name: np.empty((images, *shape), dtype) for name, (shape, dtype) in context_levels(levels).items()}
    kernel.gallery_averages(gallery, (levels[0].height, levels[0].width), [*averages.values()])
    for name, (shape, dtype) in {
        name: one for step in STEPS.values() for name, one in step.files(levels).items()
    }.items():
        stored(Path(name).name, averages.get(name, random.random((images, *shape)).astype(dtype)))

    def change(plain: dict[str, Any]) -> None:
        plain["preprocessing"].update(height=64, width=96)
        plain["levels"] = [dataclasses.asdict(level) for level in levels]
        plain["detection"].update(count=images)
        plain["segmentation"].update(count=images, sigma=2, **maps)
        plain["calibration"] = None

    edit(path, change, reseal=True)


OWN = {"step": "leave-one-out", "share": 0.5}
GAIN = {"step": "border-gain", "gains": [1.5, 1.25]}


def context(factor: float = 2, floor: float = 2, above: float = 2.5, share: float = 0.5) -> dict[str, Any]:
    return {"step": "context", "factor": factor, "floor": floor, "above": above, "share": share}


@pytest.mark.parametrize(
    ("levels", "steps", "maps"),
    [
        (LEVELS[3:], [OWN, GAIN, context(9, 0.1, 0.1)], {"dtype": "float16"}),
        (LEVELS[2:], [GAIN, context(2, 1, 2, share=0)], {"dtype": "float32"}),
        (LEVELS[1:], [OWN, GAIN, context()], {"dtype": "uint8", "window": 1}),
        (LEVELS[1:], [OWN, GAIN, context()], {"dtype": "float16"}),
        (LEVELS[1:], [context(), OWN, context(1, 1), GAIN, OWN], {"dtype": "float16"}),
        (LEVELS, [OWN, GAIN, context()], {"dtype": "float32"}),
        (LEVELS, [OWN, GAIN], {"dtype": "uint8"}),
        (LEVELS[1:], [], {"dtype": "float16"}),
    ],
)
def test_shapes_and_types(
    example: Any,
    bundle_copy: Callable[..., Path],
    edit_manifest: Callable[..., None],
    tmp_path: Path,
    added: list[np.ndarray],
    levels: tuple[Level, ...],
    steps: list[dict[str, Any]],
    maps: dict[str, Any],
) -> None:
    """One to four levels, sides that differ, each type of bank, steps in any order."""
    path = bundle_copy("exact")
    random_bundle(path, edit_manifest, levels, {"steps": steps, **maps})
    bundle, random = open_bundle(path), np.random.default_rng(1)
    found = bundle.manifest
    view = found.preprocessing.view((96, 64))
    embedding = random.standard_normal(found.embedding_size).astype(np.float32)
    shapes = [(level.height * level.width, level.channels) for level in levels]
    features = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    scored = picture.joined(view, [Scorer(bundle, 1).score(FrameFeatures(embedding, features))], found.segmentation)
    assert scored.heatmap is not None
    if any(step["step"] == "context" for step in steps):
        assert 0 < (added[-1] > 0).mean() < 1
    np.concatenate([embedding, *(level.ravel() for level in features)]).tofile(tmp_path / "features")
    (score, distance, p_value), *_ = example.said(path, tmp_path / "features")
    np.testing.assert_allclose([score, distance], [scored.heatmap.max(), scored.score], rtol=1e-5)
    assert np.isnan(p_value)
    drawn = np.fromfile(tmp_path / "features.maps", np.float32).reshape(scored.heatmap.shape)
    np.testing.assert_allclose(drawn, scored.heatmap, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({**OWN, "share": 1.5}, "share is not a number from 0 to 1"),
        ({"step": "border-gain"}, "gains is missing"),
        ({**GAIN, "gains": [1.5, -1]}, "gains is not a list of at most 64 numbers"),
        ({**GAIN, "gains": [1.5] * 65}, "gains is not a list of at most 64 numbers"),
        ({**GAIN, "gains": {"a": 1}}, "gains is not a list of at most 64 numbers"),
        ({"step": "context", "factor": 1, "floor": 1}, "above is not a number"),
        ({"step": "context", "factor": 1}, "floor is not a number from 0 to 1e+12"),
        (context(1, 1e300), "floor is not a number"),
        (context(-1), "factor is not a number from 0 to 1e+06"),
        ({**context(), "factor": "2"}, "factor is not a number"),
        (context(np.nan), "not the JSON of a manifest"),
        ({**context(), "share": None}, "share is not a number"),
    ],
)
def test_wrong_parameters(
    example: Any, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], step: Any, expected: str
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(steps=[OWN, step]))
    assert expected in example.refusal(bundle)


def test_a_gaussian_bank_has_no_steps(
    example: Any, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None]
) -> None:
    bundle = bundle_copy("gaussian")
    edit_manifest(bundle, lambda plain: plain["segmentation"].update(steps=[GAIN]))
    assert "steps of a gaussian bank; expected an exact one" in example.refusal(bundle)


@pytest.mark.parametrize("damage", ["none", "coarser", "float32", "short"])
def test_wrong_leave_one_out_distances_of_context(
    example: Any, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], damage: str
) -> None:
    """With size and hash as the manifest has them."""
    bundle = bundle_copy("exact")
    path = bundle / "bank" / "context_leave_one_out.npy"
    own = np.load(path)
    if damage == "none":
        path.unlink()
        assert "context_leave_one_out.npy: cannot be read" in example.refusal(bundle)
        edit_manifest(bundle, reseal=True)
        assert "context_leave_one_out.npy is missing" in example.refusal(bundle)
        return
    whole = path.read_bytes()
    np.save(path, own[:, ::2, ::2] if damage == "coarser" else own.astype(np.float32))
    if damage == "short":
        path.write_bytes(whole[:-2])
    edit_manifest(bundle, reseal=True)
    assert "context_leave_one_out.npy: not the array of <f2" in example.refusal(bundle)
