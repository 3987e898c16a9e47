"""The contract of `panda-train`: what it prints, its exit codes, and one line for each thing that is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import panda_edge.banks.embeddings
from command_line import Done, Run, refused, runner
from panda_edge.bundle.manifest import read_manifest
from panda_edge.bundle.signature import SIGNATURE_NAME
from panda_edge.inspect.verify import verify
from panda_train import backbones
from panda_train.commands import app as cli
from tiny import TinyBackbone

PANDA_TRAIN = str(Path(sys.executable).with_name("panda-train"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`panda-train ARGUMENTS…` inside this process."""
    return runner("panda-train", cli.main, monkeypatch, capsys)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny backbone in the default one's place."""
    monkeypatch.setattr(backbones, "load", lambda name, weights=None, adapt_from=None: TinyBackbone())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "x.panda"


@pytest.mark.usefixtures("tiny")
class TestFit:
    @pytest.mark.parametrize("resize", ["squash", "crop"])
    def test_options_arrive_in_the_bundle(self, run: Run, sample_data: Path, out: Path, resize: str) -> None:
        options = ["--bank", "hnsw", "--neighbors", "all", "--knn", "3", "--input-size", "96", "--seed", "5"]
        done = run("fit", sample_data, "--out", out, *options, "--resize", resize, "--device", "cpu", "--json")
        assert done.code == 0
        manifest = read_manifest(out)
        assert done.report["bundle"] == str(out)
        assert done.report["train_images"] == manifest.recipe.train_images == 12
        assert done.report["bytes"] == sum(entry.bytes for entry in manifest.files.values())
        assert (manifest.detection.bank, manifest.detection.knn) == ("hnsw", 3)
        assert manifest.segmentation.neighbors == 12
        assert (manifest.preprocessing.height, manifest.preprocessing.resize) == (96, resize)
        assert manifest.preprocessing.cover == pytest.approx(1 if resize == "squash" else 256 / 224)
        assert (manifest.recipe.seed, manifest.method["name"]) == (5, "dn2")
        assert verify(out)["ok"]

    @pytest.mark.parametrize(("embeddings", "kind"), [("auto", "hnsw"), ("exact", "exact")])
    def test_many_images_get_a_graph_and_fit_says_so(
        self, run: Run, sample_data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, embeddings: str, kind: str
    ) -> None:
        monkeypatch.setattr(panda_edge.banks.embeddings, "HNSW_FROM", 12)
        options = ["--input-size", "64", "--device", "cpu", "--embeddings", embeddings]
        done = run("fit", sample_data, "--out", out, *options)
        assert (done.code, read_manifest(out).detection.bank) == (0, kind)
        said = [line for line in done.err.splitlines() if "hnswlib" in line]
        assert said == (["12 embeddings get hnswlib's graph; --embeddings exact if not"] if kind == "hnsw" else [])

    def test_in_words(self, run: Run, sample_data: Path, out: Path) -> None:
        done = run("fit", sample_data, "--out", out, "--input-size", "64", "--device", "cpu")
        assert done.code == 0
        assert str(out) in done.out
        assert "12 normal images" in done.out
        (out / SIGNATURE_NAME).touch()
        again = run("fit", sample_data, "--out", out, "--input-size", "64", "--device", "cpu")
        said = [line for line in again.err.splitlines() if "was signed" in line]
        assert (again.code, len(said), (out / SIGNATURE_NAME).exists()) == (0, 1, False)
        assert "panda-train sign" in said[0]
        assert "was signed" not in done.err

    def test_class_folders(self, run: Run, tmp_path: Path, out: Path, texture: Callable[..., np.ndarray]) -> None:
        for i, name in enumerate(("cat", "dog")):
            (tmp_path / "data" / "train" / name).mkdir(parents=True)
            for j in range(4):
                Image.fromarray(texture(40, 40, seed=8 * i + j)).save(tmp_path / "data" / "train" / name / f"{j}.png")
        refused(run("fit", tmp_path / "data", "--out", out), "say which is normal with --normal CLASS")
        refused(run("fit", tmp_path / "data", "--out", out, "--normal", "cow"), "expected one of cat, dog")
        options = ["--normal", "cat", "--input-size", "64", "--device", "cpu", "--json"]
        assert run("fit", tmp_path / "data", "--out", out, *options).report["train_images"] == 4

    def test_a_flat_folder_with_bad_images(
        self, run: Run, data: Path, out: Path, texture: Callable[..., np.ndarray]
    ) -> None:
        for i in range(5):
            Image.fromarray(texture(30 + i, 50, seed=i)).save(data / f"{i}.png")
        (data / "empty.png").touch()
        (data / "cut.png").write_bytes((data / "0.png").read_bytes()[:100])
        done = run("fit", data, "--out", out, "--input-size", "64", "--device", "cpu", "--json")
        assert done.code == 0
        assert done.report["train_images"] == 5
        first, *others = done.err.splitlines()
        assert first == "check: 7 pictures, 2 cannot be read"
        assert sorted(line.split(": ")[1].rsplit("/", 1)[1] for line in others) == ["cut.png", "empty.png"]

    def test_every_second_image_is_bad(
        self, run: Run, data: Path, out: Path, texture: Callable[..., np.ndarray]
    ) -> None:
        for i in range(10):
            path = data / f"{i}.png"
            if i % 2:
                Image.fromarray(texture(40, 50, seed=i)).save(path)
            else:
                path.touch()
        done = run("fit", data, "--out", out, "--input-size", "64", "--device", "cpu")
        assert (done.code, "ms a picture" in done.out) == (0, True)

    def test_none_of_the_images_can_be_read(self, run: Run, data: Path, out: Path) -> None:
        (data / "empty.png").touch()
        done = run("fit", data, "--out", out, "--input-size", "64", "--device", "cpu")
        assert (done.code, done.out) == (2, "")
        assert "none of the 1 normal images can be read" in done.err.splitlines()[-1]
        assert "Traceback" not in done.err
        assert not out.exists()


