"""What is fuzzed: each target takes bytes as somebody else may have written them, and uses them as the commands do.

A PandaError of one line is an answer. Anything else that escapes is a find, and so is more than SECONDS of processor
time.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np

from fuzz import whole_folder
from fuzz.small_bundles import KINDS, SIZE, VECTORS, write_small_bundle
from fuzz.small_model import write_model
from panda_edge.banks.embeddings import EMBEDDINGS_FILE, HnswBank
from panda_edge.banks.query import FrameFeatures
from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.bundle.folder import Bundle, open_bundle, sha256
from panda_edge.bundle.manifest import MANIFEST_NAME, SCORE_RULES, DecisionRule, FileEntry, check_seal, read_manifest
from panda_edge.bundle.selftest import SELFTEST_FILE, read_selftest
from panda_edge.bundle.signature import SIGNATURE_NAME, read_public_key, read_signature
from panda_edge.commands.each_image import decided
from panda_edge.decide.calibration import CALIBRATION_FILE, SCORES, image_scores, open_calibration
from panda_edge.decide.decision import Decider
from panda_edge.detector import MODEL_FILE, load
from panda_edge.errors import PandaError
from panda_edge.images.preprocessing import Preprocessing
from panda_edge.images.quality import measure_quality
from panda_edge.images.reading import image_size, open_image_bytes
from panda_edge.images.tiling import Tiling
from panda_edge.inspect.info import describe
from panda_edge.inspect.verify import verify
from panda_edge.search.scoring import Scorer
from panda_edge.visualise.overlay import color_scale, overlay
from panda_train.data.mask_pixels import read_mask

SECONDS = 5.0
_MOST_VALUES = 1_000_000  # of a frame's features, beyond which a target does not score what it has opened
_MOST_FRAMES = 64  # of a picture; a bundle may ask for 4,096, each of which costs what it costs
_PICTURE = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Target:
    """run: takes the bytes. most_bytes: of an input. most_mb: of the whole process, interpreter and libraries, too."""

    run: Callable[[bytes], None]
    most_bytes: int
    most_mb: int


class Find(AssertionError):
    """What a target must not do."""


def check(name: str, data: bytes) -> bool:
    """Whether a target took the bytes; False where it refused them. Raises Find, or what escaped."""
    started = time.process_time()
    taken = True
    try:
        TARGETS[name].run(data)
    except PandaError as error:
        taken = False
        if len(str(error).splitlines()) != 1 or len(str(error)) > 2000:
            raise Find(f"not one line: {str(error)[:400]!r}") from error
    spent = time.process_time() - started
    if spent > SECONDS:
        raise Find(f"{spent:.1f} s of processor time")
    return taken


@cache
def folder() -> Path:
    """Where a target puts its files: memory, where the system has a file system in it."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="panda-fuzz-", dir=memory if memory.is_dir() else None))


def remove_folder() -> None:
    """Removes it, and all that was kept of it: the next target makes its own."""
    shutil.rmtree(folder(), ignore_errors=True)
    for kept in (folder, small_bundle, whole_bundle, opened):
        kept.cache_clear()


@cache
def small_bundle(kind: str, purpose: str = "seed") -> Path:
    """A small bundle that is there for one purpose alone: targets change what they work on."""
    path = folder() / f"{purpose}-{kind}.panda"
    write_small_bundle(path, kind)
    return path


@cache
def whole_bundle(kind: str) -> tuple[Path, dict[str, bytes]]:
    """A small bundle with a model, and its files but that: the manifest first."""
    path = small_bundle(kind, "whole")
    write_model(path / MODEL_FILE)
    names = (MANIFEST_NAME, *(name for name in write_manifest(path, read_manifest(path)).files if name != MODEL_FILE))
    return path, {name: (path / name).read_bytes() for name in names}


@cache
def opened(kind: str) -> Bundle:
    return open_bundle(small_bundle(kind, "files"))


def _with_file(kind: str, name: str, data: bytes) -> Bundle:
    """A small bundle one of whose files holds other bytes, its size and hash made good again."""
    bundle = opened(kind)
    path = bundle.path / name
    path.write_bytes(data)
    entry = FileEntry(len(data), sha256(path))
    return replace(bundle, manifest=replace(bundle.manifest, files={**bundle.manifest.files, name: entry}))


def manifest(data: bytes) -> None:
    """The first byte chooses the bundle, the rest is its manifest. What opens is scored with, once."""
    path = small_bundle(KINDS[data[0] % len(KINDS)] if data else KINDS[0], "manifest")
    (path / MANIFEST_NAME).write_bytes(data[1:])
    bundle = open_bundle(path)
    json.dumps(describe(path), allow_nan=False)
    scorer = Scorer(bundle, 1)
    calibration = open_calibration(bundle)
    read_selftest(bundle)
    found = bundle.manifest
    if found.embedding_size + sum(lv.height * lv.width * lv.channels for lv in found.levels) < _MOST_VALUES:
        levels = [np.zeros((level.height * level.width, level.channels), np.float32) for level in found.levels]
        scorer.score(FrameFeatures(np.zeros(found.embedding_size, np.float32), levels, 0.0))
    if calibration is not None:
        Decider(calibration, 0.01).decide(dict.fromkeys(SCORES, 1.0), None, found.preprocessing.alone)
    found.preprocessing.view((640, 480))
    check_seal(path)


