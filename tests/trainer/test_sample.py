"""The made data set: what is in it, that it is the same each time, and that nothing of the user's is touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from panda_edge.errors import DataError
from panda_train.data.defects import DEFECTS
from panda_train.data.folders import open_dataset
from panda_train.data.mask_pixels import read_mask
from panda_train.data.sample import make_sample
from panda_train.data.textures import TEXTURES


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample") / "data", train_images=4, test_images=3)


def test_it_is_one_data_set_in_mvtec_layout(made: Path) -> None:
    dataset = open_dataset(made)
    assert dataset.layout == "mvtec"
    assert len(dataset.train) == 4 * len(TEXTURES)
    kinds = {sample.kind for sample in dataset.test}
    assert kinds == {"good", *DEFECTS}
    assert len(dataset.test) == 3 * len(TEXTURES) * len(kinds)
    for sample in dataset.test:
        assert sample.anomalous == (sample.kind != "good") == bool(sample.masks)


def test_masks_are_of_the_image_size_and_cover_a_defect(made: Path) -> None:
    for sample in open_dataset(made).test:
        if not sample.masks:
            continue
        mask = read_mask(*sample.masks)
        with Image.open(sample.path) as image:
            assert mask.shape == (image.height, image.width)
        assert 0.0005 < mask.mean() < 0.3, sample.path


@pytest.mark.parametrize("kind", DEFECTS)
def test_defects_change_what_the_mask_says_and_little_else(kind: str) -> None:
    rng = np.random.default_rng(3)
    photograph, foreign = rng.uniform(90, 160, (2, 160, 160))
    image, mask = DEFECTS[kind](photograph, foreign, rng)
    change = np.abs(image - photograph)
    assert change[mask].mean() > 10
    assert change[~mask].mean() < 1
    far = ~np.array(Image.fromarray(mask).resize((40, 40), Image.Resampling.BOX).resize((160, 160)), dtype=bool)
    assert change[far].mean() < 0.5


def test_normal_pictures_are_drawn_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a photograph that brightens from left to right, training and test crops come from all of it, and from the
    same places on average: else a calibration on the former would promise nothing for the latter."""
    import panda_train.data.sample as module

    brightening = np.linspace(50.0, 200.0, 512)[None].repeat(512, axis=0)
    monkeypatch.setattr(module, "photograph", lambda name: brightening)
    dataset = open_dataset(make_sample(tmp_path / "s", train_images=60, test_images=60, texture="brick", size=64))
    train = [np.asarray(Image.open(path)).mean() for path in dataset.train]
    good = [np.asarray(Image.open(sample.path)).mean() for sample in dataset.test if not sample.anomalous]
    for means in (train, good):
        assert min(means) < 80
        assert max(means) > 170
    assert stats.ks_2samp(train, good).pvalue > 0.01


def test_seed_decides_every_byte(tmp_path: Path) -> None:
    few = {"train_images": 1, "test_images": 1}
    first = digest(make_sample(tmp_path / "a", seed=1, **few))
    assert digest(make_sample(tmp_path / "b", seed=1, **few)) == first
    assert digest(make_sample(tmp_path / "c", seed=2, **few)) != first


def test_its_own_folder_is_replaced_and_any_other_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make_sample(out, seed=1, train_images=2, test_images=1)
    make_sample(out, seed=1, train_images=1, test_images=1, texture="grass")
    assert len(list((out / "train" / "good").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "no temporary folder may stay"

    (out / "train" / "good" / "mine.png").write_bytes(b"precious")
    before = digest(out)
    with pytest.raises(DataError, match=r"files that are not this command's \(train/good/mine.png\)"):
        make_sample(out)
    assert digest(out) == before

    empty = tmp_path / "empty"
    empty.mkdir()
    make_sample(empty, train_images=1, test_images=1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is not a folder"):
        make_sample(tmp_path / "file")


def test_nothing_is_left_when_it_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import panda_train.data.sample as module

    def full_disk(path: Path, image: np.ndarray) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        make_sample(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_unknown_arguments(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got texture 'marble'; expected one of brick"):
        make_sample(tmp_path / "out", texture="marble")
    with pytest.raises(DataError, match="got a sample size of 500"):
        make_sample(tmp_path / "out", size=500)
