"""An arm64 system that runs on this machine: Debian's packages unpacked, and qemu-user. No root rights, no chroot.

Needs apt-get and dpkg-deb (Debian, Ubuntu) and qemu-aarch64 (package qemu-user).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"  # of the wheelhouse's hnswlib, too
PACKAGES = (PYTHON, "libstdc++6", "libgomp1", "zlib1g", "libssl3", "libffi8")
_APT = """\
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{cache}";
APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Install-Recommends "false";
"""
# Of an Arm board. qemu-user shows the processor of the machine that it runs on, which onnxruntime cannot take apart.
PROCESSOR = "cortex-a72"
_BOARD = {
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n",
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
    "sys/devices/system/cpu/online": "0\n",
}


def make_root(folder: Path) -> Path:
    """Downloads and unpacks what a Python needs, below `folder`. Returns the root; one that is there is left alone."""
    root = folder / "root"
    for name, text in _BOARD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if (root / "usr" / "bin" / PYTHON).exists():
        return root
    for tool in ("apt-get", "dpkg-deb", "qemu-aarch64"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing; an arm64 root is made on Debian or Ubuntu with qemu-user")
    state, cache = folder / "apt", folder / "cache"
    for part in (state / "lists" / "partial", cache / "archives" / "partial", root):
        part.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = folder / "apt.conf"
    settings.write_text(_APT.format(state=state.resolve(), cache=cache.resolve()))
    apt = ["apt-get", "-qq"]
    environment = {**os.environ, "APT_CONFIG": str(settings)}
    subprocess.run([*apt, "update"], check=True, env=environment)
    subprocess.run([*apt, "install", "--yes", "--download-only", *PACKAGES], check=True, env=environment)
    # Packages for the new merged layout have links at the root, which must stand before what lies behind them.
    for name in ("bin", "lib", "sbin"):
        if not (root / name).exists():
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
    for package in sorted((cache / "archives").glob("*.deb")):
        subprocess.run(f'dpkg-deb --fsys-tarfile "{package}" | tar -x --keep-directory-symlink -C "{root}"',
                       shell=True, check=True)  # fmt: skip
    return root


def install(wheelhouse: Path, site: Path, *names: str) -> None:
    """What `pip install --no-index` of these names takes on aarch64, from a wheelhouse into a folder."""
    platforms = [word for minor in range(28, 4, -1) for word in ("--platform", f"manylinux_2_{minor}_aarch64")]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", wheelhouse, "--target", site,
         *platforms, "--platform", "manylinux2014_aarch64", "--platform", "linux_aarch64", "--only-binary", ":all:",
         "--implementation", "cp", "--python-version", PYTHON.removeprefix("python"), *names],
        check=True,
    )  # fmt: skip


def emulated(root: Path, site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the root's Python with what `site` holds."""
    environment = {"PATH": "/usr/bin", "HOME": "/nowhere", "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    python = root / "usr" / "bin" / PYTHON
    command = ["qemu-aarch64", "-cpu", PROCESSOR, "-L", root, python, *arguments]
    return subprocess.run(command, text=True, capture_output=True, env=environment)
