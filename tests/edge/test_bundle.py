"""Opening bundles: whatever is missing, cut, altered or of the wrong kind is one BundleError that names the file."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import panda_edge
from panda_edge.banks.embeddings import EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.bundle.folder import open_bundle, sha256
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.selftest import SELFTEST_FILE, read_selftest
from panda_edge.detector import MODEL_FILE
from panda_edge.errors import BundleError
from panda_edge.inspect.verify import verify

Copy = Callable[..., Path]
Edit = Callable[..., None]

STRIDE16 = "bank/stride16.npy"


def files_of(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def refused(bundle: Path, expected: str) -> None:
    with pytest.raises(BundleError, match=expected) as caught:
        panda_edge.load(bundle, threads=1)
    assert "\n" not in str(caught.value)
    assert str(bundle) in str(caught.value)


def test_a_good_bundle_opens_and_verifies(any_bundle: Path) -> None:
    panda_edge.load(any_bundle, threads=1)
    report = verify(any_bundle, threads=1)
    assert report["ok"]
    assert report["files"] == len(files_of(any_bundle)) - 1


def test_the_file_table_is_the_folder(any_bundle: Path) -> None:
    bundle = open_bundle(any_bundle)
    found = {p.relative_to(any_bundle).as_posix(): p for p in files_of(any_bundle) if p.name != MANIFEST_NAME}
    assert set(bundle.manifest.files) == set(found)
    for name, entry in bundle.manifest.files.items():
        assert (entry.bytes, entry.sha256) == (found[name].stat().st_size, sha256(found[name]))
    assert bundle.total_bytes() == sum(path.stat().st_size for path in found.values())


class TestPaths:
    def test_none(self, tmp_path: Path) -> None:
        refused(tmp_path / "no.panda", "no such bundle; make one with `panda-train fit`")

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "x.panda").write_text("hello")
        refused(tmp_path / "x.panda", "a bundle is a folder")

    def test_a_folder_without_a_manifest(self, tmp_path: Path) -> None:
        refused(tmp_path, "not a bundle")

    def test_a_name_that_no_file_system_takes(self, tmp_path: Path) -> None:
        refused(tmp_path / ("x" * 5000), "cannot be read")


class TestDamage:
    def test_each_file_missing(self, any_bundle: Path, tmp_path: Path) -> None:
        for victim in files_of(any_bundle):
            name = victim.relative_to(any_bundle)
            bundle = Path(shutil.copytree(any_bundle, tmp_path / "x.panda"))
            (bundle / name).unlink()
            refused(bundle, "not a bundle" if name.name == MANIFEST_NAME else f"{name}: missing")
            shutil.rmtree(bundle)

    def test_each_file_truncated(self, any_bundle: Path, tmp_path: Path) -> None:
        for victim in files_of(any_bundle):
            name = victim.relative_to(any_bundle)
            bundle = Path(shutil.copytree(any_bundle, tmp_path / "x.panda"))
            for keep in (0, 1, victim.stat().st_size - 1):
                (bundle / name).write_bytes(victim.read_bytes()[:keep])
                # The manifest's last byte is a line end, which JSON does not need: verify tells of it.
                if name.name != MANIFEST_NAME or keep <= 1:
                    refused(bundle, f"{name}: ")
                else:
                    with pytest.raises(BundleError):
                        verify(bundle, threads=1)
            shutil.rmtree(bundle)

    def test_verify_finds_an_altered_byte_in_every_file(self, any_bundle: Path, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        for victim in files_of(any_bundle):
            name = victim.relative_to(any_bundle)
            size = victim.stat().st_size
            bundle = Path(shutil.copytree(any_bundle, tmp_path / "x.panda"))
            for offset in (0, size - 1, *random.integers(0, size, 5)):
                flip(bundle / name, int(offset))
                with pytest.raises(BundleError) as caught:
                    verify(bundle, threads=1)
                assert "\n" not in str(caught.value)
                shutil.copy(victim, bundle / name)
            assert verify(bundle, threads=1)["ok"]
            shutil.rmtree(bundle)

    @pytest.mark.parametrize(("bank", "name"), [("exact", MODEL_FILE), ("exact", EMBEDDINGS_FILE), ("hnsw", HNSW_FILE)])
    def test_what_a_library_parses_is_checked_at_every_load(self, bundle_copy: Copy, bank: str, name: str) -> None:
        bundle = bundle_copy(bank)
        flip(bundle / name, (bundle / name).stat().st_size // 2)
        refused(bundle, f"{name}: its sha256 is not the manifest's")

    def test_an_altered_index_never_reaches_hnswlib(self, bundle_copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
        hnswlib = pytest.importorskip("hnswlib")
        opened: list[bool] = []
        index = hnswlib.Index

        def spy(*args: Any, **options: Any) -> Any:
            opened.append(True)
            return index(*args, **options)

        monkeypatch.setattr(hnswlib, "Index", spy)
        bundle = bundle_copy("hnsw")
        panda_edge.load(bundle, threads=1)
        assert opened == [True]  # or the spy sees nothing
        flip(bundle / HNSW_FILE, 3)
        refused(bundle, "sha256")
        assert opened == [True]


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


class TestWrongContent:
    """Files whose sizes and hashes are the manifest's, and which yet are not what the manifest says."""

    def replaced(self, bundle: Path, name: str, content: bytes, edit: Edit) -> Path:
        (bundle / name).write_bytes(content)
        edit(bundle, reseal=True)
        return bundle

    @pytest.mark.parametrize(
        "content",
        [
            npy(np.zeros((12, 16, 7), np.float32)),
            npy(np.zeros((12, 16, 7), ">f2")),
            npy(np.zeros((12, 16, 7), np.int16)),
            npy(np.zeros((11, 16, 7), np.float16)),
            npy(np.zeros((12, 16 * 7), np.float16)),
            npy(np.zeros((0, 16, 7), np.float16)),
            npy(np.asfortranarray(np.random.default_rng(0).random((12, 16, 7)).astype(np.float16))),
            npy(np.array([{"a": 1}], dtype=object), allow_pickle=True),
            npy(np.zeros((12, 16, 7), np.float16))[:-2],
            npz(a=np.zeros(3)),
            b"",
            b"\x93NUMPY",
            b"\x93NUMPY\x01\x00\xff\xff{",
            b"\x93NUMPY\x01\x00\x20\x00{'descr': '<f2', 'shape': (1e9,)}\n",
            b"\x93NUMPY\x09\x00" + b"\0" * 80,
            b"PK\x03\x04" + b"\0" * 80,
            b"\x80\x04\x95" + b"\0" * 80,
            b"garbage" * 100,
        ],
        ids=[
            "float32", "big-endian", "int16", "an-image-less", "flat", "none", "fortran", "pickle", "cut",
            "npz", "empty", "magic-only", "cut-header", "wrong-header", "unknown-version", "zip", "pickled", "garbage",
        ],
    )  # fmt: skip
    def test_npy(self, bundle_copy: Copy, edit_manifest: Edit, content: bytes) -> None:
        bundle = self.replaced(bundle_copy(), STRIDE16, content, edit_manifest)
        refused(bundle, re.escape(STRIDE16))

    def test_altered_npy_headers(self, bundle_copy: Copy, edit_manifest: Edit) -> None:
        bundle = bundle_copy()
        whole = (bundle / STRIDE16).read_bytes()
        random = np.random.default_rng(0)
        for _ in range(200):
            damaged = bytearray(whole)
            for _ in range(random.integers(1, 4)):
                damaged[random.integers(0, 128)] = random.integers(0, 256)
            self.replaced(bundle, STRIDE16, bytes(damaged), edit_manifest)
            message = ""
            try:
                panda_edge.load(bundle, threads=1)
            except BundleError as error:
                message = str(error)
            assert "\n" not in message

    @pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"\x08\x0a", bytes(1000)])
    def test_a_model_that_is_none(self, bundle_copy: Copy, edit_manifest: Edit, content: bytes) -> None:
        bundle = self.replaced(bundle_copy(), MODEL_FILE, content, edit_manifest)
        refused(bundle, "model.onnx")

    def test_onnxruntime_adds_no_lines_of_its_own(
        self, bundle_copy: Copy, edit_manifest: Edit, capfd: pytest.CaptureFixture[str]
    ) -> None:
        bundle = bundle_copy()
        unknown_operator = (bundle / MODEL_FILE).read_bytes().replace(b"Relu", b"Rilu")
        refused(self.replaced(bundle, MODEL_FILE, unknown_operator, edit_manifest), "onnxruntime cannot load it")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("content", [b"", b"garbage" * 50, bytes(1000)])
    def test_an_index_that_is_none(self, bundle_copy: Copy, edit_manifest: Edit, content: bytes) -> None:
        bundle = self.replaced(bundle_copy("hnsw"), HNSW_FILE, content, edit_manifest)
        refused(bundle, "embeddings.hnsw")

    def test_an_index_of_vectors_of_another_size(self, bundle_copy: Copy, edit_manifest: Edit) -> None:
        # hnswlib itself takes such a file, and then reads beyond its end.
        hnswlib = pytest.importorskip("hnswlib")
        bundle = bundle_copy("hnsw")
        other = hnswlib.Index(space="l2", dim=5)
        other.init_index(12)
        other.add_items(np.random.default_rng(0).random((12, 5)))
        other.save_index(str(bundle / HNSW_FILE))
        edit_manifest(bundle, reseal=True)
        refused(bundle, "vectors of 5, the manifest says 12")

    def test_another_backbones_model(
        self, bundle_copy: Copy, edit_manifest: Edit, bundle: Path, odd_image: Path
    ) -> None:
        copy = bundle_copy()
        shutil.copy(bundle / MODEL_FILE, copy / MODEL_FILE)
        edit_manifest(copy, reseal=True)
        with pytest.raises(BundleError):
            panda_edge.load(copy, threads=1).detect(odd_image)

    def test_an_entry_less(self, bundle_copy: Copy, edit_manifest: Edit) -> None:
        for name in (MODEL_FILE, EMBEDDINGS_FILE, STRIDE16):
            copy = bundle_copy()
            edit_manifest(copy, lambda plain, name=name: plain["files"].pop(name))
            refused(copy, f"lists no {name}")
            shutil.rmtree(copy)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_bank_of_nan_is_refused_before_it_becomes_a_score(
        self, bundle_copy: Copy, edit_manifest: Edit, odd_image: Path, bad: float
    ) -> None:
        bundle = self.replaced(bundle_copy(), EMBEDDINGS_FILE, npy(np.full((12, 12), bad, np.float32)), edit_manifest)
        with pytest.raises(panda_edge.PandaError, match="not finite"):
            panda_edge.load(bundle, threads=1).detect(odd_image)


