"""What the fuzzer starts from, and what it has found, without the fuzzer: every input gets an answer."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import targets, whole_folder
from fuzz.mutate import MUTATORS
from fuzz.seeds import seeds
from fuzz.small_bundles import KINDS
from PIL import Image

from panda_edge.banks.embeddings import EMBEDDINGS_FILE
from panda_edge.bundle.selftest import SELFTEST_FILE
from panda_edge.errors import BundleError, DataError, ImageError, PandaError
from panda_edge.images.reading import stored_image
from panda_edge.stream.sources.folder import FolderSource
from panda_train.data.mask_pixels import read_mask

TAKEN = {
    "whole": 81, "manifest": 8, "array": 1, "calibration": 1, "selftest": 1, "image": 21, "mask": 10, "hnsw": 1,
    "signature": 1, "special": 13, "model": 13, "request": 28, "receiver": 10, "address": 11, "kept": 35,
    "changing": 19,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _removed() -> Iterator[None]:
    yield
    targets.remove_folder()


@pytest.mark.parametrize("target", targets.TARGETS)
def test_every_seed_gets_an_answer(target: str) -> None:
    """Whole files are taken, lies are refused in one line, without a warning on the way."""
    assert sum(targets.check(target, seed) for seed in seeds(target)) == TAKEN[target]


@pytest.mark.parametrize("target", MUTATORS)
def test_changed_seeds_get_an_answer(target: str) -> None:
    """Mutations that keep the form, as the fuzzer makes them: some come past the first check."""
    start = seeds(target)
    taken = 0
    for number in range(300):
        data = MUTATORS[target](
            start[number % len(start)], targets.TARGETS[target].most_bytes, number, lambda data, most: data[: most // 3]
        )
        taken += targets.check(target, data)
    assert 0 < taken < 300


def test_a_find_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the checks: an escape, two lines, a hang."""

    def two_lines(data: bytes) -> None:
        raise BundleError("one\ntwo")

    def escapes(data: bytes) -> None:
        raise KeyError("x")

    for run, kind in ((two_lines, targets.Find), (escapes, KeyError)):
        monkeypatch.setitem(targets.TARGETS, "array", targets.Target(run, 1, 1))
        with pytest.raises(kind):
            targets.check("array", b"")
    monkeypatch.setitem(targets.TARGETS, "array", targets.Target(lambda data: None, 1, 1))
    monkeypatch.setattr(targets, "SECONDS", -1.0)
    with pytest.raises(targets.Find, match="processor time"):
        targets.check("array", b"")


def test_a_folder_as_an_input() -> None:
    """What is packed is unpacked; what a target is given is written, with its hash, and is gone for the next one."""
    files = [(1, b"x"), (3, b""), (1, b"again")]
    assert whole_folder.unpack(whole_folder.pack(2, files)) == (2, files)
    assert whole_folder.unpack(whole_folder.pack(2, files)[:-2]) == (2, [*files[:2], (1, b"aga")])
    assert whole_folder.unpack(b"") == (0, [])
    kind = KINDS.index("exact")
    path, own = targets.whole_bundle("exact")
    number = list(own).index(EMBEDDINGS_FILE)
    assert not targets.check("whole", whole_folder.pack(kind, [(number, own[EMBEDDINGS_FILE][:-1])]))
    far = np.load(path / EMBEDDINGS_FILE)
    far[:] = 3e38
    stream = io.BytesIO()
    np.save(stream, far)
    with pytest.raises(PandaError, match="distances are not finite"):  # it comes past the hashes, to the search
        targets.whole(whole_folder.pack(kind, [(number, stream.getvalue())]))
    assert {name: (path / name).read_bytes() for name in own} == own
    assert targets.check("whole", whole_folder.pack(kind, []))


def test_a_self_test_is_no_bomb() -> None:
    """Found: a compressed self-test of 200 kB became 200 MB in memory before its shape was looked at."""
    stream = io.BytesIO()
    whole = np.load(targets.small_bundle("exact") / SELFTEST_FILE)
    np.savez_compressed(stream, **whole)
    assert not targets.check("selftest", stream.getvalue())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # a header that promises more than the member has
        for name in whole:
            archive.writestr(f"{name}.npy", b"\x93NUMPY\1\0\x76\0" + b"{'descr': '|u1', 'fortran_order': False, "
                             b"'shape': (1099511627776,), }".ljust(117) + b"\n")  # fmt: skip
    assert not targets.check("selftest", stream.getvalue())


@pytest.mark.parametrize(
    "damage", [b"", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n" + bytes(60), b"II*\0" + b"\xff" * 60]
)
def test_a_mask_that_is_no_picture_is_one_line(tmp_path: Path, damage: bytes) -> None:
    """Found: Pillow's decoders raise more types than a mask's reader expected."""
    path = tmp_path / "mask.png"
    path.write_bytes(damage)
    with pytest.raises(DataError, match=r"cannot be read as a mask"):
        read_mask(path)


def test_a_large_mask_says_nothing_on_stderr(tmp_path: Path) -> None:
    """Found: from 89 megapixels Pillow warns of a bomb, below our own limit of 100; beyond it a mask was decoded."""
    Image.new("1", (9600, 9600)).save(tmp_path / "large.png")
    Image.new("1", (10_240, 10_240)).save(tmp_path / "larger.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not read_mask(tmp_path / "large.png").any()
        with pytest.raises(DataError, match="more than the 100 megapixels"):
            read_mask(tmp_path / "larger.png")


def test_an_image_of_another_mode_is_not_decoded(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "colour.png")
    assert stored_image(tmp_path / "colour.png").mode == "RGB"
    with pytest.raises(ImageError, match="mode RGB"):
        stored_image(tmp_path / "colour.png", ("1", "L"))


def test_a_picture_passed_over_in_a_changing_folder_is_a_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the check: a source that forgets one name."""
    forgets = FolderSource._if_whole

    def forgetful(source: FolderSource, file: str, pending: dict[str, Any]) -> Any:
        if file.endswith("b.bmp"):
            del pending[file]
            return None
        return forgets(source, file, pending)

    made = bytes([0, 1])  # a.bmp and b.bmp
    assert targets.check("changing", made)
    monkeypatch.setattr(FolderSource, "_if_whole", forgetful)
    with pytest.raises(targets.Find, match=r"b\.bmp was passed over in silence"):
        targets.check("changing", made)
