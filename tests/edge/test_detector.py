"""The detector against the definition: DN2 and SPADE in float64 numpy, worked out from the bundle's own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from PIL import Image

import panda_edge
from panda_edge.banks.embeddings import EMBEDDINGS_FILE
from panda_edge.bundle.manifest import read_manifest
from panda_edge.detector import STAGES
from panda_edge.errors import BundleError, PandaError
from reference_search import RELATIVE, Reference
from reference_steps import STEPS, squared_distances


@pytest.fixture(scope="module")
def test_images(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "test").rglob("*.png"))


def test_dn2_and_spade_by_brute_force(exact_bundle: Path, test_images: list[Path]) -> None:
    manifest = read_manifest(exact_bundle)
    reference = Reference(exact_bundle, manifest)
    bank = np.load(exact_bundle / EMBEDDINGS_FILE)
    assert [step["step"] for step in manifest.segmentation.steps] == [*STEPS]
    detector = panda_edge.load(exact_bundle, threads=2)
    for path in test_images[::3]:
        embedding, levels = reference.features(path)
        result = detector.segment(path)
        assert result.embedding_distance == pytest.approx(reference.score(embedding, bank), rel=RELATIVE)
        similar = np.argsort(squared_distances(embedding[None], bank)[0])[: manifest.segmentation.neighbors]
        expected = reference.heatmap(reference.after_steps(levels, similar))
        assert result.heatmap is not None
        np.testing.assert_allclose(result.heatmap, expected, rtol=RELATIVE)
        assert result.heatmap.max() == pytest.approx(expected.max(), rel=RELATIVE)


def test_means_by_brute_force(made_bundles: dict[str, Path], test_images: list[Path]) -> None:
    bundle = made_bundles["kmeans"]
    reference = Reference(bundle, read_manifest(bundle))
    descriptors = np.concatenate(reference.levels, axis=1)
    bank = np.load(bundle / EMBEDDINGS_FILE)
    detector = panda_edge.load(bundle, threads=2)
    for path in test_images[::4]:
        embedding, levels = reference.features(path)
        result = detector.segment(path)
        assert result.embedding_distance == pytest.approx(reference.score(embedding, bank), rel=RELATIVE)
        np.testing.assert_allclose(result.heatmap, reference.without_steps(levels, descriptors), rtol=RELATIVE)


def test_means_of_each_level_by_brute_force(made_bundles: dict[str, Path], test_images: list[Path]) -> None:
    bundle = made_bundles["kmeans-levels"]
    reference = Reference(bundle, read_manifest(bundle))
    means = reference.levels
    assert [len(level) for level in means] == [5, 5, 5]
    # Every combination of the levels' means is a joint descriptor.
    chosen = np.stack(np.meshgrid(*[np.arange(5)] * 3), axis=-1).reshape(-1, 3)
    descriptors = np.concatenate([level[column] for level, column in zip(means, chosen.T, strict=True)], axis=1)
    detector = panda_edge.load(bundle, threads=2)
    for path in test_images[::4]:
        expected = reference.without_steps(reference.features(path)[1], descriptors)
        np.testing.assert_allclose(detector.segment(path).heatmap, expected, rtol=RELATIVE)


def test_hnsw_finds_what_the_exact_search_finds(made_bundles: dict[str, Path], test_images: list[Path]) -> None:
    # A dozen vectors are within its reach: every answer must be the exact one.
    exact, hnsw = (panda_edge.load(made_bundles[bank], threads=1) for bank in ("exact", "hnsw"))
    for path in test_images:
        expected, found = exact.segment(path), hnsw.segment(path)
        assert found.score == pytest.approx(expected.score, rel=RELATIVE)
        np.testing.assert_allclose(found.heatmap, expected.heatmap, rtol=RELATIVE)


def test_kmeans_means_are_means(made_bundles: dict[str, Path]) -> None:
    bank = np.load(made_bundles["exact"] / EMBEDDINGS_FILE)
    means = np.load(made_bundles["kmeans"] / EMBEDDINGS_FILE)
    owner = squared_distances(bank, means).argmin(1)
    assert set(owner) == set(range(len(means)))
    for i, mean in enumerate(means):
        np.testing.assert_allclose(mean, bank[owner == i].mean(0), rtol=1e-4, atol=1e-5)


def test_a_normal_image_is_at_no_distance_from_its_bank(exact_bundle: Path, normal_images: list[Path]) -> None:
    detector = panda_edge.load(exact_bundle, threads=1)
    bank = np.load(exact_bundle / EMBEDDINGS_FILE)
    result = detector.segment(normal_images[3])
    second = np.sort(squared_distances(bank[3:4], bank)[0])[1]
    assert result.embedding_distance == pytest.approx(second / 2, rel=RELATIVE)  # knn 2: itself, and its nearest
    scale = panda_edge.load(exact_bundle).bundle.manifest.segmentation.normal_high
    assert result.heatmap.max() < 0.02 * scale  # float16 rounding of the stored levels


class TestBatches:
    def test_a_batch_is_its_images_one_by_one(self, any_bundle: Path, test_images: list[Path]) -> None:
        detector = panda_edge.load(any_bundle, threads=2)
        single = [detector.segment(path) for path in test_images]
        for size in (1, 4, 100):
            batch = list(detector.segment_batch(iter(test_images), batch_size=size))
            assert len(batch) == len(single)
            for one, other in zip(single, batch, strict=True):
                assert other.score == pytest.approx(one.score, rel=1e-4)
                np.testing.assert_allclose(other.heatmap, one.heatmap, rtol=1e-3)

    def test_detect_gives_segments_score_and_no_map(self, any_bundle: Path, test_images: list[Path]) -> None:
        detector = panda_edge.load(any_bundle, threads=1)
        detected = list(detector.detect_batch(test_images))
        for path, batched in zip(test_images, detected, strict=True):
            result = detector.detect(path)
            assert result.score == detector.segment(path).score
            assert batched.score == pytest.approx(result.score, rel=1e-4)
            assert result.heatmap is None
            with pytest.raises(ValueError, match="use segment"):
                result.heatmap_on_image()

    def test_none(self, exact_bundle: Path) -> None:
        assert list(panda_edge.load(exact_bundle).segment_batch([])) == []

    def test_a_batch_size_of_none_is_no_way_to_lose_images(self, exact_bundle: Path, test_images: list[Path]) -> None:
        for size in (0, -1):
            with pytest.raises(ValueError, match="batch_size"):
                list(panda_edge.load(exact_bundle).segment_batch(test_images, batch_size=size))


def test_a_path_a_pil_image_and_an_array_score_alike(exact_bundle: Path, odd_image: Path) -> None:
    detector = panda_edge.load(exact_bundle, threads=1)
    pil = Image.open(odd_image).convert("RGB")
    array = np.asarray(pil).copy()
    before = array.copy()
    results = [detector.segment(source) for source in (odd_image, str(odd_image), pil, array)]
    assert len({result.score for result in results}) == 1
    assert all((result.heatmap == results[0].heatmap).all() for result in results)
    assert (array == before).all()
    assert (np.asarray(pil) == before).all()


def test_threads_do_not_change_the_answer(any_bundle: Path, odd_image: Path) -> None:
    one, four = (panda_edge.load(any_bundle, threads=threads).segment(odd_image) for threads in (1, 4))
    assert four.score == pytest.approx(one.score, rel=1e-5)
    np.testing.assert_allclose(four.heatmap, one.heatmap, rtol=1e-4)


def test_what_a_result_tells(exact_bundle: Path, texture: Callable[..., np.ndarray]) -> None:
    result = panda_edge.load(exact_bundle, threads=1).segment(texture(90, 150))
    assert result.image_size == (150, 90)
    assert result.heatmap is not None
    assert (result.heatmap.dtype, result.heatmap.shape) == (np.float32, (64, 64))
    assert result.heatmap_on_image().shape == (90, 150)
    assert result.heatmap_on_image().max() == pytest.approx(result.heatmap.max(), rel=0.05)
    assert tuple(result.stages_ms) == STAGES
    assert all(ms >= 0 for ms in result.stages_ms.values())
    assert result.ms == pytest.approx(sum(result.stages_ms.values()))


def test_a_defect_shows_where_it_is(exact_bundle: Path, sample_data: Path) -> None:
    detector = panda_edge.load(exact_bundle, threads=1)
    found = 0
    for mask_path in sorted((sample_data / "ground_truth" / "hole").glob("*.png")):
        mask = np.asarray(Image.open(mask_path)) > 127
        heatmap = detector.segment(sample_data / "test" / "hole" / mask_path.name.replace("_mask", "")).heatmap
        assert heatmap is not None
        found += heatmap[mask].mean() > heatmap[~mask].mean()
    assert found >= 2  # of 3, by a network of random weights


class TestRefused:
    @pytest.mark.parametrize("threads", [0, -1, 257, 10**9])
    def test_threads(self, exact_bundle: Path, threads: int) -> None:
        with pytest.raises(PandaError, match=f"threads is {threads}"):
            panda_edge.load(exact_bundle, threads=threads)

    def test_an_unknown_provider(self, exact_bundle: Path) -> None:
        with pytest.raises(PandaError, match="unknown provider 'gpu'; expected one of cpu, cuda"):
            panda_edge.load(exact_bundle, provider="gpu")

    @pytest.mark.filterwarnings("ignore:Specified provider")
    def test_a_provider_that_falls_back_to_the_cpu(self, exact_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A build that has the provider, on a machine without its driver: onnxruntime itself goes on without it."""
        if "CUDAExecutionProvider" in ort.get_available_providers():
            pytest.skip("this onnxruntime has CUDA")
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
        with pytest.raises(PandaError, match="the cuda provider does not start here"):
            panda_edge.load(exact_bundle, provider="cuda")

    def test_an_absent_provider(self, exact_bundle: Path) -> None:
        if "CoreMLExecutionProvider" in ort.get_available_providers():
            pytest.skip("this onnxruntime has CoreML")
        with pytest.raises(PandaError, match="no coreml provider"):
            panda_edge.load(exact_bundle, provider="coreml")

    @pytest.mark.parametrize("epsilon", [-0.1, 2.0, float("nan")])
    def test_epsilon(self, exact_bundle: Path, epsilon: float) -> None:
        with pytest.raises(PandaError, match="epsilon"):
            panda_edge.load(exact_bundle, epsilon=epsilon)

    def test_a_bundle_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError):
            panda_edge.load(tmp_path / "none.panda")
