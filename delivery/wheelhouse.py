"""A folder that a device installs from without network or compiler: python -m delivery.wheelhouse TARGET [--out DIR].

    pip install --no-index --find-links DIR 'panda-edge[sign]'

Ours is built here, and for Linux hnswlib, which has no wheels of its own; the published wheels of the rest are fetched.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from delivery.cross import GLIBC, MACOS, TARGETS
from delivery.sbom import write_sbom
from delivery.wheels import build_sdist, build_wheel, newest, run

HNSWLIB = "hnswlib==0.8.0"  # the version whose file format `panda_edge.banks.hnsw_file` checks


def fill(out: Path, target: str, python: str) -> None:
    """Everything that `panda-edge[sign]` needs on a target with CPython `python` (3.11, say), and nothing else.

    target: one of TARGETS. Linux gets hnswlib besides, which is compiled here.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.whl"):
        old.unlink()
    on_linux = TARGETS[target].platform is None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ours = build_wheel(build_sdist(folder), target, out)
        if on_linux:
            source = ["--no-deps", "--no-build-isolation", "--no-binary", "hnswlib", HNSWLIB]
            run("-m", "pip", "download", "--quiet", "--dest", str(folder), *source)
            build_wheel(newest(folder, "hnswlib-*.tar.gz"), target, out)
    fetch = ["-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--find-links", str(out), "--dest", str(out)]
    for platform in _platforms(target):
        fetch += ["--platform", platform]
    wanted = f"panda-edge[{'sign,hnsw' if on_linux else 'sign'}] @ {ours.resolve().as_uri()}"
    run(*fetch, "--implementation", "cp", "--python-version", python, wanted)
    write_sbom(out)


def _platforms(target: str) -> list[str]:
    """Tags of wheels that a target takes."""
    tag = TARGETS[target].platform
    if tag is None:
        return [f"manylinux_2_{minor}_{target}" for minor in range(GLIBC[1], 4, -1)] + [f"manylinux2014_{target}"]
    # pip adds all older systems; onnxruntime asks for this one.
    return [tag.replace(f"macosx_{MACOS[0]}_{MACOS[1]}", "macosx_14_0")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--out", type=Path, help="wheelhouse-TARGET by default")
    given = parser.parse_args()
    out = given.out or Path(f"wheelhouse-{given.target}")
    # hnswlib's wheel is of one CPython version: that of the Python that runs this.
    fill(out, given.target, f"{sys.version_info.major}.{sys.version_info.minor}")
    wheels = sorted(out.glob("*.whl"))
    print(f"{len(wheels)} wheels, {sum(path.stat().st_size for path in wheels) / 1e6:.0f} MB in {out}")


if __name__ == "__main__":
    main()
