"""A folder that a device installs from without a network or a compiler: python -m delivery.wheelhouse ARCH [--out DIR].

    pip install --no-index --find-links DIR 'panda-edge[sign]'

Ours and hnswlib, which has no wheels of its own, are built here; the published wheels of the rest are fetched.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from delivery.cross import ARCHITECTURES, GLIBC
from delivery.sbom import write_sbom
from delivery.wheels import build_sdist, build_wheel, newest, run

HNSWLIB = "hnswlib==0.8.0"  # the version whose file format `panda_edge.banks.hnsw_file` checks


def fill(out: Path, arch: str, python: str) -> None:
    """Everything that `panda-edge[sign]` needs on `arch` with CPython `python` (3.11, say), and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ours = build_wheel(build_sdist(folder), arch, out)
        source = ["--no-deps", "--no-build-isolation", "--no-binary", "hnswlib", HNSWLIB]
        run("-m", "pip", "download", "--quiet", "--dest", str(folder), *source)
        build_wheel(newest(folder, "hnswlib-*.tar.gz"), arch, out)
    platforms = [f"manylinux_2_{minor}_{arch}" for minor in range(GLIBC[1], 4, -1)] + [f"manylinux2014_{arch}"]
    fetch = ["-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--find-links", str(out), "--dest", str(out)]
    for platform in platforms:
        fetch += ["--platform", platform]
    run(*fetch, "--implementation", "cp", "--python-version", python, f"panda-edge[sign] @ {ours.resolve().as_uri()}")
    write_sbom(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arch", choices=ARCHITECTURES)
    parser.add_argument("--out", type=Path, help="wheelhouse-ARCH by default")
    given = parser.parse_args()
    out = given.out or Path(f"wheelhouse-{given.arch}")
    # hnswlib's wheel is of one CPython version: that of the Python that runs this.
    fill(out, given.arch, f"{sys.version_info.major}.{sys.version_info.minor}")
    wheels = sorted(out.glob("*.whl"))
    print(f"{len(wheels)} wheels, {sum(path.stat().st_size for path in wheels) / 1e6:.0f} MB in {out}")


if __name__ == "__main__":
    main()
