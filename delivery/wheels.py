"""Builds the source distribution and a wheel for each system: python -m delivery.wheels [--out dist].

The wheels are abi3 (CPython 3.11 and later). What they need of the system is looked up in the compiled module: by
auditwheel for Linux, by `needs` for Windows and macOS. twine has the last word on their description.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from delivery.cross import GLIBC, TARGETS, build_environment

ROOT = Path(__file__).resolve().parent.parent


def build_sdist(out: Path) -> Path:
    """The source distribution, as it would be uploaded."""
    run("-m", "build", "--sdist", "--no-isolation", "--outdir", str(out), str(ROOT))
    return newest(out, "panda_edge-*.tar.gz")


def build_wheel(source: Path, target: str, out: Path) -> Path:
    """A wheel of a source distribution, which is unpacked, so that the wheel shows that it is whole.

    target: one of TARGETS.
    """
    about = TARGETS[target]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with tarfile.open(source) as archive:
            archive.extractall(folder / "source", filter="data")
        (unpacked,) = (folder / "source").iterdir()
        environment = build_environment(about, folder)
        run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(unpacked), env=environment)
        wheel = newest(folder, "*.whl")
        if about.module != ".abi3.so":
            _rename_modules(wheel, about.module)
        platform = about.platform or lowest_platform(wheel)
        run("-m", "wheel", "tags", "--remove", "--platform-tag", platform, str(wheel))
        wheel = newest(folder, "*.whl")
        if about.platform:
            from delivery.needs import check

            check(wheel)
        return Path(shutil.copy(wheel, out))


def _rename_modules(wheel: Path, suffix: str) -> None:
    """Calls extensions what the target's Python looks for; setuptools knows only its own machine's way."""
    unpacked = wheel.parent / "unpacked"
    run("-m", "wheel", "unpack", "--dest", str(unpacked), str(wheel))
    (root,) = unpacked.iterdir()
    for module in root.rglob("*.abi3.so"):
        module.rename(module.with_name(module.name.removesuffix(".abi3.so") + suffix))
    for beside in (*root.rglob("*.pdb"), *root.rglob("*.lib")):  # what the linker leaves for debuggers and linkers
        beside.unlink()
    wheel.unlink()
    run("-m", "wheel", "pack", "--dest-dir", str(wheel.parent), str(root))


def lowest_platform(wheel: Path) -> str:
    """The oldest manylinux that has what a wheel needs. Ends the program where none of GLIBC's age has."""
    said = " ".join(run("-m", "auditwheel", "show", str(wheel)).split())
    found = re.search(r'following platform tag: "(manylinux_\d+_(\d+)_\w+)"', said)
    if not found or int(found[2]) > GLIBC[1]:
        sys.exit(f"{wheel.name} is not to be had on every Linux: {said}")
    return found[1]


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What this Python says on stdout with these arguments. Ends the program where it fails."""
    done = subprocess.run([sys.executable, *arguments], env=env, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dist"))
    parser.add_argument("--arch", choices=TARGETS, action="append", help="all where none is named")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    made = [build_sdist(given.out)]
    for arch in given.arch or TARGETS:
        made.append(build_wheel(made[0], arch, given.out))
    run("-m", "twine", "check", "--strict", *map(str, made))
    for path in made:
        print(f"{path.stat().st_size / 1e3:8.0f} kB  {path}")


if __name__ == "__main__":
    main()
