"""What a user's mistake gets from every command: one line, exit code 2, nothing on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from command_line import Done, Run, refused
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.commands import console

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))


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

    def test_an_interrupt_that_a_library_makes_its_own_error_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Found: Ctrl-C while torch exported a network was torch's error, and a traceback."""
        app = typer.Typer()

        @app.command()
        def export() -> None:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise AttributeError("half imported") from None

        monkeypatch.setattr(sys, "argv", ["export"])
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as stopped:
            console.run(app)
        assert stopped.value.code == 130
        assert signal.getsignal(signal.SIGINT) is before

    def test_a_closed_stdout(self, exact_bundle: Path, odd_image: Path) -> None:
        """Found: a traceback."""
        command = f"exec {PANDA_EDGE} detect {exact_bundle} {odd_image} >&-"
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
        refused(Done(done.returncode, "", done.stderr), "output: Bad file descriptor")

    def test_a_closed_stderr(self, exact_bundle: Path, odd_image: Path) -> None:
        """Found: exit code 1, and no result."""
        command = f"exec {PANDA_EDGE} detect {exact_bundle} {odd_image} 2>&-"
        done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True)
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
        command = f"exec {PANDA_EDGE} detect {exact_bundle} nowhere 2>&-"
        done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True)
        assert (done.returncode, done.stdout) == (2, "")

    def test_a_closed_stdin(self, exact_bundle: Path) -> None:
        script = f"'{PANDA_EDGE}' detect '{exact_bundle}' - <&-"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
        refused(Done(done.returncode, done.stdout, done.stderr), "stdin is closed")
