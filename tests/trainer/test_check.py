"""`panda-train check`: each thing that is wrong with a data set is found, and only that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from panda_train import backbones
from panda_train.check.page import page_of
from panda_train.check.report import Report, check
from panda_train.commands import app as cli
from panda_train.data.folders import open_dataset
from tiny import TinyBackbone

NORMAL, TEST = 24, 8
FPR = 0.1  # 9 normal pictures suffice


def photo(seed: int, height: int = 48, width: int = 64) -> Image.Image:
    """A picture of parts of a kind, each another one: blocks, seen sharply."""
    random = np.random.default_rng(seed)
    blocks = random.integers(60, 190, (height // 8, width // 8, 3))
    picture = np.repeat(np.repeat(blocks, 8, 0), 8, 1) + random.integers(-20, 20, (height, width, 3))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set with which nothing is wrong."""
    root = tmp_path / "data"
    for part, first, count in (("train/good", 0, NORMAL), ("test/good", 100, TEST), ("test/hole", 200, TEST)):
        (root / part).mkdir(parents=True)
        for number in range(count):
            photo(first + number).save(root / part / f"{number:02d}.png")
    mask = Image.new("L", (64, 48))
    mask.paste(255, (8, 8, 24, 24))
    (root / "ground_truth" / "hole").mkdir(parents=True)
    for number in range(TEST):
        mask.save(root / "ground_truth" / "hole" / f"{number:02d}_mask.png")
    return root


def looked(root: Path) -> Report:
    return check(open_dataset(root), FPR, compare=False)


def test_nothing_is_wrong(data: Path) -> None:
    report = looked(data)
    assert report.findings == []
    assert report.counts == {"train/good": NORMAL, "test/good": TEST, "test/hole": TEST}
    assert report.lines()[-1] == "no problems"


def unreadable(data: Path) -> None:
    (data / "train/good/03.png").write_bytes((data / "train/good/03.png").read_bytes()[:300])


def copy_in_train(data: Path) -> None:
    (data / "train/good/copy.png").write_bytes((data / "train/good/00.png").read_bytes())


def near_copy_in_train(data: Path) -> None:
    Image.open(data / "train/good/00.png").save(data / "train/good/near.jpg", quality=97, subsampling=0)


def leak(data: Path) -> None:
    (data / "test/good/copy.png").write_bytes((data / "train/good/00.png").read_bytes())


def both(data: Path) -> None:
    (data / "test/good/copy.png").write_bytes((data / "test/hole/00.png").read_bytes())


def no_mask(data: Path) -> None:
    (data / "ground_truth/hole/00_mask.png").unlink()


def stray_mask(data: Path) -> None:
    Image.new("1", (64, 48), 1).save(data / "ground_truth/hole/99_mask.png")


def empty_mask(data: Path) -> None:
    Image.new("1", (64, 48)).save(data / "ground_truth/hole/00_mask.png")


def mask_of_another_size(data: Path) -> None:
    Image.new("1", (48, 64), 1).save(data / "ground_truth/hole/00_mask.png")


def mask_that_is_none(data: Path) -> None:
    photo(7).convert("L").save(data / "ground_truth/hole/00_mask.png")


