"""Opening a bundle: every file accounted for, arrays memory-mapped, indexes and graphs checked by hash first.

Where a signature is required, every file that is used is copied to memory, checked by hash, and read from there.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from panda_edge.bundle.manifest import MANIFEST_NAME, Manifest, parse_manifest
from panda_edge.bundle.npy import read_header
from panda_edge.bundle.regular import open_regular
from panda_edge.bundle.sealed_json import parsed, read_text
from panda_edge.bundle.signature import Signature, check_signature, read_public_key
from panda_edge.bundle.snapshot import Snapshot
from panda_edge.errors import BundleError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """signature: the manifest's, checked, where one was required."""

    path: Path
    manifest: Manifest
    signature: Signature | None = None
    _held: dict[str, Snapshot] = field(default_factory=dict, repr=False)

    def file(self, name: str) -> Path:
        """A file of the bundle, present and of the size the manifest gives. Raises BundleError."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{self.path}: the manifest lists no {name}; export the bundle again")
        path = self.path / name
        try:
            status = path.stat()
        except OSError as error:
            why = "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror or error})"
            raise BundleError(f"{path}: {why}; the bundle is incomplete, copy it again") from error
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path}: not a plain file; the bundle is incomplete, copy it again")
        size = status.st_size
        if size != entry.bytes:
            raise BundleError(f"{path}: {size} bytes, the manifest says {entry.bytes}; truncated, copy it again")
        return path

    def checked_file(self, name: str) -> Path:
        """Where to read a file whose content has the manifest's hash. For what a library parses: graphs and indexes.

        Of a signed bundle, the path of a copy in memory that lives as long as this object. Raises BundleError.
        """
        if name in self._held:
            return self._held[name].path
        path, entry = self.file(name), self.manifest.files[name]
        held = None if self.signature is None else _held_copy(path, entry.bytes)
        if (_hash_of(path, entry.bytes) if held is None else held.sha256) != entry.sha256:
            raise BundleError(f"{path}: its sha256 is not the manifest's; altered or damaged, copy it again")
        if held is None:
            return path
        self._held[name] = held
        return held.path

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A memory-mapped, read-only array of just this shape and dtype, of a signed bundle checked by hash.

        Raises BundleError.
        """
        path = self.file(name) if self.signature is None else self.checked_file(name)
        try:
            stream = open_regular(path)
        except OSError as error:
            raise BundleError(f"{path}: not a readable .npy array; damaged, copy it again") from error
        with stream:
            return _mapped(path, stream, shape, dtype)

    def total_bytes(self) -> int:
        """Size on disk of all files, in bytes."""
        return sum(entry.bytes for entry in self.manifest.files.values())


def _mapped(path: Path, stream: BinaryIO, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The open file's array, mapped as it was checked, whatever the name means by then. Raises BundleError."""
    try:
        found, fortran, item = read_header(stream)
        begin, length = stream.tell(), os.fstat(stream.fileno()).st_size
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not a readable .npy array; damaged, copy it again") from error
    if found != shape or item != np.dtype(dtype):
        raise BundleError(f"{path}: holds {item} {found}, the manifest says {dtype} {shape}"[:400])
    if fortran and len(shape) > 1:
        raise BundleError(f"{path}: stored in Fortran order, expected C order; export the bundle again")
    if length != begin + math.prod(shape) * item.itemsize:
        raise BundleError(f"{path}: {length} bytes do not hold {dtype} {shape}; damaged, copy it again")
    try:
        return np.memmap(stream, item, mode="r", offset=begin, shape=shape)
    except OSError as error:
        raise BundleError(f"{path}: cannot be mapped ({error.strerror or error})") from error


def open_bundle(path: Path, require_signature: str | os.PathLike[str] | None = None) -> Bundle:
    """Read the manifest and check that every file is there at its full size. Raises BundleError.

    require_signature: a public key (see `read_public_key`) whose signature the manifest must have.
    """
    key = None if require_signature is None else read_public_key(require_signature)
    try:
        exists = path.exists()
    except OSError as error:  # a name that no file system takes, a folder that may not be entered
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not exists:
        raise BundleError(f"{path}: no such bundle; make one with `panda-train fit`")
    if not path.is_dir():
        raise BundleError(f"{path}: a bundle is a folder, this is a file")
    text = read_text(path / MANIFEST_NAME)
    signature = None if key is None else check_signature(path, text.encode(), key)
    where = path / MANIFEST_NAME
    bundle = Bundle(path, parse_manifest(parsed(text, where), str(where)), signature)
    for name in bundle.manifest.files:
        bundle.file(name)
    return bundle


def _held_copy(path: Path, size: int) -> Snapshot:
    try:
        return Snapshot(path, size)
    except OSError as error:
        raise BundleError(f"{path}: cannot be held in memory ({error.strerror or error})") from error


def _hash_of(path: Path, size: int) -> str:
    try:
        return sha256(path, size + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error


def sha256(path: Path, most: int | None = None) -> str:
    """Hexadecimal SHA-256 of a file's content, of its first `most` bytes. Raises OSError."""
    digest, left = hashlib.sha256(), most
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK if left is None else min(_CHUNK, left)):
            digest.update(chunk)
            left = left if left is None else left - len(chunk)
    return digest.hexdigest()
