"""Opening a bundle: every file accounted for, arrays memory-mapped, indexes and graphs checked by hash first."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panda_edge.bundle.manifest import Manifest, read_manifest
from panda_edge.errors import BundleError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """A file of the bundle, present and of the size the manifest gives. Raises BundleError."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{self.path}: the manifest lists no {name}; export the bundle again")
        path = self.path / name
        if not path.is_file():
            raise BundleError(f"{path}: missing; the bundle is incomplete, copy it again")
        size = path.stat().st_size
        if size != entry.bytes:
            raise BundleError(f"{path}: {size} bytes, the manifest says {entry.bytes}; truncated, copy it again")
        return path

    def checked_file(self, name: str) -> Path:
        """A file whose content has the manifest's hash. For what a library parses: graphs and indexes."""
        path = self.file(name)
        if sha256(path) != self.manifest.files[name].sha256:
            raise BundleError(f"{path}: its sha256 is not the manifest's; altered or damaged, copy it again")
        return path

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A memory-mapped, read-only array of just this shape and dtype. Raises BundleError."""
        path = self.file(name)
        try:
            array = np.lib.format.open_memmap(path, mode="r")  # unlike np.load never an archive, never a pickle
        except Exception as error:  # numpy's header parser raises many types: ValueError, TokenError, …
            raise BundleError(f"{path}: not a readable .npy array; damaged, copy it again") from error
        if array.shape != shape or array.dtype != np.dtype(dtype):
            raise BundleError(f"{path}: holds {array.dtype} {array.shape}, the manifest says {dtype} {shape}")
        if not array.flags.c_contiguous:
            raise BundleError(f"{path}: stored in Fortran order, expected C order; export the bundle again")
        return array

    def total_bytes(self) -> int:
        """Size on disk of all files, in bytes."""
        return sum(entry.bytes for entry in self.manifest.files.values())


def open_bundle(path: Path) -> Bundle:
    """Read the manifest and check that every file is there at its full size. Raises BundleError."""
    try:
        exists = path.exists()
    except OSError as error:  # a name that no file system takes, a folder that may not be entered
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not exists:
        raise BundleError(f"{path}: no such bundle; make one with `panda-train fit`")
    if not path.is_dir():
        raise BundleError(f"{path}: a bundle is a folder, this is a file")
    bundle = Bundle(path, read_manifest(path))
    for name in bundle.manifest.files:
        bundle.file(name)
    return bundle


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
