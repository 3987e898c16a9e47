"""The contract of `panda-edge detect`: names, fields, exit codes, and one line for each thing that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import panda_edge
from command_line import Run, refused


class TestDetect:
    def test_one_json_line_an_image(self, run: Run, exact_bundle: Path, images: Path) -> None:
        done = run("detect", exact_bundle, images / "2.png", images / "10.png", "--json")
        assert (done.code, done.err) == (0, "")
        detector = panda_edge.load(exact_bundle)
        for line, name in zip(done.lines, ("2.png", "10.png"), strict=True):
            assert {"input", "score", "ms"} <= set(line)
            assert line["input"] == str(images / name)
            assert line["score"] == pytest.approx(detector.detect(images / name).score, rel=1e-6)
            assert line["ms"] > 0

    def test_in_words(self, run: Run, exact_bundle: Path, images: Path) -> None:
        done = run("detect", exact_bundle, images / "2.png")
        score, path = done.out.split()[:2]
        assert float(score) >= 0
        assert path == str(images / "2.png")

    def test_a_folder_in_natural_order(self, run: Run, exact_bundle: Path, images: Path) -> None:
        done = run("detect", exact_bundle, images, "--json")
        assert [Path(line["input"]).relative_to(images).as_posix() for line in done.lines] == [
            "2.png", "10.png", "sub/2.jpg",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.png", ["2.png", "10.png"]),
            ("**/*.jpg", ["sub/2.jpg"]),
            ("s*", ["sub/2.jpg"]),
            ("*", ["2.png", "10.png", "sub/2.jpg"]),
            ("[12]*.png", ["2.png", "10.png"]),
        ],
    )
    def test_globs(self, run: Run, exact_bundle: Path, images: Path, pattern: str, expected: list[str]) -> None:
        done = run("detect", exact_bundle, f"{images}/{pattern}", "--json")
        assert [Path(line["input"]).relative_to(images).as_posix() for line in done.lines] == expected

    def test_a_name_with_glob_letters_is_a_name(self, run: Run, exact_bundle: Path, images: Path) -> None:
        (images / "2.png").rename(images / "a[1]*.png")
        done = run("detect", exact_bundle, images / "a[1]*.png", "--json")
        assert done.report["input"] == str(images / "a[1]*.png")

    def test_a_list_on_stdin(self, run: Run, exact_bundle: Path, images: Path) -> None:
        listed = f"{images}/2.png\r\n\n{images}/10.png".encode()
        done = run("detect", exact_bundle, "-", "--json", stdin=listed)
        assert [line["input"] for line in done.lines] == [f"{images}/2.png", f"{images}/10.png"]

    def test_names_that_are_no_text(self, run: Run, exact_bundle: Path, images: Path) -> None:
        odd = os.fsencode(images) + b"/\xff\xfe.png"
        (images / "2.png").rename(os.fsdecode(odd))
        for options in ((), ("--json",)):
            done = run("detect", exact_bundle, "-", *options, stdin=odd + b"\n")
            assert (done.code, done.err) == (0, "")
            assert len(done.out.splitlines()) == 1

    @pytest.mark.parametrize("stdin", [b"", b"\n\n  \n"])
    def test_an_empty_list(self, run: Run, exact_bundle: Path, stdin: bytes) -> None:
        refused(run("detect", exact_bundle, "-", stdin=stdin), "the list on stdin is empty")

    def test_one_bad_image_among_good_ones(self, run: Run, exact_bundle: Path, images: Path) -> None:
        (images / "3.png").write_bytes((images / "10.png").read_bytes()[:200])
        (images / "5.png").touch()
        done = run("detect", exact_bundle, images, images / "none.png", "--json")
        assert done.code == 2
        assert [(Path(line["input"]).name, "score" in line, "error" in line) for line in done.lines] == [
            ("2.png", True, False),
            ("3.png", False, True),
            ("5.png", False, True),
            ("10.png", True, False),
            ("2.jpg", True, False),
            ("none.png", False, True),
        ]
        assert sum(line.startswith("error: ") for line in done.err.splitlines()) == 3
        assert len(done.err.splitlines()) == 5  # and two of what is no picture
        assert len(run("detect", exact_bundle, images).out.splitlines()) == 3

    def test_an_empty_folder_among_good_images(self, run: Run, exact_bundle: Path, images: Path) -> None:
        (images / "empty").mkdir()
        given = (images / "2.png", images / "empty", images / "x*.png", "", images / "10.png")
        done = run("detect", exact_bundle, *given, "--json")
        assert done.code == 2
        assert ["score" in line for line in done.lines] == [True, False, False, False, True]
        assert "no images in this folder" in done.lines[1]["error"]
        assert "no image matches" in done.lines[2]["error"]
        assert "empty name" in done.lines[3]["error"]

    @pytest.mark.parametrize("name", ["x" * 5000, "a\nb.png", "a\x1b[31mb.png", "-x.png"])
    def test_names_of_nothing(self, run: Run, exact_bundle: Path, tmp_path: Path, name: str) -> None:
        refused(run("detect", exact_bundle, tmp_path / name), "error: ")
        assert "\x1b" not in run("detect", exact_bundle, tmp_path / name).err

    def test_a_zero_byte_on_stdin(self, run: Run, exact_bundle: Path) -> None:
        refused(run("detect", exact_bundle, "-", stdin=b"a\0b.png\n"), "cannot be read")
