"""Keys and signing: what is written is whole, for its owner only, and never takes another's place."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from panda_edge.builder.bundle_writer import file_table
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.signature import SIGNATURE_NAME, read_public_key
from panda_edge.errors import BundleError, PandaError
from panda_edge.whole_file import part_of
from panda_export.signing import make_key, read_secret_key, sign_bundle


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    make_key(tmp_path / "line.key")
    return tmp_path / "line.key"


def test_a_key_is_its_owners(secret: Path) -> None:
    assert secret.stat().st_mode & 0o777 == 0o600
    assert read_public_key(secret.with_suffix(".pub")) == read_secret_key(secret).public


def test_a_key_is_never_overwritten(secret: Path, tmp_path: Path) -> None:
    before = secret.read_bytes()
    with pytest.raises(PandaError, match="never overwritten"):
        make_key(secret)
    with pytest.raises(PandaError, match="never overwritten"):
        make_key(secret.with_suffix(".other"))  # whose public key would be the same file
    with pytest.raises(PandaError, match="give the secret key another"):
        make_key(tmp_path / "x.pub")
    with pytest.raises(PandaError, match="cannot be written"):
        make_key(tmp_path / "none" / "x.key")
    assert secret.read_bytes() == before


def test_keys_differ(secret: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.key")
    ours = read_secret_key(secret).public
    assert ours.number != other.number
    assert ours.key != other.key


def raw(secret: Path) -> bytearray:
    return bytearray(base64.b64decode(secret.read_text().splitlines()[1]))


def put(secret: Path, content: bytes) -> None:
    secret.write_text(f"untrusted comment: x\n{base64.b64encode(content).decode()}\n")


def test_keys_that_cannot_be_used(secret: Path) -> None:
    whole = raw(secret)
    put(secret, whole[:2] + b"Sc" + whole[4:])
    with pytest.raises(PandaError, match=r"has a password.*minisign -S"):
        read_secret_key(secret)
    put(secret, whole[:62] + bytes([whole[62] ^ 1]) + whole[63:])
    with pytest.raises(PandaError, match="do not belong together"):
        read_secret_key(secret)
    for content in (b"", whole[:-1], b"XX" + whole[2:]):
        put(secret, content)
        with pytest.raises(PandaError, match="not a secret key"):
            read_secret_key(secret)
    secret.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PandaError, match="not a secret key"):
        read_secret_key(secret)
    with pytest.raises(PandaError, match="cannot be read"):
        read_secret_key(secret.with_name("none.key"))


def test_signing_again_replaces(bundle_copy: Callable[..., Path], secret: Path) -> None:
    bundle = bundle_copy()
    key = read_secret_key(secret)
    part_of(bundle / SIGNATURE_NAME, 1).write_text("left by a killed process")
    first = sign_bundle(bundle, key, "one")
    assert sign_bundle(bundle, key, "one") == first  # the same bundle and key give the same signature
    sign_bundle(bundle, key, "two")
    opened = open_bundle(bundle, secret.with_suffix(".pub"))
    assert opened.signature is not None
    assert opened.signature.comment == "two"
    assert file_table(bundle) == opened.manifest.files
    assert not list(bundle.glob(".*"))


def test_only_what_was_exported_is_signed(bundle_copy: Callable[..., Path], secret: Path) -> None:
    key = read_secret_key(secret)
    for name in ("bank/stride04.npy", MANIFEST_NAME):
        bundle = bundle_copy("exact" if name != MANIFEST_NAME else "kmeans")
        content = bytearray((bundle / name).read_bytes())
        content[-3 if name != MANIFEST_NAME else content.index(b"tiny")] ^= 1
        (bundle / name).write_bytes(content)
        with pytest.raises(BundleError, match="altered or damaged"):
            sign_bundle(bundle, key)
        assert not (bundle / SIGNATURE_NAME).exists()


@pytest.mark.parametrize("comment", ["two\nlines", "\x1b[2J", "x" * 1001])
def test_comments(bundle_copy: Callable[..., Path], secret: Path, comment: str) -> None:
    with pytest.raises(PandaError, match="--comment"):
        sign_bundle(bundle_copy(), read_secret_key(secret), comment)