def whole(data: bytes) -> None:
    """A folder some of whose files are somebody else's, their hashes made good again, at work as the commands let it.
    Its model stays: onnxruntime's own readers are not ours (SECURITY.md)."""
    number, changed = whole_folder.unpack(data)
    path, own = whole_bundle(KINDS[number % len(KINDS)])
    names = list(own)
    files = {names[which % len(names)]: content for which, content in changed}
    manifest = files.pop(MANIFEST_NAME, own[MANIFEST_NAME])
    whole_folder.write(path, files, manifest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            _at_work(path)
    finally:
        whole_folder.write(path, {name: own[name] for name in files}, own[MANIFEST_NAME])


def _at_work(path: Path) -> None:
    """verify, detect and segment. A warning of numpy's would stand on a user's stderr, and is an error here."""
    with suppress(PandaError):  # a self-test that is not met says nothing of what `detect` does
        json.dumps(verify(path, 1), allow_nan=False)
    detector = load(path, 1)
    if detector.preprocessing.view((_PICTURE.shape[1], _PICTURE.shape[0])).count > _MOST_FRAMES:
        return
    seen, mapped = detector.detect(_PICTURE), detector.segment(_PICTURE)
    for result in (seen, mapped):
        json.dumps({"score": result.score, **decided(result)}, allow_nan=False)
        if result.p_value is not None and not 0 < result.p_value <= 1:
            raise Find(f"a p-value of {result.p_value}")
    if np.isinf(mapped.heatmap_on_image()).any():
        raise Find("a heat map that is not finite")
    overlay(_PICTURE, mapped, color_scale(detector.bundle.manifest.segmentation))


def array(data: bytes) -> None:
    """An array that is mapped, and then read to its end."""
    bundle = _with_file("exact", EMBEDDINGS_FILE, data)
    np.isnan(bundle.array(EMBEDDINGS_FILE, (bundle.manifest.detection.count, SIZE), "float32")).any()


def calibration(data: bytes) -> None:
    bundle = _with_file("exact", CALIBRATION_FILE, data)
    heatmap = np.ones((64, 64), np.float32)
    for rule in SCORE_RULES:
        found = open_calibration(replace(bundle, manifest=replace(bundle.manifest, decision=DecisionRule(rule))))
        decider, raw = Decider(found, 0.01), image_scores(1.0, heatmap, local=1.0)
        p_value = decider.decide(raw, heatmap, bundle.manifest.preprocessing.alone).p_value
        if not 0 < p_value <= 1:
            raise Find(f"a p-value of {p_value}")


def selftest(data: bytes) -> None:
    read_selftest(_with_file("exact", SELFTEST_FILE, data))


def image(data: bytes) -> None:
    """A picture on its way to a frame, whole and in tiles."""
    path = folder() / "picture"
    path.write_bytes(data)
    for preprocessing in (Preprocessing(64, 64), Preprocessing(16, 16, tiles=Tiling(scale=1.0))):
        opened = open_image_bytes(data, "picture", preprocessing.draft_size)
        if image_size(path) != opened.full_size:
            raise Find(f"a header of {image_size(path)}, a picture of {opened.full_size}")
        frame = preprocessing.canvas(opened.image, preprocessing.view(opened.full_size))
        if frame.dtype != np.uint8 or frame.ndim != 3:
            raise Find(f"a frame of {frame.dtype} {frame.shape}")
        measure_quality(opened.image, preprocessing)


def mask(data: bytes) -> None:
    path = folder() / "mask.png"
    path.write_bytes(data)
    if read_mask(path).dtype != bool:
        raise Find("a mask that is not of True and False")


def hnsw(data: bytes) -> None:
    """An index, checked, then given to hnswlib and searched."""
    path = folder() / "index.hnsw"
    path.write_bytes(data)
    bank = HnswBank(path, VECTORS, SIZE, 20, 1)
    distances, numbers = bank.nearest(np.linspace(-1, 1, 3 * SIZE, dtype=np.float32).reshape(3, SIZE), 2)
    if numbers.min() < 0 or numbers.max() >= VECTORS or not (distances >= 0).all():
        raise Find(f"vectors {numbers.tolist()} at {distances.tolist()}")


def signature(data: bytes) -> None:
    """A signature and a public key."""
    path = small_bundle("exact", "signature")
    (path / SIGNATURE_NAME).write_bytes(data)
    (folder() / "key.pub").write_bytes(data)
    for read in (lambda: read_signature(path).facts(), lambda: read_public_key(folder() / "key.pub").text()):
        try:
            read()
        except PandaError as error:
            if len(str(error).splitlines()) != 1:
                raise
    read_signature(path)


def _seat(name: str, module: str = "fuzz.seats") -> Callable[[bytes], None]:
    """A target of a module which reads more libraries than most need."""
    return lambda data: getattr(import_module(module), name)(data)  # type: ignore[no-any-return]


# The process itself has 150 to 250 MB. A picture of 100 megapixels with transparency is 400 MB, and is laid on white.
TARGETS = {
    "manifest": Target(manifest, 20_000, 1024),
    "whole": Target(whole, 40_000, 1024),
    "array": Target(array, 4096, 512),
    "calibration": Target(calibration, 4096, 512),
    "selftest": Target(selftest, 100_000, 512),
    "image": Target(image, 20_000, 2048),
    "mask": Target(mask, 20_000, 2048),
    "hnsw": Target(hnsw, 8192, 512),
    "signature": Target(signature, 1024, 512),
    "special": Target(_seat("special"), 64, 512),
    "model": Target(_seat("model"), 64, 512),
    "request": Target(_seat("request"), 20_000, 512),
    "receiver": Target(_seat("receiver"), 20_000, 512),
    "address": Target(_seat("address"), 512, 512),
    "kept": Target(_seat("kept"), 10_000, 512),
    "changing": Target(_seat("changing", "fuzz.changing_folder"), 200, 512),
}
