"""The sample as a video."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_edge.errors import DataError, PandaError
from panda_train.commands.sample import sample
from panda_train.data.sample import make_sample
from panda_train.data.sample_video import write_sample_video


def frames(path: Path) -> list[np.ndarray]:
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample") / "data", train_images=1, test_images=6, size=65)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_good_pictures_and_now_and_then_a_defect(made: Path, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
    write_sample_video(made, tmp_path / f"line{suffix}", seed=1)
    found = frames(tmp_path / f"line{suffix}")
    assert len(found) == 3 * (18 + 2)
    assert found[0].shape == (64, 64)
    assert [path.name for path in tmp_path.iterdir()] == [f"line{suffix}"]
    good = [np.asarray(Image.open(path).convert("L"))[:64, :64] for path in sorted((made / "test/good").glob("*.png"))]
    nearest = [min(np.abs(frame.astype(float) - picture).mean() for picture in good) for frame in found]
    assert np.median(nearest) < 3  # grey values that the codec costs
    assert sum(np.array(nearest) > 3) <= 6


def test_the_same_seed_gives_the_same_frames(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
    for name, seed in (("a.mp4", 3), ("b.mp4", 3), ("c.mp4", 4)):
        write_sample_video(made, tmp_path / name, seed)
    a, b, c = (np.stack(frames(tmp_path / name)) for name in ("a.mp4", "b.mp4", "c.mp4"))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_mistakes_are_one_line_and_leave_nothing(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"line\.gif: expected a name that ends in \.mp4"):
        sample(tmp_path / "out", video=tmp_path / "line.gif")
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
    (tmp_path / "file").touch()
    with pytest.raises(PandaError, match="cannot be written"):
        write_sample_video(made, tmp_path / "file" / "line.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PandaError, match=r"panda-edge\[video\]"):
        sample(tmp_path / "out", video=tmp_path / "line.mp4")
    assert not (tmp_path / "out").exists()
