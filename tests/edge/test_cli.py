"""The contract of `panda-edge`: names, fields, exit codes, and one line for each thing that is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import panda_edge
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.commands import app as cli
from panda_edge.detector import STAGES
from panda_edge.search import kernel

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def report(self) -> dict[str, Any]:
        (line,) = self.lines
        return line


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`panda-edge ARGUMENTS…` inside this process."""

    def call(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "argv", ["panda-edge", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        code = exit_.value.code
        return Done(code if isinstance(code, int) else 0, captured.out, captured.err)

    return call


@pytest.fixture
def images(tmp_path: Path, texture: Callable[..., np.ndarray]) -> Path:
    """A folder: 2.png, 10.png, sub/2.jpg, and things that are no images."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(("2.png", "10.png", "sub/2.jpg")):
        Image.fromarray(texture(80, 100, seed=i)).save(folder / name)
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.png").write_text("hello")
    return folder


def refused(done: Done, expected: str) -> None:
    """One line on stderr, exit code 2, nothing on stdout."""
    assert done.code == 2
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert expected in line


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


class TestSegment:
    def test_heat_map_and_overlay(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        done = run("segment", exact_bundle, images, "--out", tmp_path / "new" / "maps", "--json")
        assert (done.code, len(done.err.splitlines())) == (0, 2)
        assert ": 1 of 4 files is not a picture: .txt 1\n" in done.err
        assert ": passed over: 1 picture, whose name begins with a dot\n" in done.err
        assert len(done.lines) == 3
        detector = panda_edge.load(exact_bundle)
        for line in done.lines:
            assert {"input", "score", "threshold", "severity", "ms", "heatmap", "overlay"} <= set(line)
            heatmap = np.load(line["heatmap"])
            expected = detector.segment(line["input"]).heatmap
            assert heatmap.dtype == np.float32
            np.testing.assert_allclose(heatmap, expected, rtol=1e-5)
            assert line["score"] == pytest.approx(detector.segment(line["input"]).score)
            with Image.open(line["overlay"]) as overlay:
                assert (overlay.format, overlay.mode, overlay.size) == ("PNG", "RGB", (100, 80))

    def test_subfolders_are_kept(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        run("segment", exact_bundle, images, "--out", tmp_path / "maps")
        assert sorted(p.relative_to(tmp_path / "maps").as_posix() for p in (tmp_path / "maps").rglob("[!.]*.*")) == [
            "10_heatmap.npy", "10_overlay.png", "2_heatmap.npy", "2_overlay.png", "sub/2_heatmap.npy",
            "sub/2_overlay.png",
        ]  # fmt: skip

    def test_sixteen_bit_png(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        image = images / "2.png"
        line = run("segment", exact_bundle, image, "--out", tmp_path / "maps", "--heatmap", "png16", "--json").report
        stored = Image.open(line["heatmap"])
        assert stored.mode.startswith("I;16")
        heatmap = panda_edge.load(exact_bundle).segment(image).heatmap
        assert heatmap is not None
        expected = np.clip(heatmap, 0, line["heatmap_top"])
        np.testing.assert_allclose(
            np.asarray(stored) / 65535 * line["heatmap_top"], expected, atol=1e-3 * expected.max()
        )

    def test_on_the_images_pixels(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        line = run("segment", exact_bundle, images / "2.png", "--out", tmp_path, "--map-size", "image", "--json").report
        assert np.load(line["heatmap"]).shape == (80, 100)

    def test_equal_names_do_not_overwrite_each_other(
        self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path, texture: Callable[..., np.ndarray]
    ) -> None:
        Image.fromarray(texture(80, 100, seed=7)).save(images / "2-2.png")
        given = (images / "2.png", images / "sub" / "2.jpg", images / "2-2.png", images / "2.png")
        done = run("segment", exact_bundle, *given, "--out", tmp_path / "maps", "--json")
        written = [line[kind] for line in done.lines for kind in ("heatmap", "overlay")]
        assert len(set(written)) == 8
        for line in done.lines:
            expected = panda_edge.load(exact_bundle).segment(line["input"]).heatmap
            np.testing.assert_allclose(np.load(line["heatmap"]), expected, rtol=1e-5)

    def test_a_second_run_replaces(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        for _ in range(2):
            run("segment", exact_bundle, images, "--out", tmp_path / "maps")
        assert len(list((tmp_path / "maps").rglob("[!.]*.*"))) == 6

    @pytest.mark.parametrize("name", ["..png", "...png"])
    def test_no_name_leads_out_of_the_folder(
        self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path, name: str
    ) -> None:
        (images / "2.png").rename(images / name)
        line = run("segment", exact_bundle, images / name, "--out", tmp_path / "a" / "maps", "--json").report
        assert Path(line["heatmap"]).resolve().is_relative_to(tmp_path / "a" / "maps")

    def test_a_bad_image_among_good_ones(self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path) -> None:
        (images / "3.png").write_text("no image")
        done = run("segment", exact_bundle, images, "--out", tmp_path / "maps", "--json")
        assert done.code == 2
        assert ["overlay" in line for line in done.lines] == [True, False, True, True]

    @pytest.mark.parametrize("below", ["", "maps"])
    def test_out_that_cannot_be_made(
        self, run: Run, exact_bundle: Path, images: Path, tmp_path: Path, below: str
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        done = run("segment", exact_bundle, images, "--out", tmp_path / "file" / below)
        refused(done, "choose another folder")
        assert (tmp_path / "file").read_text() == "in the way"

    @pytest.mark.parametrize("size", [(8, 8), (8, 3000), (3000, 8), (47, 60), (48, 60)])
    def test_slivers_and_specks(
        self, run: Run, bundle: Path, exact_bundle: Path, tmp_path: Path, size: tuple[int, int]
    ) -> None:
        Image.effect_noise(size, 50).save(tmp_path / "x.png")
        for some in (bundle, exact_bundle):  # with calibration, and so a caption, and without
            done = run("segment", some, tmp_path / "x.png", "--out", tmp_path / "maps", "--fpr", "0.2", "--json")
            assert (done.code, done.err) == (0, "")
            with Image.open(done.report["overlay"]) as overlay:
                assert abs(overlay.width - size[0] * min(1, 2048 / max(size))) <= 1

    def test_a_crop_darkens_what_it_does_not_see(
        self, run: Run, bundle_copy: Callable[..., Path], edit_manifest: Callable[..., None], tmp_path: Path
    ) -> None:
        bundle = bundle_copy()
        edit_manifest(bundle, lambda plain: plain["preprocessing"].update(resize="crop", cover=256 / 224))
        Image.new("RGB", (200, 100), (200, 200, 200)).save(tmp_path / "x.png")
        line = run(
            "segment", bundle, tmp_path / "x.png", "--out", tmp_path / "m", "--map-size", "image", "--json"
        ).report
        heatmap, overlay = np.load(line["heatmap"]), np.asarray(Image.open(line["overlay"]))
        assert np.isnan(heatmap[:, :50]).all()
        assert np.isfinite(heatmap[50, 100])
        assert overlay[50, 10].max() < 120
        assert overlay[50, 100].max() > 150


class TestInfoVerifyBench:
    def test_info(self, run: Run, any_bundle: Path) -> None:
        done = run("info", any_bundle, "--threads", 3, "--json")
        facts = done.report
        manifest = json.loads((any_bundle / MANIFEST_NAME).read_text())
        for field in ("method", "backbone", "preprocessing", "embedding_size", "levels"):
            assert facts[field] == manifest[field]
        assert facts["detection"]["bank"] == manifest["detection"]["bank"]
        assert facts["bytes"] == sum(entry["bytes"] for entry in manifest["files"].values())
        assert facts["simd"] == kernel.simd_level()
        assert facts["simd"] in facts["simd_levels"]
        assert (facts["threads"], facts["panda_edge"]) == (3, panda_edge.__version__)
        words = run("info", any_bundle).out
        assert facts["simd"] in words
        assert manifest["detection"]["bank"] in words

    def test_verify(self, run: Run, any_bundle: Path) -> None:
        report = run("verify", any_bundle, "--json").report
        assert report["ok"] is True
        assert set(report["largest_difference"]) == {"embedding", "score", "heatmap"}
        for name, difference in report["largest_difference"].items():
            assert 0 <= difference <= report["tolerance"][name]
        assert "largest difference" in run("verify", any_bundle).out

    def test_verify_of_an_altered_bundle(self, run: Run, bundle_copy: Callable[..., Path]) -> None:
        bundle = bundle_copy()
        data = bytearray((bundle / "bank/stride04.npy").read_bytes())
        data[-1] ^= 1
        (bundle / "bank/stride04.npy").write_bytes(data)
        refused(run("verify", bundle, "--json"), "stride04.npy: its sha256")

    def test_bench(self, run: Run, exact_bundle: Path, images: Path) -> None:
        report = run("bench", exact_bundle, images, "--threads", 1, "--frames", 5, "--json").report
        assert report["fps"] > 0
        latency = report["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
        assert set(report["stages_ms"]) == set(STAGES)
        assert sum(report["stages_ms"].values()) < 3 * latency["p99"]
        assert report["cold_start_ms"] > latency["p50"]
        assert report["rss_mb"] > 10
        assert (report["threads"], report["simd"]) == (1, kernel.simd_level())
        assert report["cpu"]

    def test_bench_without_images_runs_the_self_test(self, run: Run, exact_bundle: Path) -> None:
        report = run("bench", exact_bundle, "--frames", 3, "--json").report
        assert report["fps"] > 0
        assert report["cold_start_ms"] is None
        assert "frames/s" in run("bench", exact_bundle, "--frames", 3).out

    def test_bench_of_nothing(self, run: Run, exact_bundle: Path, tmp_path: Path) -> None:
        refused(run("bench", exact_bundle, tmp_path), "no images in this folder")
        refused(run("bench", exact_bundle, tmp_path / "none.png"), "no such file")


class TestRefused:
    @pytest.mark.parametrize("command", ["info", "verify", "bench", "detect", "segment"])
    def test_no_bundle(self, run: Run, tmp_path: Path, odd_image: Path, command: str) -> None:
        more = {"detect": [odd_image], "segment": [odd_image, "--out", tmp_path / "maps"]}.get(command, [])
        refused(run(command, tmp_path / "none.panda", *more), "no such bundle")
        refused(run(command, odd_image, *more), "a bundle is a folder")
        (tmp_path / MANIFEST_NAME).write_text('{"magic": "other"}')
        refused(run(command, tmp_path, *more), "not a panda-edge bundle")

    @pytest.mark.parametrize("threads", ["0", "-1", "many", "257"])
    def test_threads(self, run: Run, exact_bundle: Path, odd_image: Path, threads: str) -> None:
        refused(run("detect", exact_bundle, odd_image, "--threads", threads), "threads")

    def test_a_provider_that_is_not_there(self, run: Run, exact_bundle: Path, odd_image: Path) -> None:
        refused(run("detect", exact_bundle, odd_image, "--provider", "coreml"), "no coreml provider")
        refused(run("detect", exact_bundle, odd_image, "--provider", "gpu"), "unknown provider 'gpu'")

    def test_epsilon(self, run: Run, exact_bundle: Path, odd_image: Path, tmp_path: Path) -> None:
        refused(run("segment", exact_bundle, odd_image, "--out", tmp_path, "--epsilon", "-1"), "epsilon")

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("detect",), "Missing argument 'X.panda'; see "),
            (("detect", "x.panda"), "Missing argument 'INPUT...'"),
            (("segment", "x.panda", "x.png"), "Missing option '--out'"),
            (("detct",), "No such command 'detct'. Did you mean 'detect'?; see "),
            (("info", "x.panda", "--what"), "No such option: --what"),
        ],
    )
    def test_an_incomplete_line(self, run: Run, arguments: tuple[str, ...], expected: str) -> None:
        done = run(*arguments)
        refused(done, expected)
        assert done.err.endswith("--help\n")

    def test_no_arguments_get_the_help(self, run: Run) -> None:
        done = run()
        assert done.code == 2
        assert "segment" in done.out + done.err
        assert "Traceback" not in done.err
        assert run("--help").code == 0


class TestProcess:
    """What only a process of its own shows."""

    def test_an_unknown_simd_level(self, exact_bundle: Path, odd_image: Path) -> None:
        for command in (["detect", exact_bundle, odd_image], ["info", exact_bundle], ["verify", exact_bundle]):
            done = subprocess.run(
                [PANDA_EDGE, *map(str, command)],
                env={**os.environ, "PANDA_SIMD": "bogus"},
                capture_output=True,
                text=True,
            )
            refused(Done(done.returncode, done.stdout, done.stderr), "PANDA_SIMD=bogus: this CPU has scalar")

    def test_a_reader_that_leaves(self, exact_bundle: Path, odd_image: Path, tmp_path: Path) -> None:
        (tmp_path / "list").write_text(f"{odd_image}\n" * 3000)
        script = f"'{PANDA_EDGE}' detect '{exact_bundle}' - --json < '{tmp_path}/list' | head -n 1"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
        assert json.loads(done.stdout)["score"] >= 0
        assert done.stderr == ""

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_behind_stdout(self, exact_bundle: Path, odd_image: Path) -> None:
        with Path("/dev/full").open("w") as full:
            command = [PANDA_EDGE, "detect", str(exact_bundle), str(odd_image)]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        refused(Done(done.returncode, "", done.stderr), "No space left")

    def test_a_closed_stdin(self, exact_bundle: Path) -> None:
        script = f"'{PANDA_EDGE}' detect '{exact_bundle}' - <&-"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        refused(Done(done.returncode, done.stdout, done.stderr), "stdin is closed")
