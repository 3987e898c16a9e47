"""A C and C++ compiler for other processors and systems: clang with the headers that the package ziglang has."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

GLIBC = (2, 28)  # what onnxruntime's wheels ask for, too: Debian 10, Ubuntu 18.10, RHEL 8
MACOS = (11, 0)  # the first that runs on Apple's own processors
PYTHON = (3, 11)  # whose stable ABI our wheels keep to


@dataclass(frozen=True)
class Target:
    """A system to build for.

    Attributes:
        clang: What clang calls it.
        host: What setuptools would call it there.
        platform: Its wheels' tag; None where auditwheel finds the oldest that has what a wheel needs.
        left_out: Words of a command line that mean nothing there.
        added: Words that every link needs.
        module: What an extension's file is called there, after its name.
    """

    clang: str
    host: str
    platform: str | None
    left_out: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    module: str = ".abi3.so"


def _linux(processor: str) -> Target:
    return Target(f"{processor}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}", f"linux-{processor}", None)


def _macos(clang: str, processor: str) -> Target:
    major, minor = MACOS
    host, platform = f"macosx-{major}.{minor}-{processor}", f"macosx_{major}_{minor}_{processor}"
    # Names of Python's own are looked for when the module is loaded.
    return Target(f"{clang}-macos.{major}.{minor}", host, platform, ("-pthread",), ("-Wl,-undefined,dynamic_lookup",))


TARGETS = {
    "x86_64": _linux("x86_64"),
    "aarch64": _linux("aarch64"),
    "win_amd64": Target(
        "x86_64-windows-gnu", "win-amd64", "win_amd64", ("-pthread", "-lm", "-fPIC"), ("-lpython3",), ".pyd"
    ),
    "macosx_arm64": _macos("aarch64", "arm64"),
    "macosx_x86_64": _macos("x86_64", "x86_64"),
}

# What a build system adds for the machine it runs on. hnswlib asks for OpenMP, but its threads are C++'s own.
_COMPILER = """\
#!/bin/sh
link=yes
for word do
    shift
    case "$word" in {left_out}) ;; {include}) set -- "$@" "-I{folder}/include" ;; *) set -- "$@" "$word" ;; esac
    case "$word" in -c) link= ;; esac
done
exec "{python}" -m ziglang {language} -target {clang} "$@" -g0 ${{link:+{added}}}
"""


def build_environment(target: Target, folder: Path) -> dict[str, str]:
    """Environment variables under which setuptools builds for a target. folder: where what it needs is put."""
    include = sysconfig.get_path("include")
    added = list(target.added)
    if target.module == ".pyd":
        _windows_headers(Path(include), folder / "include")
        _import_library(folder)
        added.append(f"-L{folder}")
    else:
        (folder / "include").symlink_to(include)
    words = ("-fopenmp", "-march=native", "-L*", "-I/usr/local/*", *target.left_out)
    for language in ("cc", "c++"):
        script = folder / language
        text = _COMPILER.format(
            python=sys.executable,
            language=language,
            clang=target.clang,
            folder=folder,
            include=f"-I{include}",
            left_out=" | ".join(words),
            added=" ".join(added),
        )
        script.write_text(text)
        script.chmod(0o755)
    processor = target.host.rpartition("-")[2]
    suffix = sysconfig.get_config_var("EXT_SUFFIX").replace(os.uname().machine, processor)
    return {
        **os.environ,
        "CC": f"{folder}/cc",
        "CXX": f"{folder}/c++",
        "LDSHARED": f"{folder}/cc -shared",
        "LDCXXSHARED": f"{folder}/c++ -shared",
        "CFLAGS": "",
        "LDFLAGS": "",
        "_PYTHON_HOST_PLATFORM": target.host,
        "SETUPTOOLS_EXT_SUFFIX": suffix,
        "HNSWLIB_NO_NATIVE": "1",
        "SOURCE_DATE_EPOCH": "1735689600",  # the same source gives the same wheel
    }


def stable_names() -> dict[str, bool]:
    """Names that Python's stable ABI has, of PYTHON and before, and whether each is data."""
    from abi3info import DATAS, FUNCTIONS

    return {
        symbol.name: data
        for table, data in ((FUNCTIONS, False), (DATAS, True))
        for symbol, about in table.items()
        if (about.added.major, about.added.minor) <= PYTHON
    }


def _windows_headers(of_this_machine: Path, folder: Path) -> None:
    """Python's headers but for the one that describes a machine."""
    folder.mkdir()
    for header in of_this_machine.iterdir():
        if header.name != "pyconfig.h":
            (folder / header.name).symlink_to(header)
    (folder / "pyconfig.h").symlink_to(Path(__file__).with_name("pyconfig_windows.h"))


def _import_library(folder: Path) -> None:
    """libpython3.a: which names Windows finds in python3.dll."""
    lines = [f"{name} DATA" if data else name for name, data in stable_names().items()]
    (folder / "python3.def").write_text("\n".join(["LIBRARY python3.dll", "EXPORTS", *lines, ""]))
    dlltool = [sys.executable, "-m", "ziglang", "dlltool", "-m", "i386:x86-64", "-D", "python3.dll"]
    subprocess.run([*dlltool, "-d", folder / "python3.def", "-l", folder / "libpython3.a"], check=True)
