"""Signatures over a bundle's manifest, which holds the hash of every other file, in minisign's format.

So minisign (Frank Denis; jedisct1.github.io/minisign) checks and makes them, too:
`minisign -Vm X.panda/manifest.json -p KEY.pub`. Ed25519 over the BLAKE2b-512 of the manifest's bytes, then over that
signature and the trusted comment.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from panda_edge.bundle.regular import open_regular
from panda_edge.errors import BundleError, PandaError, missing
from panda_edge.printable import printable

SIGNATURE_NAME = "manifest.json.minisig"

_HASHED = b"ED"
_MAX_BYTES = 8192
_TRUSTED = "trusted comment: "
_VERSION = re.compile(r"version:(\d{1,9})(?: |$)")  # at a trusted comment's begin
_LEAST = re.compile(r"least version: (\d{1,9})")  # a public key file's third line


@dataclass(frozen=True)
class PublicKey:
    """number: 8 bytes by which minisign tells keys apart; key: Ed25519, 32 bytes. least_version: of the bundles that
    are taken; 0 takes those without a version, too."""

    number: bytes
    key: bytes
    least_version: int = 0

    def text(self) -> str:
        """The one line that stands in a public key file, and that may be given in its place."""
        return base64.b64encode(b"Ed" + self.number + self.key).decode()


@dataclass(frozen=True)
class Signature:
    """What a signature file holds. comment: of the signer, signed with the rest, which begins with `version:N` where
    the bundle has a version; key_number: 8 bytes."""

    key_number: bytes
    signature: bytes
    comment: str
    comment_signature: bytes

    @property
    def version(self) -> int:
        """0 where the signer gave none."""
        found = _VERSION.match(self.comment)
        return 0 if found is None else int(found[1])

    def facts(self) -> dict[str, str]:
        """The key's name and the comment, as far as it can be printed."""
        return {"key": key_name(self.key_number), "comment": printable(self.comment)}


def key_name(number: bytes) -> str:
    """A key's number as minisign prints it."""
    return f"{int.from_bytes(number, 'little'):016X}"


def read_public_key(given: str | os.PathLike[str]) -> PublicKey:
    """A minisign public key: its one line of 56 characters, or a file of it. Raises PandaError.

    A file's third line may say `least version: N`. What is a key's line is never taken for a file's name: whoever
    writes into the working folder would choose the key.
    """
    key = _key(given) if isinstance(given, str) else None
    if key is not None:
        return key
    _, line, *more = _lines(Path(given), "public key", 2)
    key, least = _key(line), _LEAST.fullmatch(more[0]) if more else None
    if key is None or (any(more) and (least is None or any(more[1:]))):
        raise PandaError(f"{given}: not a public key; give a file that `panda-train keygen` or `minisign -G` wrote")
    return key if least is None else replace(key, least_version=int(least[1]))


def _key(line: str) -> PublicKey | None:
    raw = _base64(line)
    return PublicKey(raw[2:10], raw[10:]) if len(raw) == 42 and raw[:2] == b"Ed" else None


def read_signature(bundle: Path) -> Signature:
    """The signature in a bundle's folder. Raises BundleError where there is none, or none that can be read."""
    path = bundle / SIGNATURE_NAME
    if not os.path.exists(path):
        raise BundleError(f"{bundle}: not signed, and a signature is required; sign it with `panda-train sign`")
    lines = _lines(path, "signature", 4)
    raw, comment_raw = _base64(lines[1]), _base64(lines[3])
    if len(raw) != 74 or raw[:2] != _HASHED or len(comment_raw) != 64 or not lines[2].startswith(_TRUSTED):
        raise BundleError(f"{path}: not a signature; sign the bundle again")
    return Signature(raw[2:10], raw[10:], lines[2].removeprefix(_TRUSTED), comment_raw)


def signature_text(signature: Signature) -> str:
    """The signature as a file's text."""
    first = base64.b64encode(_HASHED + signature.key_number + signature.signature).decode()
    second = base64.b64encode(signature.comment_signature).decode()
    return f"untrusted comment: signature of a panda-edge bundle\n{first}\n{_TRUSTED}{signature.comment}\n{second}\n"


def digest(manifest: bytes) -> bytes:
    """What is signed of a manifest's bytes."""
    return hashlib.blake2b(manifest).digest()


def check_signature(bundle: Path, manifest: bytes, key: PublicKey) -> Signature:
    """The bundle's signature, which is `key`'s over just these bytes of its manifest, and of a version that it takes.

    Raises BundleError."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise missing("signatures need the library cryptography", "sign") from error
    signature = read_signature(bundle)
    path = bundle / SIGNATURE_NAME
    if signature.key_number != key.number:
        signer = key_name(signature.key_number)
        raise BundleError(
            f"{path}: signed with key {signer}, required is {key_name(key.number)}; get the bundle from its signer"
        )
    public = Ed25519PublicKey.from_public_bytes(key.key)
    try:
        public.verify(signature.signature, digest(manifest))
        public.verify(signature.comment_signature, signature.signature + signature.comment.encode())
    except InvalidSignature as error:
        raise BundleError(
            f"{path}: not key {key_name(key.number)}'s signature of this manifest; altered, get it from its signer"
        ) from error
    if signature.version < key.least_version:
        raise BundleError(
            f"{path}: version {signature.version or 'none'}, and the key's file takes {key.least_version} and newer; "
            "get the bundle that is newest from its signer"
        )
    return signature


def _lines(path: Path, what: str, count: int) -> list[str]:
    """The lines of a small text file, at least `count`. Raises PandaError."""
    try:
        with open_regular(path) as stream:
            text = stream.read(_MAX_BYTES + 1).decode()
    except OSError as error:
        raise PandaError(f"{path}: the {what} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise PandaError(f"{path}: not a {what}; expected {count} lines of text") from error
    lines = [line.rstrip("\r") for line in text.split("\n")]
    if len(text) > _MAX_BYTES or len(lines) < count:
        raise PandaError(f"{path}: not a {what}; expected {count} lines of text")
    return lines


def _base64(line: str) -> bytes:
    """The bytes that a line stands for; none where another line would stand for the same."""
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if base64.b64encode(found).decode() == line else b""
