"""A device without network and compiler installs from the wheelhouse, and works."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("PANDA_TEST_INSTALL"),
        reason="builds wheels and fetches others from the package index; PANDA_TEST_INSTALL=1 runs it",
    ),
    pytest.mark.skipif(
        os.uname().machine != "x86_64" or sys.platform != "linux", reason="installs the wheelhouse of Linux on x86_64"
    ),
]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment filled from the wheelhouse, with nothing else in reach."""
    for module in ("build", "auditwheel", "ziglang", "pybind11", "cyclonedx", "abi3info"):
        pytest.importorskip(module, reason=f"needs {module}: pip install 'panda-edge[delivery]'")
    wheelhouse, home = tmp_path_factory.mktemp("wheelhouse"), tmp_path_factory.mktemp("device")
    build = [sys.executable, "-m", "delivery.wheelhouse", "x86_64", "--out", wheelhouse]
    subprocess.run(build, check=True, cwd=ROOT)
    venv.create(home, with_pip=True)
    install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index"]
    bare = {"PATH": str(home / "bin"), "HOME": str(home), "PIP_CONFIG_FILE": os.devnull}  # no cc, no index
    subprocess.run([*install, "--find-links", wheelhouse, "panda-edge[sign,hnsw]"], check=True, env=bare)
    bill = json.loads((wheelhouse / "sbom.cdx.json").read_text())
    assert len(bill["components"]) == len(list(wheelhouse.glob("*.whl"))) - 1  # ours is what the bill is of
    return home / "bin"


def test_the_bundle_runs(
    device: Path, bundle: Path, made_bundles: dict[str, Path], sample_data: Path, tmp_path: Path
) -> None:
    def panda_edge(*arguments: str | Path) -> list[dict[str, object]]:
        command = [device / "panda-edge", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(device)})
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    images = sample_data / "test" / "hole"
    for given in (bundle, made_bundles["hnsw"]):
        (report,) = panda_edge("verify", given)
        assert report["ok"]
    results = panda_edge("segment", bundle, images, "--out", tmp_path / "maps")
    assert len(results) == len(list(images.iterdir()))
    (figures,) = panda_edge("bench", bundle, images, "--frames", "10")
    assert float(str(figures["fps"])) > 0
