"""libpanda_edge: what a C program says of a frame is what Python says; other bundles are refused in one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panda_edge.bundle.folder import open_bundle
from panda_edge.detector import Detector, load
from panda_edge.images.inputs import images_below

LIBRARY = Path(__file__).parents[2] / "edge" / "kernel" / "library"
SANITIZED = LIBRARY.parents[2] / "build" / "c-test" / "asan" / "example"  # where `make c-test` has built it

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    subprocess.run(["make", "-s", "-C", LIBRARY, f"BUILD={folder}", "CFLAGS=-O1"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def example(built: Path) -> Path:
    return SANITIZED if SANITIZED.exists() else built / "example"


def said(example: Path, bundle: Path, features: Path, threads: int = 2) -> np.ndarray:
    done = subprocess.run([example, bundle, features, str(threads)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.array([[float(number) for number in line.split()] for line in done.stdout.splitlines()])


def refusal(example: Path, bundle: Path) -> str:
    done = subprocess.run([example, bundle, os.devnull, "1"], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    return line.removeprefix("error: ")


def compare(example: Path, detector: Detector, images: list[Path], features: Path) -> None:
    """Score, heat map and p-value of each image, from its features, in C and in Python."""
    shape = detector.preprocessing
    results = []
    with features.open("wb") as stream:
        for image in images:
            result = detector.segment(image)
            found = detector.features(shape.apply(image)[None])
            for part in (found.embedding, *found.levels):
                stream.write(np.ascontiguousarray(part[0], np.float32).tobytes())
            results.append((result.score, result.map_score, np.nan if result.p_value is None else result.p_value))
            np.testing.assert_array_equal(result.heatmap.shape, (shape.height, shape.width))
    found = said(example, detector.bundle.path, features)
    np.testing.assert_allclose(found, results, rtol=1e-5)
    maps = np.fromfile(f"{features}.maps", np.float32).reshape(-1, shape.height, shape.width)
    for image, drawn in zip(images, maps, strict=True):
        np.testing.assert_allclose(drawn, detector.segment(image).heatmap, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bank", ["exact", "gaussian"])
def test_it_says_what_python_says(
    example: Path,
    calibrated_bundles: dict[str, Path],
    normal_images: list[Path],
    odd_image: Path,
    tmp_path: Path,
    bank: str,
) -> None:
    compare(example, load(calibrated_bundles[bank], 1), [*normal_images[:3], odd_image], tmp_path / "features")


def test_on_real_features(example: Path, bundle: Path, sample_data: Path, tmp_path: Path) -> None:
    """The default backbone's, fitted by the command."""
    compare(example, load(bundle, 1), images_below(sample_data / "test"), tmp_path / "features")


def test_on_real_pictures(example: Path, real_data: Path, tmp_path: Path) -> None:
    given = os.environ.get("PANDA_BUNDLE")
    if not given:
        pytest.skip("needs a bundle of the tile data: set PANDA_BUNDLE")
    compare(example, load(given, 1), images_below(real_data / "tile" / "test")[::20], tmp_path / "features")


def test_bundles_that_it_cannot_search(example: Path, made_bundles: dict[str, Path]) -> None:
    for bank, path in made_bundles.items():
        plain = open_bundle(path).manifest
        if plain.segmentation.bank not in ("exact", "gaussian") or plain.detection.bank == "hnsw":
            assert "libpanda_edge takes" in refusal(example, path), bank


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda plain: plain.update(magic="PK"), "magic is PK"),
        (lambda plain: plain.update(format_version=6), "format_version is not a whole number from 1 to 5"),
        (lambda plain: plain["segmentation"].update(evened=[1.5, -1]), "evened is not a list of at most 64 numbers"),
        (lambda plain: plain["segmentation"].update(evened=[1.5] * 65), "evened is not a list of at most 64 numbers"),
        (lambda plain: plain["segmentation"].update(evened={"a": 1}), "evened is not a list of at most 64 numbers"),
        (lambda plain: plain["preprocessing"].update(tiles={"overlap": 0, "scale": 1}), "a bundle of tiles"),
        (lambda plain: plain["preprocessing"].update(resize="fit"), "takes squash and crop"),
        (lambda plain: plain.update(roi={"file": "roi.png", "inside": 0.5}), "takes whole pictures"),
        (lambda plain: plain.update(roi={"file": "roi.png", "inside": 1.0}), "a region of interest"),
        (lambda plain: plain.update(levels=[]), "levels: expected 1 to 4"),
        (lambda plain: plain["levels"][1].update(height=3), "not twice"),
        (lambda plain: plain["levels"][2].update(channels=2**40), "channels is not a whole number"),
        (lambda plain: plain["levels"][2].update(channels=4), "stride04.npy: not the array"),
        (lambda plain: plain["detection"].update(count=10**9), "not a whole number|not the array|images in one bank"),
        (lambda plain: plain["detection"].update(scoring="graph"), "scores by the bank alone"),
        (lambda plain: plain["segmentation"].update(dtype="float64"), "dtype is float64"),
        (lambda plain: plain["segmentation"].update(sigma="4"), "sigma is not a number"),
        (lambda plain: plain.update(calibration={"rule": "top1", "images": 3}), "takes max and embedding"),
        (lambda plain: plain.update(calibration={"rule": "max", "images": 3}), "calibration.npy"),
    ],
)
def test_wrong_manifests(
    example: Path, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], change: Any, expected: str
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, change)
    assert any(part in refusal(example, bundle) for part in expected.split("|"))


