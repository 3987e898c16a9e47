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
from panda_edge.detector import load
from panda_edge.images.listing import images_below

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.mark.parametrize("bank", ["exact", "gaussian"])
def test_it_says_what_python_says(
    example: Any,
    calibrated_bundles: dict[str, Path],
    normal_images: list[Path],
    odd_image: Path,
    tmp_path: Path,
    bank: str,
) -> None:
    example.compare(load(calibrated_bundles[bank], 1), [*normal_images[:3], odd_image], tmp_path / "features")


def test_on_real_features(example: Any, bundle: Path, sample_data: Path, tmp_path: Path) -> None:
    """The default backbone's, fitted by the command."""
    example.compare(load(bundle, 1), images_below(sample_data / "test"), tmp_path / "features")


def test_on_real_pictures(example: Any, real_data: Path, tmp_path: Path) -> None:
    given = os.environ.get("PANDA_BUNDLE")
    if not given:
        pytest.skip("needs a bundle of the tile data: set PANDA_BUNDLE")
    example.compare(load(given, 1), images_below(real_data / "tile" / "test")[::20], tmp_path / "features")


def test_bundles_that_it_cannot_search(example: Any, made_bundles: dict[str, Path]) -> None:
    for bank, path in made_bundles.items():
        plain = open_bundle(path).manifest
        if plain.segmentation.bank not in ("exact", "gaussian") or plain.detection.bank == "hnsw":
            assert "libpanda_edge takes" in example.refusal(path), bank


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda plain: plain.update(magic="PK"), "magic is PK"),
        (lambda plain: plain.update(format_version=5), "format version 5, this library reads 6; fit the bundle again"),
        (
            lambda plain: plain["segmentation"].update(evened=[1.5]),
            "evened is a field of older bundles; fit",
        ),
        (lambda plain: plain["segmentation"].update(steps={"step": "context"}), "steps is not a list"),
        (lambda plain: plain["segmentation"].update(steps=["context"]), "step is not a string"),
        (lambda plain: plain["segmentation"].update(steps=[{"step": "sharpen"}]), "step sharpen; update panda-edge"),
        (lambda plain: plain["segmentation"]["steps"].extend(plain["segmentation"]["steps"] * 5), "at most 16 steps"),
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
        (lambda plain: plain["decision"].update(score="combined"), "takes local, max, top1 and embedding"),
        (lambda plain: plain.pop("decision"), "score"),
        (lambda plain: plain.update(calibration={"images": 3}), "calibration.npy"),
    ],
)
def test_wrong_manifests(
    example: Any, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], change: Any, expected: str
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, change)
    assert any(part in example.refusal(bundle) for part in expected.split("|"))


@pytest.mark.parametrize("bank", ["exact", "gaussian"])
def test_an_altered_byte_is_one_line(example: Any, bundle_copy: Callable[..., Path], bank: str) -> None:
    """Of every array that it reads, the first number's last bit: only the hash can tell."""
    bundle = bundle_copy(bank)
    read = [path for path in bundle.glob("bank/*.npy") if path.name != "pictures.npy"]  # `extend` alone reads that
    arrays = sorted(read) + sorted(bundle.glob("calibration.npy"))
    assert len(arrays) >= 3
    for path in arrays:
        whole = path.read_bytes()
        path.write_bytes(whole[:128] + bytes([whole[128] ^ 1]) + whole[129:])
        assert example.refusal(bundle) == f"{path}: its sha256 is not the manifest's; altered or damaged, copy it again"
        path.write_bytes(whole)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
def test_scores_that_cannot_be(
    example: Any, calibrated_bundles: dict[str, Path], with_value: Callable[..., Path], value: float
) -> None:
    bundle = with_value(calibrated_bundles["exact"], "calibration.npy", (2, 0), value)
    assert example.refusal(bundle).endswith(
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
    example: Any, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], entry: Any, expected: str
) -> None:
    bundle = bundle_copy("exact")
    edit_manifest(bundle, lambda plain: plain["files"].update({"bank/embeddings.npy": entry}))
    assert expected in example.refusal(bundle)


def test_damaged_files(
    example: Any, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], tmp_path: Path
) -> None:
    assert "cannot be read" in example.refusal(tmp_path)
    bundle = bundle_copy("exact")
    whole = (bundle / "bank" / "stride08.npy").read_bytes()
    for damage in (b"", whole[:-1], whole + b"x", whole.replace(b"<f2", b"<f4"), b"\x93NUMPY\1\0\xff\xff" + whole):
        (bundle / "bank" / "stride08.npy").write_bytes(damage)
        assert "stride08.npy: " in example.refusal(bundle)
        entry = {"bytes": len(damage), "sha256": hashlib.sha256(damage).hexdigest()}
        edit_manifest(bundle, lambda plain, entry=entry: plain["files"].update({"bank/stride08.npy": entry}))
        line = example.refusal(bundle)  # as if somebody else had written it so
        assert "stride08.npy: not the array" in line if damage else "0 bytes, the manifest says 0" in line
    text = (bundle / "manifest.json").read_text()
    for damage in ("", "[]", "{", text[: len(text) // 2], "[" * 100_000, "\0", text.replace("{", "\x01{")):
        (bundle / "manifest.json").write_text(damage)
        example.refusal(bundle)


def test_features_that_are_not_finite(example: Any, exact_bundle: Path, tmp_path: Path) -> None:
    shape = json.loads((exact_bundle / "manifest.json").read_text())
    numbers = shape["embedding_size"] + sum(lv["height"] * lv["width"] * lv["channels"] for lv in shape["levels"])
    np.full(numbers, np.nan, np.float32).tofile(tmp_path / "features")
    done = subprocess.run([example.program, exact_bundle, tmp_path / "features"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "not finite" in done.stderr


def test_installed_with_pkg_config(library: Path, built: Path, exact_bundle: Path, tmp_path: Path) -> None:
    """A program that knows nothing but the header and pkg-config; C++ may include it."""
    if shutil.which("pkg-config") is None or shutil.which("c++") is None:
        pytest.skip("needs pkg-config and a C++ compiler")
    subprocess.run(
        ["make", "-s", "-C", library, "install", f"BUILD={built}", "CFLAGS=-O1", f"PREFIX={tmp_path}"], check=True
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
