"""What is killed, and what must be whole after it: one Subject a command. `benchmarks.endurance.killed` runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.endurance.killed_forks import forked
from benchmarks.endurance.killed_under_watch import Watch

_PAPER_ROWS = 4  # two methods, for each two figures of one class
YOUNG = 5.0  # seconds: a younger folder may be of another process that is about to lock it, and stays


@dataclass(frozen=True)
class Subject:
    """arguments: of the n-th run, program first. check: raises AssertionError where what is left is not whole; told
    when the run before began if it ended by itself (seconds since 1970), None where it was killed. done: how much of
    the work killed runs have left behind for the next, which needs the less time. may_refuse: it may end with a line
    about what cannot be."""

    arguments: Callable[[int], list[str]]
    check: Callable[[float | None], None]
    done: Callable[[], int] = lambda: 0
    may_refuse: bool = False


def make_data(folder: Path) -> Path:
    """A sample in MVTec layout, a tiny one in class folders, and a key."""
    from panda_export.signing import make_key
    from panda_train.data.sample import make_sample

    make_sample(folder / "sample", train_images=3, test_images=1, size=64)
    noise = np.random.default_rng(0)
    for part, images in (("train", 16), ("test", 4)):
        for name in ("one", "two", "three"):
            (folder / "classes" / part / name).mkdir(parents=True)
            for i in range(images):
                pixels = noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "classes" / part / name / f"{i}.png")
    make_key(folder / "line.key")
    return folder


def fit(folder: Path, out: Path | None = None, more: Sequence[str] = ()) -> Subject:
    """Two kinds of bundle take turns at one path. more: options."""
    out = out or folder / "fit" / "x.panda"

    def arguments(number: int) -> list[str]:
        bank = (["exact", "--neighbors", "4"], ["gaussian"])[number % 2]
        return ["panda-train", "fit", str(folder / "sample"), "--out", str(out), "--bank", *bank, "--input-size", "64",
                "--device", "cpu", "--hold-out", "0", *more]  # fmt: skip

    def check(began: float | None) -> None:
        check_bundle(out)
        check_left(out, began)

    return Subject(arguments, check)


def check_left(out: Path, began: float | None) -> None:
    """A run that ends takes away what killed ones left, all that was not young when it began."""
    if began is None:
        return
    beside = [path for path in out.parent.iterdir() if path.name != out.name]
    left = [path.name for path in beside if path.stat().st_mtime < began - YOUNG]
    assert not left, f"left over: {left}"


def check_bundle(path: Path) -> None:
    from panda_edge.bundle.folder import open_bundle
    from panda_edge.bundle.manifest import check_seal
    from panda_edge.errors import PandaError

    try:
        bundle = open_bundle(path)
        check_seal(path)
        for name in bundle.manifest.files:
            bundle.checked_file(name)
    except PandaError as error:
        raise AssertionError(str(error)) from error


def _fitted(folder: Path) -> Path:
    """The bundle that the others work with: PANDA_BUNDLE's copy, or one fitted here."""
    bundle = folder / "fitted" / "x.panda"
    given = os.environ.get("PANDA_BUNDLE")
    if not bundle.exists() and given:
        shutil.copytree(given, bundle)
    elif not bundle.exists():
        program, *arguments = fit(folder, bundle).arguments(0)
        subprocess.run([Path(sys.executable).with_name(program), *arguments], check=True, stdout=subprocess.DEVNULL)
    return bundle


def sign(folder: Path) -> Subject:
    from panda_edge.bundle.folder import open_bundle
    from panda_edge.errors import PandaError

    bundle = folder / "signed" / "x.panda"
    if not bundle.exists():
        shutil.copytree(_fitted(folder), bundle)

    def arguments(number: int) -> list[str]:
        return ["panda-train", "sign", str(bundle), "--key", str(folder / "line.key"), "--comment", f"number {number}"]

    def check(began: float | None) -> None:
        try:
            signature = open_bundle(bundle, folder / "line.pub").signature
        except PandaError as error:
            raise AssertionError(str(error)) from error
        assert signature is not None
        assert signature.comment.startswith("number "), signature.comment
        left = list(bundle.glob(".*"))
        assert began is None or not left, f"left over: {left}"

    return Subject(arguments, check)


def extend(folder: Path) -> Subject:
    """Two bundles, each with another picture added, take turns at one path; the one they come from stays as it is."""
    bundle, out = _fitted(folder), folder / "extended" / "x.panda"
    pictures = sorted((folder / "sample" / "test").rglob("*.png"))
    before = (bundle / "manifest.json").read_bytes()

    def arguments(number: int) -> list[str]:
        return ["panda-edge", "extend", str(bundle), str(pictures[number % 2]), "--out", str(out)]

    def check(began: float | None) -> None:
        assert (bundle / "manifest.json").read_bytes() == before, "the bundle that was extended has changed"
        check_bundle(out)
        check_left(out, began)

    return Subject(arguments, check)


def segment(folder: Path) -> Subject:
    bundle, out = _fitted(folder), folder / "maps"
    pictures = len(list((folder / "sample" / "test").rglob("*.png")))

    def arguments(number: int) -> list[str]:
        return ["panda-edge", "segment", str(bundle), str(folder / "sample" / "test"), "--out", str(out)]

    def check(began: float | None) -> None:
        files = [path for path in out.rglob("*") if path.is_file()]
        whole = [path for path in files if not path.name.endswith(".part")]
        for path in whole:
            _load(path)
        assert began is None or len(files) == len(whole) == 2 * pictures, f"{len(files)} files, {len(whole)} whole"

    return Subject(arguments, check)