@pytest.mark.parametrize("bank", ["exact", "gaussian"])
def test_an_altered_byte_is_one_line(example: Path, bundle_copy: Callable[..., Path], bank: str) -> None:
    """Of every array that it reads, the first number's last bit: only the hash can tell."""
    bundle = bundle_copy(bank)
    read = [path for path in bundle.glob("bank/*.npy") if path.name != "pictures.npy"]  # `extend` alone reads that
    arrays = sorted(read) + sorted(bundle.glob("calibration.npy"))
    assert len(arrays) >= 3
    for path in arrays:
        whole = path.read_bytes()
        path.write_bytes(whole[:128] + bytes([whole[128] ^ 1]) + whole[129:])
        assert (
            refusal(example, bundle) == f"{path}: its sha256 is not the manifest's; altered or damaged, copy it again"
        )
        path.write_bytes(whole)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_scores_that_cannot_be(
    example: Path, calibrated_bundles: dict[str, Path], edit_manifest: Callable[..., None], tmp_path: Path, value: float
) -> None:
    bundle = Path(shutil.copytree(calibrated_bundles["exact"], tmp_path / "copy.panda"))
    stored = np.load(bundle / "calibration.npy")
    stored[2, 0] = value
    np.save(bundle / "calibration.npy", stored)
    edit_manifest(bundle, reseal=True)
    assert refusal(example, bundle).endswith(
        "/calibration.npy: holds NaN or what no score can be; export the bundle again"
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, "files: bank/embeddings.npy is missing"),
        ({"sha256": "0" * 64}, "bytes is not a whole number"),
        ({"bytes": 1, "sha256": "0" * 65}, "sha256 is a string of 65 bytes"),
        ({"bytes": 1, "sha256": "0" * 63}, "not 64 small hexadecimal digits"),
        ({"bytes": 1, "sha256": "0" * 63 + "F"}, "not 64 small hexadecimal digits"),
        ({"bytes": 1, "sha256": "0" * 64}, "bytes, the manifest says 1"),
    ],
)
def test_wrong_entries_of_files(
    example: Path, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], entry: Any, expected: str
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["files"].update({"bank/embeddings.npy": entry}))
    assert expected in refusal(example, bundle)


def test_damaged_files(
    example: Path, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], tmp_path: Path
) -> None:
    assert "cannot be read" in refusal(example, tmp_path)
    bundle = bundle_copy("exact")
    whole = (bundle / "bank" / "stride08.npy").read_bytes()
    for damage in (b"", whole[:-1], whole + b"x", whole.replace(b"<f2", b"<f4"), b"\x93NUMPY\1\0\xff\xff" + whole):
        (bundle / "bank" / "stride08.npy").write_bytes(damage)
        assert "stride08.npy: " in refusal(example, bundle)
        entry = {"bytes": len(damage), "sha256": hashlib.sha256(damage).hexdigest()}
        edit_manifest(bundle, lambda plain, entry=entry: plain["files"].update({"bank/stride08.npy": entry}))
        line = refusal(example, bundle)  # as if somebody else had written it so
        assert "stride08.npy: not the array" in line if damage else "not a file with something in it" in line
    text = (bundle / "manifest.json").read_text()
    for damage in ("", "[]", "{", text[: len(text) // 2], "[" * 100_000, "\0", text.replace("{", "\x01{")):
        (bundle / "manifest.json").write_text(damage)
        refusal(example, bundle)


def test_features_that_are_not_finite(example: Path, exact_bundle: Path, tmp_path: Path) -> None:
    shape = json.loads((exact_bundle / "manifest.json").read_text())
    numbers = shape["embedding_size"] + sum(lv["height"] * lv["width"] * lv["channels"] for lv in shape["levels"])
    np.full(numbers, np.nan, np.float32).tofile(tmp_path / "features")
    done = subprocess.run([example, exact_bundle, tmp_path / "features"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "not finite" in done.stderr


def test_installed_with_pkg_config(built: Path, exact_bundle: Path, tmp_path: Path) -> None:
    """A program that knows nothing but the header and pkg-config; C++ may include it."""
    if shutil.which("pkg-config") is None or shutil.which("c++") is None:
        pytest.skip("needs pkg-config and a C++ compiler")
    subprocess.run(
        ["make", "-s", "-C", LIBRARY, "install", f"BUILD={built}", "CFLAGS=-O1", f"PREFIX={tmp_path}"], check=True
    )
    environment = {**os.environ, "PKG_CONFIG_PATH": str(tmp_path / "lib" / "pkgconfig")}
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "panda_edge"], check=True, capture_output=True, text=True, env=environment
    ).stdout.split()
    (tmp_path / "program.cc").write_text(
        "#include <panda_edge.h>\n#include <cstdio>\nint main(int, char **a) { panda_edge_error e;\n"
        "panda_edge_bundle *b = panda_edge_open(a[1], 1, &e); if (!b) { std::puts(e.line); return 2; }\n"
        'std::printf("%zu\\n", panda_edge_shape_of(b).embedding_size); panda_edge_close(b); }\n'
    )
    subprocess.run(["c++", "-Wall", "-Werror", tmp_path / "program.cc", *flags, "-o", tmp_path / "program"], check=True)
    done = subprocess.run(
        [tmp_path / "program", exact_bundle],
        capture_output=True, text=True, env={"LD_LIBRARY_PATH": str(tmp_path / "lib")},
    )  # fmt: skip
    assert done.stdout.strip() == "12", done.stdout
