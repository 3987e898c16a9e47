"""Adaptation across processes: killed at any moment and resumed; two processes as one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.slow

# A program of its own, so that it can be killed, and started twice beside itself.
PROGRAM = """
import sys, time
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from panda_train.adapt import AdaptConfig, Run, Source, adapt, store
from panda_train.adapt import loop
from panda_train.adapt.distributed import workers
from panda_train.data import augment
from small_adaptation import small_resnet
loop.SAVE_SECONDS = 0.0
out, state, pause = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
backbone = small_resnet()
frames = np.random.default_rng(0).integers(0, 256, (41, 32, 32, 3), dtype=np.uint8)
outliers = np.random.default_rng(1).integers(90, 256, (30, 32, 32, 3), dtype=np.uint8)
config = AdaptConfig(sys.argv[4], steps=20, batch=8, learning_rate=0.5, every=2, watch=5)
with workers("cpu") as group:
    own = frames[group.owned(41)]
    exposed = outliers[group.owned(30)]
    others = Source(store(backbone, exposed, len(exposed)), 30) if config.method == "panda-oe" else None
    views = []
    if config.method == "panda-msc":
        copies = augment.copies(zip(group.owned(41), own), 3, 0)
        views = store(backbone, copies, 3 * len(own)).views(3)
    normal = Source(store(backbone, own, len(own)), 41, views=views)
    done = adapt(backbone, normal, config, others=others, 
                 run=Run(group, state, lambda step, total: time.sleep(pause)))
    if group.is_rank_zero:
        weights = torch.cat([p.flatten() for head in done.heads for p in head.parameters()]).numpy()
        np.savez(out, weights=weights, centres=done.centres, scales=done.scales, steps=done.steps,
                 w=np.zeros(1) if done.weight is None else done.weight)
    group.wait()
"""


def start(
    out: Path, state: Path, pause: float = 0.0, method: str = "panda-ses", **environment: str
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(out), str(state), str(pause), method]
    path = os.pathsep.join(sys.path)  # where `small_adaptation` lies, too
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start(folder / "out.npz", folder / "state.pt").wait(240) == 0
    return dict(np.load(folder / "out.npz"))


def _alone(folder: Path, method: str) -> dict[str, np.ndarray]:
    """What one process makes that nothing disturbs."""
    assert start(folder / "alone.npz", folder / "alone.pt", method=method).wait(240) == 0
    return dict(np.load(folder / "alone.npz"))


@pytest.mark.parametrize("method", ["panda-ses", "panda-msc"])
def test_killed_at_random_moments_ends_the_same(
    undisturbed: dict[str, np.ndarray], tmp_path: Path, method: str
) -> None:
    out, state = tmp_path / "out.npz", tmp_path / "state.pt"
    whole = undisturbed if method == "panda-ses" else _alone(tmp_path, method)
    moments = np.random.default_rng(int.from_bytes(os.urandom(4), "little")).uniform(0.0, 0.6, 2)
    for moment in moments:
        process = start(out, state, 0.05, method)
        reached = time.monotonic() + 120
        before = state.stat().st_mtime_ns if state.exists() else None
        # The moment counts from the first step of this process, so that every kill falls into the training.
        while time.monotonic() < reached and process.poll() is None:
            if state.exists() and state.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert state.exists()
    assert start(out, state, method=method).wait(240) == 0
    resumed = dict(np.load(out))
    for name, expected in whole.items():
        np.testing.assert_array_equal(resumed[name], expected, err_msg=f"{name}, killed at {moments}")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch is built without torch.distributed")
@pytest.mark.parametrize("method", ["panda-ses", "panda-oe", "panda-msc"])
def test_two_processes_give_the_result_of_one(undisturbed: dict[str, np.ndarray], tmp_path: Path, method: str) -> None:
    alone = undisturbed if method == "panda-ses" else _alone(tmp_path, method)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    out = tmp_path / "out.npz"
    state = tmp_path / "state.pt"
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank), **group} for rank in range(2)]
    processes = [start(out, state, method=method, **rank) for rank in ranks]
    assert [process.wait(240) for process in processes] == [0, 0]
    together = dict(np.load(out))
    assert np.array_equal(together["steps"], alone["steps"])
    for name in ("weights", "centres", "scales", "w"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-3, atol=1e-5)
