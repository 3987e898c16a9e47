"""onnxruntime's execution providers: each that this onnxruntime has gives the processor's verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import panda_edge
from panda_edge.bundle.model import PROVIDERS, Model
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import BundleError, PandaError

FEATURES = 1e-3  # of an output's largest magnitude: what an export may differ from torch by
SCORES = 1e-2


@pytest.fixture(params=[name for name in PROVIDERS if name != "cpu"])
def provider(request: pytest.FixtureRequest, exact_bundle: Path) -> str:
    """A provider that starts here."""
    name = str(request.param)
    if PROVIDERS[name] not in ort.get_available_providers():
        pytest.skip(f"this onnxruntime has no {name} provider")
    try:
        Model(exact_bundle / MODEL_FILE, 1, name)
    except PandaError as error:
        pytest.skip(f"no device or driver for it: {error}")
    return name


def frames_of(bundle: Path, paths: list[Path]) -> np.ndarray:
    preprocessing = panda_edge.load(bundle).preprocessing
    return np.stack([preprocessing.apply(path) for path in paths])


@pytest.mark.parametrize("batch", [1, 3])
def test_its_features_are_the_processor_s(
    provider: str, exact_bundle: Path, normal_images: list[Path], batch: int
) -> None:
    frames = frames_of(exact_bundle, normal_images[:batch])
    usual, other = (Model(exact_bundle / MODEL_FILE, 1, name).run(frames) for name in ("cpu", provider))
    for one, two in zip((usual.embedding, *usual.levels), (other.embedding, *other.levels), strict=True):
        assert two.shape == one.shape
        assert np.abs(one - two).max() <= FEATURES * np.abs(one).max()


def test_its_verdicts_are_the_processor_s(
    provider: str, calibrated_bundles: dict[str, Path], sample_data: Path
) -> None:
    bundle = calibrated_bundles["exact"]
    usual, other = panda_edge.load(bundle), panda_edge.load(bundle, provider=provider)
    for path in sorted((sample_data / "test").rglob("*.png")):
        one, two = usual.segment(path), other.segment(path)
        assert two.score == pytest.approx(one.score, rel=SCORES)
        assert two.anomalous == one.anomalous


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_bound_outputs_are_the_same(exact_bundle: Path, batch: int) -> None:
    """As on a GPU: outputs straight into our arrays. onnxruntime does that on the processor, too."""
    frames = np.random.default_rng(batch).integers(0, 256, (batch, *input_of(exact_bundle), 3), dtype=np.uint8)
    plain, bound = (Model(exact_bundle / MODEL_FILE, 1, bound=given) for given in (False, True))
    usual, found, again = plain.run(frames), bound.run(frames), bound.run(frames[::-1])
    for one, two, other in zip(
        (usual.embedding, *usual.levels),
        (found.embedding, *found.levels),
        (again.embedding, *again.levels),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)  # and the second run, of strided frames, wrote elsewhere
        np.testing.assert_allclose(other[::-1], one, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def test_bound_outputs_refuse_what_the_model_does_not_take(exact_bundle: Path) -> None:
    model = Model(exact_bundle / MODEL_FILE, 1, bound=True)
    with pytest.raises(BundleError, match="the model failed"):
        model.run(np.zeros((1, 8, 8, 3), np.uint8))


def input_of(bundle: Path) -> tuple[int, int]:
    preprocessing = panda_edge.load(bundle).preprocessing
    return preprocessing.height, preprocessing.width
