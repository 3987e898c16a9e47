"""The one listing of pictures: recursive, links never in a circle, our own results passed over, all of it said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from panda_edge.errors import ImageError, PandaError
from panda_edge.images.formats import IMAGE_SUFFIXES, is_image_name
from panda_edge.images.inputs import expand_inputs
from panda_edge.images.listing import RESULTS_MARKER, list_pictures
from panda_edge.images.reading import image_bytes
from panda_edge.visualise.files import make_results_folder, write_whole


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (10, 20, 30)).save(path, "PNG")
    return path


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_pictures(folder).pictures]


@pytest.mark.parametrize("suffix", [*sorted(IMAGE_SUFFIXES), ".PNG", ".JpG"])
def test_every_suffix_that_can_be_read(suffix: str) -> None:
    assert is_image_name(Path(f"picture{suffix}"))


def test_in_natural_order_and_below(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "b/1.png", "a/deep/er/1.png", ".hidden/1.png"):
        put(tmp_path / name)
    assert names(tmp_path) == ["2.png", "10.png", "a/deep/er/1.png", "b/1.png"]


def test_links_are_followed_and_each_folder_once(tmp_path: Path) -> None:
    put(tmp_path / "real" / "1.png")
    elsewhere = put(tmp_path.parent / f"{tmp_path.name}-elsewhere" / "2.png")
    (tmp_path / "a-link").symlink_to(elsewhere.parent)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path)  # in a circle
    (tmp_path / "one.png").symlink_to(elsewhere)
    assert names(tmp_path) == ["a-link/2.png", "one.png", "real/1.png"]


def test_what_cannot_be_read_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "nowhere.png").symlink_to("absent.png")
    (tmp_path / "nowhere").symlink_to("absent")
    os.mkfifo(tmp_path / "pipe.png")
    listing = list_pictures(tmp_path)
    assert [path.name for path in listing.pictures] == ["1.png"]
    why = {Path(path).name: reason for path, reason in listing.left_out.unreadable.items()}
    assert why["pipe.png"] == "not a file"
    assert "symbolic links" in why["loop.png"]
    assert why["nowhere.png"] == why["nowhere"] == "No such file or directory"
    (line,) = listing.left_out.lines()
    assert line.startswith("passed over, cannot be read: ")
    assert line.endswith("and 1 more")


def test_what_is_no_picture_is_counted_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_edge.images.formats.heif_is_there", lambda: False)
    put(tmp_path / "1.png")
    for name in ("a.txt", "sub/b.txt", "c.heic", "README", "d\n.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no picture")
    (line,) = list_pictures(tmp_path).left_out.lines()
    assert line.startswith("5 of 6 files are not pictures: .txt 3, ")
    assert ".heic 1" in line
    assert "no suffix 1" in line
    assert line.endswith(' – pip install "panda-edge[heif]"')


def test_our_own_results_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "1.png")
    make_results_folder(tmp_path / "anomalies")
    put(tmp_path / "anomalies" / "000000001_camera_7.png")
    for name in ("1_overlay.png", "1_heatmap.png", "photo_overlay.png"):  # the last has no heat map beside it
        put(tmp_path / "maps" / name)
    listing = list_pictures(tmp_path)
    assert [path.name for path in listing.pictures] == ["1.png", "photo_overlay.png"]
    assert listing.left_out.lines() == ["passed over, as results of panda-edge: 3 folder(s) or picture(s)"]
    assert names(tmp_path / "anomalies") == ["000000001_camera_7.png"]  # named by the user: to extend with, say


def test_a_folder_of_others_pictures_is_not_marked(tmp_path: Path) -> None:
    put(tmp_path / "sub" / "1.png")
    make_results_folder(tmp_path, shared=True)
    assert not (tmp_path / RESULTS_MARKER).exists()
    make_results_folder(tmp_path / "new", shared=True)
    assert (tmp_path / "new" / RESULTS_MARKER).exists()


def test_globs_pass_over_results_and_circles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    make_results_folder(tmp_path / "out")
    put(tmp_path / "out" / "2.png")
    found = [item.path.name for item in expand_inputs([f"{tmp_path}/**/*.png"])]
    assert found == ["1.png"]
    assert "results of panda-edge: 1" in capsys.readouterr().err


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PandaError, match="cannot be listed"):
        list_pictures(tmp_path / "absent")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a file"):
        image_bytes(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a file"):
        image_bytes(Path("/dev/zero"))


def test_a_pipe_that_a_shell_made_is_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, put(tmp_path / "1.png").read_bytes())
        os.close(writer)
        assert image_bytes(Path(f"/dev/fd/{reader}")) == (tmp_path / "1.png").read_bytes()
    finally:
        os.close(reader)


def test_a_result_may_have_the_longest_name(tmp_path: Path) -> None:
    write_whole(tmp_path / ("n" * 251 + ".png"), b"x")
    with pytest.raises(PandaError, match="too long a name"):
        write_whole(tmp_path / ("n" * 252 + ".png"), b"x")
    assert len(list(tmp_path.iterdir())) == 1