def _load(path: Path) -> None:
    try:
        if path.suffix == ".npy":
            np.load(path)
        else:
            with Image.open(path) as image:
                image.load()
    except Exception as error:
        raise AssertionError(f"{path} is not whole: {error}") from error


def evaluate(folder: Path) -> Subject:
    """It writes nothing; what it reads is as it was."""
    bundle, sample = _fitted(folder), folder / "sample"
    before = {path: path.read_bytes() for path in sample.rglob("*") if path.is_file()}

    def check(began: float | None) -> None:
        check_bundle(bundle)
        after = {path: path.read_bytes() for path in sample.rglob("*") if path.is_file()}
        assert before == after, "the data set has changed"

    return Subject(lambda number: ["panda-train", "evaluate", str(bundle), str(sample), "--json"], check)


def paper(folder: Path) -> Subject:
    """Rows so far are kept, and a finished table is begun anew."""
    out = folder / "paper"
    had: list[list[dict[str, object]]] = [[]]

    def arguments(number: int) -> list[str]:
        return ["panda-train", "paper", "flowers", "--data", str(folder / "classes"), "--out", str(out), "--methods",
                "dn2,centre", "--classes", "one", "--train-images", "16", "--device", "cpu"]  # fmt: skip

    def check(began: float | None) -> None:
        files = list(out.glob("*.json")) if out.exists() else []
        assert len(files) <= 1, f"{files}"
        rows = json.loads(files[0].read_text()) if files else []
        assert rows[: len(had[0])] == had[0], f"{len(had[0])} rows became {len(rows)}"
        had[0] = rows
        if began is not None:
            assert len(rows) == _PAPER_ROWS, f"{len(rows)} rows"
            assert not list(out.glob("*.part")), f"{list(out.iterdir())}"
        if len(rows) == _PAPER_ROWS:
            shutil.rmtree(out)
            had[0] = []

    return Subject(arguments, check, done=lambda: len(had[0]))


def watch(folder: Path) -> Subject:
    """Lines, saved frames and the drift's state: what a killed run left is gone on with."""
    bundle, out = _fitted(folder), folder / "watched"
    lines, saved, state = out / "lines.jsonl", out / "saved", out / "drift.json"
    out.mkdir(exist_ok=True)

    def arguments(number: int) -> list[str]:
        options = ["--once", "--fpr", "0.9", "--threads", "1", "--drift-state", str(state)]
        kept = ["--jsonl", str(lines), "--save", str(saved)]
        return ["panda-edge", "watch", str(bundle), str(folder / "sample" / "test"), *options, *kept]

    def check(began: float | None) -> None:
        whole, _, unfinished = (lines.read_bytes() if lines.exists() else b"").rpartition(b"\n")
        ids = [json.loads(line)["id"] for line in whole.splitlines()]
        assert len(ids) == len(set(ids)), "a line stands twice"
        assert began is None or not unfinished, f"ends in {unfinished[:80]!r}"
        if state.exists():
            json.loads(state.read_bytes())
        files = list(saved.iterdir()) if saved.exists() else []
        for path in files:
            if path.suffix == ".png" and not path.name.startswith("."):
                _load(path)
        assert began is None or not [path for path in files if path.name.startswith(".")], f"left over: {files}"

    return Subject(arguments, check)


def extend_under_watch(folder: Path) -> Subject:
    """The bundle that is written is at work in a `watch`, which gets bursts of SIGHUP and must go on judging."""
    bundle, out = _fitted(folder), folder / "at_work" / "x.panda"
    pictures = sorted((folder / "sample" / "test").rglob("*.png"))
    if not out.exists():
        shutil.copytree(bundle, out)
    watch = Watch(out, folder / "at_work", pictures)

    def arguments(number: int) -> list[str]:
        return ["panda-edge", "extend", str(bundle), str(pictures[number % 2]), "--out", str(out)]

    def check(began: float | None) -> None:
        check_bundle(out)
        watch.check()

    return Subject(arguments, check)


def two_fits(folder: Path) -> Subject:
    """Beside the run that is killed another one writes to the same path; whichever comes last, it is whole. A small
    network makes both spend most of their time with the bundle."""
    network = folder / "small.onnx"
    write_network(network)
    alone = fit(folder, folder / "two" / "x.panda", ["--backbone", str(network)])
    others: list[int] = []

    def arguments(number: int) -> list[str]:
        if not others or os.waitpid(others[0], os.WNOHANG)[0]:
            others[:] = [forked(alone.arguments(number + 1))]
        return alone.arguments(number)

    def check(began: float | None) -> None:
        if (folder / "two" / "x.panda").exists():
            check_bundle(folder / "two" / "x.panda")

    return Subject(arguments, check, may_refuse=True)


def write_network(path: Path) -> None:
    """Two convolutions with random weights, as `--backbone FILE.onnx` takes them."""
    random, channels, stride = np.random.default_rng(0), (3, 4, 8), (8, 2)
    weights = [
        numpy_helper.from_array(random.normal(size=(channels[i + 1], channels[i], by, by)).astype(np.float32), f"w{i}")
        for i, by in enumerate(stride)
    ]
    nodes = [
        helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], strides=[by] * 2) for i, by in enumerate(stride)
    ]
    given, *maps = [
        helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, ["n", channels[i], None, None]) for i in range(3)
    ]
    graph = helper.make_graph(nodes, "small", [given], maps, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(path))


SUBJECTS = {"fit": fit, "sign": sign, "extend": extend, "segment": segment, "evaluate": evaluate, "paper": paper,
            "watch": watch, "two fits": two_fits, "extend under watch": extend_under_watch}  # fmt: skip
