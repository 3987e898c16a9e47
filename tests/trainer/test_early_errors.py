"""A mistake in arguments, paths or data is said before torch, which takes seconds to load, is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# One process for all: what has not been imported after a later command was not by an earlier one.
_RUN = """
import contextlib, io, json, shlex, sys, time
from panda_train.commands.app import main
for command in json.load(sys.stdin):
    sys.argv = ["panda-train", *shlex.split(command)]
    said, started, code = io.StringIO(), time.perf_counter(), None
    with contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
    heavy = sorted({"torch", "onnx", "sklearn", "skimage"} & set(sys.modules))
    print(json.dumps([command, code, said.getvalue(), heavy, time.perf_counter() - started]))
"""

MISTAKES = {
    "fit nowhere --out x.panda": "nowhere: no such folder",
    "fit empty --out x.panda": "no images in it",
    "fit parts --out taken": "taken",
    "fit parts --out x.panda --bank exat": "exat",
    "fit parts --out x.panda --score best": "best",
    "fit parts --out x.panda --method panda": "panda",
    "fit parts --out x.panda --backbone resnet19": "resnet19",
    "fit parts --out x.panda --weights none.pth": "none.pth",
    "fit parts --out x.panda --input-size 100": "100",
    "fit parts --out x.panda --device tpu": "tpu",
    "fit parts --out x.panda --roi none.json": "none.json",
    "fit parts --out x.panda --neighbors few": "few",
    "fit parts --out x.panda --means 9": "--means",
    "fit parts --out x.panda --method panda-oe --exposure nowhere": "nowhere",
    "fit parts --out x.panda --bank auto": "at least 12",
    "fit nowhere --out x.panda --bank auto": "nowhere: no such folder",
    "choose nowhere": "nowhere: no such folder",
    "choose parts": "at least 12",
    "choose parts --plot x.pdf": "x.pdf",
    "choose parts --device-speed none.json": "none.json",
    "evaluate none.panda parts": "none.panda",
    "report none.panda parts --out report": "none.panda",
    "check nowhere": "nowhere: no such folder",
    "check parts --html taken": "--html taken: this is a folder",
    "paper cifar10 --data nowhere --out results": "nowhere",
    "paper cifar11 --data parts --out results": "cifar11",
    "paper cifar10 --data parts --out results --methods dn3": "dn3",
    "fisher --data nowhere": "nowhere: no such folder",
    "fisher --backbone resnet19": "resnet19",
    "sign none.panda --key none.key": "none.key",
    "sample parts": "holds files that are not this command's",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight pictures, an empty folder, and one that is no bundle."""
    root = tmp_path_factory.mktemp("early")
    for name in ("parts", "empty", "taken"):
        (root / name).mkdir()
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(root / "parts" / f"{i}.png")
    (root / "taken" / "letter.txt").write_text("not a bundle")
    return root


def test_said_before_torch_is_there(place: Path) -> None:
    asked = json.dumps(list(MISTAKES))
    done = subprocess.run([sys.executable, "-c", _RUN], input=asked, cwd=place, capture_output=True, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [command for command, *_ in said] == list(MISTAKES), done.stderr
    for command, code, errors, heavy, seconds in said:
        assert (code, heavy, errors.count("\n")) == (2, [], 1), (command, errors)
        assert MISTAKES[command] in errors, command
        print(f"{seconds:.2f} s  panda-train {command}")  # shown by pytest -s