def black(data: Path) -> None:
    Image.fromarray(np.asarray(photo(300)) // 20).save(data / "train/good/03.png")


def overexposed(data: Path) -> None:
    Image.fromarray((np.asarray(photo(300)) + np.uint8(60)).clip(250, 255)).save(data / "test/good/03.png")


def blurred(data: Path) -> None:
    small = photo(300).resize((16, 12), Image.Resampling.BOX)
    small.resize((64, 48), Image.Resampling.BICUBIC).save(data / "train/good/03.png")


def turned(data: Path) -> None:
    photo(300, 64, 48).save(data / "train/good/03.png")


def grey_among_colours(data: Path) -> None:
    photo(300).convert("L").save(data / "train/good/03.png")


def too_few(data: Path) -> None:
    for number in range(6, NORMAL):
        (data / f"train/good/{number:02d}.png").unlink()


WRONG = {
    unreadable: ("unreadable", ["03.png"]),
    copy_in_train: ("copies", ["00.png", "copy.png"]),
    near_copy_in_train: ("copies", ["00.png", "near.jpg"]),
    leak: ("leak", ["00.png", "copy.png"]),
    both: ("both", ["copy.png", "00.png"]),
    no_mask: ("no-mask", ["00.png"]),
    stray_mask: ("stray-mask", ["99_mask.png"]),
    empty_mask: ("bad-mask", ["00_mask.png"]),
    mask_of_another_size: ("bad-mask", ["00_mask.png"]),
    mask_that_is_none: ("bad-mask", ["00_mask.png"]),
    black: ("black", ["03.png"]),
    overexposed: ("overexposed", ["03.png"]),
    blurred: ("blurred", ["03.png"]),
    turned: ("turned", ["03.png"]),
    grey_among_colours: ("modes", ["03.png"]),
    too_few: ("few", []),
}


@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__)
def test_what_is_wrong_is_found(data: Path, spoil: Callable[[Path], None]) -> None:
    spoil(data)
    kind, names = WRONG[spoil]
    report = looked(data)
    found = {one.kind: [path.name for path in one.paths] for one in report.findings if one.problem}
    assert found.get(kind) == names
    assert set(found) <= {kind, "flat"}  # what is black or burnt out is flat, too
    assert all("\n" not in line for line in report.lines())


def test_pictures_of_ten_bits(data: Path) -> None:
    for path in [*(data / "train").rglob("*.png"), *(data / "test").rglob("*.png")]:
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        Image.fromarray(grey * 4 + (grey >> 6)).save(path)
    assert looked(data).findings == []
    (data / "test/good/copy.tif").write_bytes(b"")
    Image.open(data / "train/good/00.png").save(data / "test/good/copy.tif")
    (found,) = looked(data).findings
    assert (found.kind, [path.name for path in found.paths]) == ("leak", ["00.png", "copy.tif"])


def test_each_picture_is_decoded_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "load", lambda *_: TinyBackbone())
    decoded = []

    def counting(image: ImageFile.ImageFile) -> None:
        decoded.append(image.size)
        prepare(image)

    prepare = ImageFile.ImageFile.load_prepare
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", counting)
    check(open_dataset(data), FPR)
    assert len(decoded) == NORMAL + 2 * TEST + TEST  # of the pictures, and of the masks


class TestByEmbeddings:
    @pytest.fixture(autouse=True)
    def small_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backbones, "load", lambda *_: TinyBackbone())

    def test_a_defect_that_slipped_in_comes_first(self, data: Path) -> None:
        image = photo(11)
        image.paste((255, 0, 0), (4, 4, 60, 30))
        image.save(data / "train/good/11.png")
        report = check(open_dataset(data), FPR)
        assert report.least[0][0].name == "11.png"
        assert [one.paths[0].name for one in report.findings if one.kind == "unlike"] == ["11.png"]
        page = page_of(report).decode()
        assert page.count("train/good/11.png") == 3 * 2  # found, least like the others, on the sheet; label and words
        assert "<script" not in page

    def test_test_normals_that_are_drawn_otherwise(self, data: Path) -> None:
        for number in range(60):
            image = photo(400 + number)
            Image.fromarray((np.asarray(image) * np.array([1.3, 0.8, 0.5])).clip(0, 255).astype(np.uint8)).save(
                data / "test/good" / f"{number + 20}.png"
            )
        (found,) = [one for one in check(open_dataset(data), FPR).findings if one.kind == "drift"]
        assert "normal test pictures" in found.text

    def test_the_command(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def run(*more: str) -> tuple[int, str]:
            monkeypatch.setattr(sys, "argv", ["panda-train", "check", str(data), "--fpr", str(FPR), *more])
            with pytest.raises(SystemExit) as stopped:
                cli.main()
            return int(stopped.value.code or 0), capsys.readouterr().out

        assert run("--strict", "--html", str(tmp_path / "page.html"))[0] == 0
        assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
        leak(data)
        code, out = run("--strict", "--json")
        assert code == 1
        assert json.loads(out)["findings"][0]["kind"] == "leak"
        assert run("--json")[0] == 0


def test_the_files_are_looked_at_without_torch(data: Path) -> None:
    """The first part has spoken before the network is loaded."""
    code = (
        "import sys; from pathlib import Path; from panda_train.check.report import check;"
        "from panda_train.data.folders import open_dataset;"
        f"check(open_dataset(Path({str(data)!r})), compare=False); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
