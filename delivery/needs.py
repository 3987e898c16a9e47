"""What a wheel's extension asks of Windows or macOS where it is installed, as auditwheel tells it for Linux."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pefile
from macholib.mach_o import LC_BUILD_VERSION, LC_CODE_SIGNATURE, LC_VERSION_MIN_MACOSX, N_EXT, N_TYPE, N_UNDF
from macholib.MachO import MachO
from macholib.SymbolTable import SymbolTable

from delivery.cross import MACOS, stable_names

# Windows 10 has these: its kernel, and its C library under names of its parts.
_OF_WINDOWS = re.compile(r"KERNEL32\.dll|api-ms-win-crt-[a-z]+-l1-1-0\.dll|python3\.dll", re.IGNORECASE)
_OF_MACOS = {"/usr/lib/libSystem.B.dylib"}
_PROCESSORS = {"arm64": 0x0100000C, "x86_64": 0x01000007}  # CPU_TYPE_ARM64, CPU_TYPE_X86_64


def check(wheel: Path) -> None:
    """Ends the program where the extension in a wheel needs what not every such machine has."""
    said = complaints(wheel)
    if said:
        sys.exit(f"{wheel.name} is not to be had on every such machine: {'; '.join(said)}")


def complaints(wheel: Path) -> list[str]:
    """What the wheel's extensions need beyond the system and Python's stable ABI; none where all is there."""
    found = []
    with TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith((".pyd", ".so", ".dll", ".dylib")):
                file = Path(archive.extract(name, folder))
                found += _of_windows(file) if file.suffix == ".pyd" else _of_macos(file, wheel.stem.split("-")[-1])
    return found


def _of_windows(file: Path) -> list[str]:
    module = pefile.PE(str(file))
    found = [] if module.FILE_HEADER.Machine == pefile.MACHINE_TYPE["IMAGE_FILE_MACHINE_AMD64"] else ["not for x86_64"]
    for library in module.DIRECTORY_ENTRY_IMPORT:
        name = library.dll.decode()
        if not _OF_WINDOWS.fullmatch(name):
            found.append(f"needs {name}")
        if name == "python3.dll":
            found += _unstable([one.name.decode() for one in library.imports])
    exported = [symbol.name.decode() for symbol in module.DIRECTORY_ENTRY_EXPORT.symbols]
    return found if exported == ["PyInit_" + file.stem] else [*found, f"exports {', '.join(exported)}"]


def _of_macos(file: Path, tag: str) -> list[str]:
    module = MachO(str(file))
    (header,) = module.headers
    processor = tag.removeprefix(f"macosx_{MACOS[0]}_{MACOS[1]}_")
    found = [] if header.header.cputype == _PROCESSORS.get(processor) else [f"not for {processor}"]
    found += [f"needs {name}" for _, _, name in header.walkRelocatables() if name not in _OF_MACOS]
    commands = {command.cmd: body for command, body, _ in header.commands}
    oldest = commands.get(LC_BUILD_VERSION) or commands.get(LC_VERSION_MIN_MACOSX)
    version = getattr(oldest, "minos", None) or getattr(oldest, "version", 1 << 24)
    if (version >> 16, version >> 8 & 255) > MACOS:
        found.append(f"needs macOS {version >> 16}.{version >> 8 & 255}")
    if processor == "arm64" and LC_CODE_SIGNATURE not in commands:  # which Apple's processors refuse to run
        found.append("not signed")
    symbols = SymbolTable(module, header)
    undefined = [
        name.decode() for entry, name in symbols.undefsyms if entry.n_type & (N_TYPE | N_EXT) == N_UNDF | N_EXT
    ]
    return found + _unstable([name[1:] for name in undefined if name.startswith(("_Py", "__Py"))])


def _unstable(names: list[str]) -> list[str]:
    stable = stable_names()
    return [f"{name} is not in Python's stable ABI" for name in names if name not in stable]
