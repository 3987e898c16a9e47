"""A C and C++ compiler for either processor and a chosen glibc: clang with the headers that the package ziglang has."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = (2, 28)  # what onnxruntime's wheels ask for, too: Debian 10, Ubuntu 18.10, RHEL 8

# What a build system adds for the machine it runs on. hnswlib asks for OpenMP, but its threads are C++'s own.
_COMPILER = """\
#!/bin/sh
for word do
    shift
    case "$word" in -fopenmp | -march=native | -L* | -I/usr/local/*) ;; *) set -- "$@" "$word" ;; esac
done
exec "{python}" -m ziglang {language} -target {arch}-linux-gnu.{glibc} "$@"
"""


def build_environment(arch: str, folder: Path) -> dict[str, str]:
    """Environment variables under which setuptools builds for `arch`. folder: where the compilers' names are put."""
    glibc = ".".join(map(str, GLIBC))
    for language in ("cc", "c++"):
        script = folder / language
        script.write_text(_COMPILER.format(python=sys.executable, language=language, arch=arch, glibc=glibc))
        script.chmod(0o755)
    suffix = sysconfig.get_config_var("EXT_SUFFIX").replace(os.uname().machine, arch)
    return {
        **os.environ,
        "CC": f"{folder}/cc",
        "CXX": f"{folder}/c++",
        "LDSHARED": f"{folder}/cc -shared",
        "LDCXXSHARED": f"{folder}/c++ -shared",
        "CFLAGS": "",
        "LDFLAGS": "",
        "_PYTHON_HOST_PLATFORM": f"linux-{arch}",
        "SETUPTOOLS_EXT_SUFFIX": suffix,
        "HNSWLIB_NO_NATIVE": "1",
        "SOURCE_DATE_EPOCH": "1735689600",  # the same source gives the same wheel
    }
