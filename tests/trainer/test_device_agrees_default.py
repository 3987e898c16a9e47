"""`panda-edge detect` on a bundle of the default backbone gives torch's scores (DN2, section 2.2)."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from panda_edge.bundle.manifest import read_manifest
from panda_edge.images.preprocessing import Preprocessing
from panda_train import backbones

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))


def test_the_command(bundle: Path, normal_images: list[Path], sample_data: Path) -> None:
    queries = sorted((sample_data / "test").rglob("*.png"))[:6]
    done = subprocess.run([PANDA_EDGE, "detect", bundle, *queries, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["embedding_distance"] for line in done.stdout.splitlines()]
    side = read_manifest(bundle).preprocessing.height
    backbone = backbones.load()
    frames = np.stack([Preprocessing(side, side).apply(path) for path in [*normal_images, *queries]])
    with torch.no_grad():
        embeddings = backbone(backbone.normalise(torch.from_numpy(frames)))[0].double().numpy()
    difference = embeddings[len(normal_images) :, None] - embeddings[None, : len(normal_images)]
    expected = np.sort(np.square(difference).sum(axis=2), axis=1)[:, :2].mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