class TestRefused:
    def test_no_data(self, run: Run, tmp_path: Path, out: Path) -> None:
        refused(run("fit", tmp_path / "none", "--out", out), "no such folder")
        refused(run("fit", tmp_path, "--out", out), "no images in it")
        (tmp_path / "file").write_text("x")
        refused(run("fit", tmp_path / "file", "--out", out), "not a folder")

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            (
                "--bank",
                "flat",
                "unknown --bank 'flat'; expected one of exact, kmeans, kmeans-levels, coreset, gaussian, hnsw",
            ),
            ("--backbone", "alexnet", "no backbone 'alexnet'; there are efficientnet-lite0"),
            ("--method", "magic", "unknown method 'magic'"),
            ("--resize", "stretch", "unknown --resize 'stretch'; expected squash, crop, fit"),
            ("--device", "tpu", "unknown --device 'tpu'; expected auto, cpu or cuda"),
            ("--input-size", "100", "--input-size 100: expected a multiple of 32"),
            ("--input-size", "0", "--input-size 0"),
            ("--input-size", "-32", "--input-size -32"),
            ("--input-size", "8192", "--input-size 8192"),
            ("--neighbors", "0", "--neighbors '0': expected a whole number from 1, or all"),
            ("--neighbors", "some", "--neighbors 'some'"),
            ("--precision", "int4", "'int4'"),
        ],
    )
    def test_values(self, run: Run, sample_data: Path, out: Path, option: str, value: str, expected: str) -> None:
        refused(run("fit", sample_data, "--out", out, option, value), expected)
        assert not out.parent.exists()

    def test_a_gpu_that_is_not_there(self, run: Run, sample_data: Path, out: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("there is a GPU here")
        refused(run("fit", sample_data, "--out", out, "--device", "cuda"), "torch sees no CUDA device")

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--means", "0"), ("--knn", "0"), ("--seed", "-1"), ("--seed", "99999999999"), ("--seed", "x")],
    )
    def test_numbers_out_of_range(self, run: Run, sample_data: Path, out: Path, option: str, value: str) -> None:
        refused(run("fit", sample_data, "--out", out, option, value), option)

    def test_a_negative_seed_of_the_sample(self, run: Run, tmp_path: Path) -> None:
        done = run("sample", tmp_path / "s", "--seed", "-1")
        assert (done.code, done.out) == (2, "")
        assert not (tmp_path / "s").exists()

    def test_an_unknown_texture(self, run: Run, tmp_path: Path) -> None:
        refused(run("sample", tmp_path / "s", "--texture", "wood"), "expected one of brick, grass, gravel, all")

    @pytest.mark.parametrize("size", ["8", "500", "5000"])
    def test_a_size_of_the_sample_that_is_not_offered(self, run: Run, tmp_path: Path, size: str) -> None:
        refused(
            run("sample", tmp_path / "s", "--size", size), f"got a sample size of {size} pixels; expected 32 to 192"
        )
        assert not (tmp_path / "s").exists()

    def test_out_that_is_something_else(self, run: Run, sample_data: Path, tmp_path: Path) -> None:
        folder = tmp_path / "x.panda"
        folder.mkdir()
        (folder / "dear.jpg").write_text("keep")
        refused(run("fit", sample_data, "--out", folder), "exists and is not a bundle")
        refused(run("fit", sample_data, "--out", tmp_path / "x"), "a bundle's name ends in .panda")
        refused(run("fit", sample_data, "--out", tmp_path / ("x" * 5000 + ".panda")), "too long")
        assert (folder / "dear.jpg").read_text() == "keep"

    @pytest.mark.parametrize("content", ["none", "text", "folder", "pickle", "other", "nan"])
    def test_weights(self, run: Run, sample_data: Path, tmp_path: Path, out: Path, content: str) -> None:
        path = tmp_path / "w.pth"
        if content == "text":
            path.write_text("no weights")
        elif content == "folder":
            path.mkdir()
        elif content == "pickle":
            torch.save({"net": torch.nn.Linear(2, 2)}, path)  # a whole module: code, not tensors
        elif content == "other":
            torch.save({"weight": torch.zeros(3)}, path)
        elif content == "nan":
            state = backbones.untrained("resnet18").state_dict()
            torch.save({name: value.float() * float("nan") for name, value in state.items()}, path)
        done = run("fit", sample_data, "--out", out, "--weights", path, "--backbone", "resnet18", "--device", "cpu")
        refused(done, "w.pth")
        assert not out.exists()

    def test_evaluate_without_a_bundle_or_tests(
        self, run: Run, exact_bundle: Path, sample_data: Path, tmp_path: Path
    ) -> None:
        refused(run("evaluate", tmp_path / "none.panda", sample_data), "no such bundle")
        refused(run("evaluate", exact_bundle, sample_data / "train" / "good"), "no test images")


