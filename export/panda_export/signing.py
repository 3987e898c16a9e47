"""Signing a bundle, and making the keys for it, in minisign's format (see `panda_edge.bundle.signature`)."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, check_seal
from panda_edge.bundle.regular import read_regular
from panda_edge.bundle.signature import (
    SIGNATURE_NAME,
    PublicKey,
    Signature,
    check_signature,
    digest,
    key_name,
    signature_text,
)
from panda_edge.errors import BundleError, PandaError, missing
from panda_edge.whole_file import remove_parts, whole_file

DEFAULT_COMMENT = "panda-edge bundle"
_MAX_COMMENT = 1000
_MAX_KEY = 8192  # bytes of a secret key's file
_PLAIN = b"Ed" + bytes(2) + b"B2" + bytes(48)  # Ed25519, no password; no parameters of one
_CHECKSUM = bytes(32)  # of a key without a password


@dataclass(frozen=True)
class SecretKey:
    """number: 8 bytes; seed: Ed25519, 32 bytes; public: the key that goes with it."""

    number: bytes
    seed: bytes
    public: PublicKey


def make_key(secret: Path) -> PublicKey:
    """Write a new secret key, for its owner's eyes only, and its public key beside it, ending in `.pub`.

    Raises PandaError, before anything is written, where either exists.
    """
    made = _secret_key(os.urandom(8), os.urandom(32))
    public_file = secret.with_suffix(".pub")
    if public_file == secret:
        raise PandaError(f"{secret}: is the public key's name; give the secret key another, such as device.key")
    for path in (secret, public_file):
        if path.exists():
            raise PandaError(f"{path}: exists; a key is never overwritten, choose another name")
    line = base64.b64encode(_PLAIN + made.number + made.seed + made.public.key + _CHECKSUM).decode()
    _write(secret, f"untrusted comment: minisign secret key {key_name(made.number)}\n{line}\n", 0o600)
    try:
        _write(
            public_file,
            f"untrusted comment: minisign public key {key_name(made.number)}\n{made.public.text()}\n",
            0o644,
        )
    except PandaError:
        secret.unlink()  # half a pair is no key
        raise
    return made.public


def read_secret_key(path: Path) -> SecretKey:
    """A secret key without a password, by `make_key` or `minisign -G -W`. Raises PandaError."""
    try:
        raw = base64.b64decode(read_regular(path, _MAX_KEY).decode().splitlines()[1], validate=True)
    except OSError as error:
        raise PandaError(f"{path}: the secret key cannot be read ({error.strerror or error})") from error
    except (ValueError, IndexError, BundleError):
        raw = b""
    if len(raw) != 158 or raw[:2] != b"Ed":
        raise PandaError(f"{path}: not a secret key; make one with `panda-train keygen`")
    if raw[2:4] != bytes(2):
        raise PandaError(
            f"{path}: has a password, which only minisign asks for; sign with "
            f"`minisign -S -s {path} -m X.panda/{MANIFEST_NAME}`, which writes the same file"
        )
    key = _secret_key(raw[54:62], raw[62:94])
    if key.public.key != raw[94:126]:
        raise PandaError(f"{path}: its two halves do not belong together; damaged, take another copy")
    return key


def sign_bundle(bundle: Path, key: SecretKey, comment: str = DEFAULT_COMMENT, version: int | None = None) -> Signature:
    """Sign a whole bundle's manifest; a signature that it has is replaced in one step.

    comment: one line that is signed, too, and shown by `panda-edge verify`. version: a number that stands before it,
    1 to 999,999,999; a device whose PUB names a higher one does not take the bundle. Raises BundleError where a file is
    missing or altered: what is signed should be what was exported.
    """
    if version is not None and not 1 <= version < 10**9:
        raise PandaError(f"--version {version}: expected 1 to 999,999,999, higher with each bundle")
    comment = comment if version is None else f"version:{version} {comment}"
    if not comment.isprintable() or len(comment.encode()) > _MAX_COMMENT:
        raise PandaError(f"--comment: expected one line of at most {_MAX_COMMENT} bytes")
    opened = open_bundle(bundle)
    check_seal(bundle)
    for name in opened.manifest.files:
        opened.checked_file(name)
    private = _private(key.seed)
    manifest = (bundle / MANIFEST_NAME).read_bytes()
    signed = private.sign(digest(manifest))
    made = Signature(key.number, signed, comment, private.sign(signed + comment.encode()))
    _replace(bundle / SIGNATURE_NAME, signature_text(made))
    return check_signature(bundle, manifest, key.public)


def _secret_key(number: bytes, seed: bytes) -> SecretKey:
    return SecretKey(number, seed, PublicKey(number, _private(seed).public_key().public_bytes_raw()))


def _private(seed: bytes):  # type: ignore[no-untyped-def]
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise missing("signatures need the library cryptography", "sign") from error
    return Ed25519PrivateKey.from_private_bytes(seed)


def _write(path: Path, text: str, mode: int) -> None:
    """A new file, on the disk when this returns, or none. Raises PandaError."""
    made = False
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        made = True
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(handle)
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise PandaError(f"{path}: cannot be written ({error.strerror or error})") from error


def _replace(path: Path, text: str) -> None:
    """The file with this text instead of another, or as it was; what a killed process left is removed."""
    remove_parts(path)
    try:
        with whole_file(path, sync=True) as part:
            _write(part, text, 0o644)
    except OSError as error:
        raise PandaError(f"{path}: cannot be written ({error.strerror or error})") from error
