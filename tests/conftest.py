"""Data and bundles that many tests share, made once a session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import panda_export.network
from bank_choice import settings_for
from exports_once import once
from forked import start
from made_once import made_once, shared_root
from mqtt_broker import Broker
from panda_edge.banks.settings import CHOICES as BANKS
from panda_edge.builder.bundle_writer import file_table
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.images.preprocessing import Preprocessing
from panda_export.export import export_bundle
from panda_export.onnx_file import write_onnx
from panda_export.options import ExportOptions
from panda_train.data.sample import make_sample
from tiny import SIDE, TinyBackbone, make_bundles

# Tests run beside one another, a worker a core: in each, and in the processes it starts, torch keeps to one thread.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def exports_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks that are the same are exported once a run. `tests/export/test_graph.py` tests the export itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panda_export.network, "write_onnx", once(write_onnx, shared_root(tmp_path_factory)))
        yield


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our commands, which start at once: see `forked.py`."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return made_once(tmp_path_factory, "commands", lambda into: start(into, owner))


@pytest.fixture(scope="session")
def library() -> Path:
    """The folder of libpanda_edge's sources and Makefile."""
    return Path(__file__).parents[1] / "edge" / "kernel" / "library"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Path:
    """libpanda_edge, compiled, once for all workers."""

    def make(into: Path) -> None:
        command = ["make", "-s", "-C", library, f"BUILD={into}", "CFLAGS=-O1"]
        subprocess.run(command, check=True, capture_output=True)

    return made_once(tmp_path_factory, "library", make)


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made data set in MVTec layout: 12 normal images, 3 test images a kind, 64 × 64 pixels."""
    made = made_once(
        tmp_path_factory, "sample", lambda into: make_sample(into / "data", train_images=4, test_images=1, size=64)
    )
    return made / "data"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty folder for a data set."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of MQTT at work; a test that asks for it skips where there is none."""
    made = Broker(tmp_path)
    yield made
    made.kill()


@pytest.fixture(scope="session")
def normal_images(sample_data: Path) -> list[Path]:
    return sorted((sample_data / "train" / "good").glob("*.png"))


@pytest.fixture(scope="session")
def odd_image(sample_data: Path) -> Path:
    return sample_data / "test" / "hole" / "brick-000.png"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that no worker begins one when the others have ended: README's commands, and
    those that hold slow tests."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: 0 if item.path.name == "test_readme.py" else 1 if item.path in slow else 2)


@pytest.fixture(scope="session")
def made_bundles(tmp_path_factory: pytest.TempPathFactory, normal_images: list[Path]) -> dict[str, Path]:
    """The bundles of `make_bundles`. Tests must not change them: see `bundle_copy`."""
    folder = made_once(tmp_path_factory, "bundles", lambda into: make_bundles(into, normal_images))
    return {bank: folder / f"{bank}.panda" for bank in BANKS}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, sample_data: Path, commands: Path) -> Path:
    """A bundle as the command makes it: the default backbone fitted to the sample data. Not to be changed."""
    options = ["--neighbors", "5", "--input-size", "96", "--device", "cpu"]

    def fit(into: Path) -> None:
        command = [commands / "panda-train", "fit", sample_data, "--out", into / "sample.panda", *options, "--json"]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["train_images"] == 12

    return made_once(tmp_path_factory, "fitted", fit) / "sample.panda"


@pytest.fixture(scope="session")
def exact_bundle(made_bundles: dict[str, Path]) -> Path:
    return made_bundles["exact"]


@pytest.fixture(params=tuple(BANKS))
def any_bundle(request: pytest.FixtureRequest, made_bundles: dict[str, Path]) -> Path:
    return made_bundles[request.param]


@pytest.fixture
def bundle_copy(tmp_path: Path, made_bundles: dict[str, Path]) -> Callable[[str], Path]:
    """A copy of a made bundle that a test may damage."""

    def copy(bank: str = "exact") -> Path:
        return Path(shutil.copytree(made_bundles[bank], tmp_path / f"{bank}-copy.panda"))

    return copy


@pytest.fixture
def edit_manifest() -> Callable[..., None]:
    """Change a bundle's manifest. `reseal` also gives it the sizes and hashes of the files as they now are."""

    def edit(bundle: Path, change: Callable[[dict[str, Any]], Any] = lambda plain: None, reseal: bool = False) -> None:
        path = bundle / MANIFEST_NAME
        plain = json.loads(path.read_text(encoding="utf-8"))
        if reseal:
            table = file_table(bundle)
            plain["files"] = {name: {"bytes": entry.bytes, "sha256": entry.sha256} for name, entry in table.items()}
        change(plain)
        path.write_text(json.dumps(plain), encoding="utf-8")

    return edit


@pytest.fixture
def with_value(edit_manifest: Callable[..., None], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a bundle, sealed again, with another value at one place of an .npy file."""

    def change(bundle: Path, file: str, place: tuple[int, ...], value: float) -> Path:
        copy = Path(shutil.copytree(bundle, tmp_path / "changed.panda"))
        stored = np.load(copy / file)
        stored[place] = value
        np.save(copy / file, stored)
        edit_manifest(copy, reseal=True)
        return copy

    return change


@pytest.fixture(scope="session")
def texture() -> Callable[..., np.ndarray]:
    """A picture with structure at every scale: uint8 (H, W, 3)."""

    def make(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        picture = np.zeros((height, width, 3))
        for step in (4, 16, 64):
            coarse = random.integers(0, 80, (-(-height // step), -(-width // step), 3))
            picture += np.repeat(np.repeat(coarse, step, 0), step, 1)[:height, :width]
        return picture.astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, which holds `tile` (MVTec layout)."""
    given = os.environ.get("PANDA_DATA")
    if not given or not (Path(given) / "tile" / "train" / "good").is_dir():
        pytest.skip("needs real data: set PANDA_DATA to a folder that holds tile/ in MVTec layout")
    return Path(given)


@pytest.fixture(scope="session")
def calibrated_bundles(tmp_path_factory: pytest.TempPathFactory, normal_images: list[Path]) -> dict[str, Path]:
    """Calibrated bundles of the tiny backbone. `gaussian`: 8 images in the bank, the last 4 held out; `exact`: all 12
    in the bank, calibrated by leaving each out. Not to be changed."""

    def make(into: Path) -> None:
        for bank in ("gaussian", "exact"):
            export_bundle(
                into / f"{bank}.panda",
                TinyBackbone(),
                normal_images[:8] if bank == "gaussian" else normal_images,
                Preprocessing(SIDE, SIDE),
                ExportOptions({"name": "dn2"}, settings_for(bank, neighbors=4), leave_one_out=bank == "exact"),
                held_out=normal_images[8:] if bank == "gaussian" else (),
            )

    folder = made_once(tmp_path_factory, "calibrated", make)
    return {bank: folder / f"{bank}.panda" for bank in ("gaussian", "exact")}