def test_evaluate(run: Run, exact_bundle: Path, sample_data: Path) -> None:
    done = run("evaluate", exact_bundle, sample_data, "--json")
    assert done.code == 0
    report = done.report
    for field in ("image_auroc", "pixel_auroc", "pro", "image_f1"):
        assert 0 <= report[field] <= 1
    assert report["images"] == 15
    assert set(report["kinds"]) == {"scratch", "stain", "hole", "foreign"}
    for figures in report["kinds"].values():
        assert {"image_auroc", "pixel_auroc", "pro"} <= set(figures)
    words = run("evaluate", exact_bundle, sample_data).out
    assert all(kind in words for kind in report["kinds"])


def test_without_the_workstations_packages() -> None:
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx"):
            raise ModuleNotFoundError(name=name)
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("torch", "onnx") else find_spec(name, *rest)
sys.meta_path.insert(0, Absent())
from panda_train.commands.app import main
sys.argv = ["panda-train", "fit", "data", "--out", "x.panda"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    refused(
        Done(done.returncode, done.stdout, done.stderr),
        'panda-train needs torch, onnx; install the workstation side: pip install "panda-edge[train]"',
    )


def test_the_command_itself(bundle: Path, sample_data: Path) -> None:
    """The default backbone, in a process of its own: the fixture fitted it."""
    manifest = read_manifest(bundle)
    assert manifest.backbone["name"] == "efficientnet-lite0"
    assert manifest.embedding_size == 1280
    assert [(level.stride, level.channels) for level in manifest.levels] == [(16, 112), (8, 40), (4, 24)]
    assert verify(bundle)["ok"]
    done = subprocess.run([PANDA_TRAIN, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("sample", "fit", "evaluate"))