class TestSelfTest:
    def replaced(self, bundle: Path, edit: Edit, **changes: np.ndarray | None) -> Path:
        stored = {**np.load(bundle / SELFTEST_FILE), **changes}
        np.savez(bundle / SELFTEST_FILE, **{name: array for name, array in stored.items() if array is not None})
        edit(bundle, reseal=True)
        return bundle

    @pytest.mark.parametrize(
        "changes",
        [
            {"frames": None},
            {"heatmaps": None},
            {"frames": np.zeros((0, 64, 64, 3), np.uint8)},
            {"frames": np.zeros((3, 32, 64, 3), np.uint8)},
            {"frames": np.zeros((3, 64, 64, 3), np.float32)},
            {"frames": np.uint8(1)},
            {"embeddings": np.zeros((2, 12), np.float32)},
            {"embeddings": np.zeros((3, 13), np.float32)},
            {"embeddings": np.full((3, 12), np.nan, np.float32)},
            {"scores": np.zeros((3, 1))},
            {"scores": np.full(3, np.inf)},
            {"heatmaps": np.zeros((3, 64, 65), np.float32)},
            {"heatmaps": np.zeros((3, 64, 64), "S3")},
        ],
        ids=str,
    )
    def test_wrong_arrays(self, bundle_copy: Copy, edit_manifest: Edit, changes: dict[str, np.ndarray | None]) -> None:
        bundle = self.replaced(bundle_copy(), edit_manifest, **changes)
        with pytest.raises(BundleError, match=re.escape(SELFTEST_FILE)) as caught:
            read_selftest(open_bundle(bundle))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("content", [b"", b"garbage", npy(np.zeros(3)), b"PK\x03\x04garbage"])
    def test_no_archive(self, bundle_copy: Copy, edit_manifest: Edit, content: bytes) -> None:
        bundle = bundle_copy()
        (bundle / SELFTEST_FILE).write_bytes(content)
        edit_manifest(bundle, reseal=True)
        with pytest.raises(BundleError, match=re.escape(SELFTEST_FILE)):
            read_selftest(open_bundle(bundle))

    def test_other_numbers_are_told(self, bundle_copy: Copy, edit_manifest: Edit) -> None:
        bundle = bundle_copy()
        stored = np.load(bundle / SELFTEST_FILE)
        self.replaced(bundle, edit_manifest, scores=stored["scores"] * 1.01, heatmaps=stored["heatmaps"] * 1.1)
        plain = json.loads((bundle / MANIFEST_NAME).read_text())
        assert plain  # resealed by the fixture, but without the manifest's own hash
        with pytest.raises(BundleError, match="manifest_sha256"):
            verify(bundle, threads=1)
        seal(bundle)
        report = verify(bundle, threads=1)
        assert report["ok"] is False
        assert report["largest_difference"]["embedding"] < 1e-5
        assert report["largest_difference"]["score"] == pytest.approx(0.0099, rel=0.05)
        assert report["largest_difference"]["heatmap"] == pytest.approx(0.0909, rel=0.05)


def seal(bundle: Path) -> None:
    """Give an edited manifest the form and hash that the exporter would have given it."""
    from panda_edge.bundle.manifest import read_manifest

    (bundle / MANIFEST_NAME).write_text(read_manifest(bundle).to_json(), encoding="utf-8")
