"""Signed bundles: with a key required, nothing is used that the key's holder has not signed, not even later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import panda_edge
from panda_edge.bundle import signature as signatures
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.signature import SIGNATURE_NAME, check_signature, read_public_key
from panda_edge.errors import BundleError, PandaError
from panda_edge.inspect.verify import verify
from panda_export.signing import make_key, read_secret_key, sign_bundle

PANDA_EDGE = Path(sys.executable).with_name("panda-edge")

# Made by minisign 0.11 over the 11 bytes "a manifest\n".
MINISIGN_KEY = "RWQl5b3dq2Y8NrPNajpNXrxwliI/DrlEy6mpueH2Vyi+Rnmrv14vHt9M"
MINISIGN_SIGNATURE = """\
untrusted comment: signature from minisign secret key
RUQl5b3dq2Y8NqdT4ERnO5Ear8VJ63hESpGRlZbbKHBZbk7G25jA8e7B6x6k2iuZPVgGMax5cZmHAZoIHz2HQi4z+WnusHMVxQI=
trusted comment: by minisign 0.11
I5VFr5TgKtkcP4hdPOlLVtAq4bpgsdXD2VbQsV7v7ikVGt2FLSNbQE7RqnXLc86bvbfhcIPgE3k9CCk1H6cqAw==
"""


@dataclass(frozen=True)
class Keys:
    secret: Path
    public: Path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    secret = tmp_path_factory.mktemp("keys") / "line.key"
    make_key(secret)
    return Keys(secret, secret.with_suffix(".pub"))


@pytest.fixture
def signed(bundle_copy: Callable[[str], Path], keys: Keys) -> Callable[[str], Path]:
    def make(bank: str = "exact") -> Path:
        bundle = bundle_copy(bank)
        sign_bundle(bundle, read_secret_key(keys.secret), "line 3")
        return bundle

    return make


def refused(bundle: Path, key: str | os.PathLike[str], expected: str) -> None:
    with pytest.raises(PandaError, match=expected) as caught:
        panda_edge.load(bundle, threads=1, require_signature=key)
    assert "\n" not in str(caught.value)


def test_a_signed_bundle_gives_the_same(any_bundle: Path, tmp_path: Path, keys: Keys, odd_image: Path) -> None:
    bundle = Path(shutil.copytree(any_bundle, tmp_path / "x.panda"))
    refused(bundle, keys.public, "not signed, and a signature is required")
    sign_bundle(bundle, read_secret_key(keys.secret))
    expected = panda_edge.load(bundle, threads=1).segment(odd_image)
    line = keys.public.read_text().splitlines()[1]
    for key in (keys.public, str(keys.public), line):
        found = panda_edge.load(bundle, threads=1, require_signature=key).segment(odd_image)
        assert found.score == expected.score
        np.testing.assert_array_equal(found.heatmap, expected.heatmap)
    report = verify(bundle, threads=1, require_signature=line)
    assert report["ok"]
    assert report["signature"] == {"key": report["signature"]["key"], "comment": "panda-edge bundle"}  # type: ignore[index]


def test_every_altered_byte_is_found_at_load(
    signed: Callable[[str], Path], keys: Keys, made_bundles: dict[str, Path]
) -> None:
    random = np.random.default_rng(0)
    for bank in made_bundles:
        bundle = signed(bank)
        later = ("selftest.npz", "pictures.npy", "looks.npy")  # read, and checked, by `verify` and by `extend`
        used = [path for path in bundle.rglob("*") if path.is_file() and path.name not in later]
        for victim in used:
            whole = victim.read_bytes()
            begin = whole.index(b"\n") + 1 if victim.name == SIGNATURE_NAME else 0  # its first line is not signed
            for at in random.integers(begin, len(whole) - 1, 4):
                victim.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
                refused(bundle, keys.public, r"\w")
            victim.write_bytes(whole)
        panda_edge.load(bundle, threads=1, require_signature=keys.public)


def test_another_key_and_another_bundles_signature(signed: Callable[[str], Path], keys: Keys, tmp_path: Path) -> None:
    bundle, other = signed("exact"), signed("kmeans")
    make_key(tmp_path / "other.key")
    refused(bundle, tmp_path / "other.pub", "signed with key [0-9A-F]{16}, required is [0-9A-F]{16}")
    shutil.copy(other / SIGNATURE_NAME, bundle / SIGNATURE_NAME)
    refused(bundle, keys.public, "not key .* signature of this manifest")
    # A key that borrows another's number.
    public = read_public_key(tmp_path / "other.pub")
    borrowed = signatures.PublicKey(read_public_key(keys.public).number, public.key)
    refused(other, borrowed.text(), "not key .* signature of this manifest")


def test_the_comment_is_signed(signed: Callable[[str], Path], keys: Keys) -> None:
    bundle = signed("exact")
    text = (bundle / SIGNATURE_NAME).read_text()
    (bundle / SIGNATURE_NAME).write_text(text.replace("line 3", "line 4"))
    refused(bundle, keys.public, "not key")


def test_an_older_version_is_refused(bundle_copy: Callable[[str], Path], keys: Keys, tmp_path: Path) -> None:
    bundle, pub = bundle_copy("exact"), tmp_path / "line.pub"
    secret = read_secret_key(keys.secret)
    for least, version, taken in [(0, None, True), (7, None, False), (7, 6, False), (7, 7, True), (7, 12, True)]:
        line = f"least version: {least}\n" if least else ""
        pub.write_text(keys.public.read_text() + line)
        assert sign_bundle(bundle, secret, "line 3", version).version == (version or 0)
        if taken:
            assert open_bundle(bundle, pub).signature is not None
        else:
            refused(bundle, pub, f"version {version or 'none'}, and the key's file takes 7 and newer")
    comment = (bundle / SIGNATURE_NAME).read_text()
    assert "trusted comment: version:12 line 3\n" in comment
    (bundle / SIGNATURE_NAME).write_text(comment.replace("version:12", "version:99"))
    refused(bundle, pub, "not key")  # the version is signed
    for version in (0, 10**9):
        with pytest.raises(PandaError, match="--version"):
            sign_bundle(bundle, secret, "line 3", version)


@pytest.mark.parametrize("more", ["least version: x", "least version: -1", "version: 7", "\nleast version: 7", "words"])
def test_a_key_file_says_nothing_else(keys: Keys, tmp_path: Path, more: str) -> None:
    (tmp_path / "x.pub").write_text(f"{keys.public.read_text()}{more}\n")
    with pytest.raises(PandaError, match="not a public key"):
        read_public_key(tmp_path / "x.pub")


@pytest.mark.parametrize("bank", ["exact", "hnsw", "gaussian", "joint-hnsw", "coreset"])
def test_a_file_changed_after_loading_is_not_read_again(
    signed: Callable[[str], Path], keys: Keys, odd_image: Path, bank: str
) -> None:
    bundle = signed(bank)
    detector = panda_edge.load(bundle, threads=1, require_signature=keys.public)
    trusting = panda_edge.load(bundle, threads=1)
    expected = detector.segment(odd_image)
    for path in bundle.rglob("*"):
        if path.is_file():
            with path.open("r+b") as stream:  # in place, so that a mapped file changes under its reader
                stream.write(bytes(path.stat().st_size))
    found = detector.segment(odd_image)
    assert found.score == expected.score
    np.testing.assert_array_equal(found.heatmap, expected.heatmap)
    if bank in ("exact", "coreset"):  # as a bundle without a required key does show
        assert not np.array_equal(trusting.segment(odd_image).heatmap, expected.heatmap)
    shutil.rmtree(bundle)
    assert detector.segment(odd_image).score == expected.score


def test_what_is_held_cannot_be_written(signed: Callable[[str], Path], keys: Keys) -> None:
    opened = open_bundle(signed("exact"), keys.public)
    held = opened.checked_file("bank/stride16.npy")
    assert opened.checked_file("bank/stride16.npy") == held
    if sys.platform == "linux":
        with pytest.raises(PermissionError), held.open("r+b") as stream:
            stream.write(b"x")


def test_minisigns_own_signature(tmp_path: Path) -> None:
    (tmp_path / SIGNATURE_NAME).write_text(MINISIGN_SIGNATURE)
    found = check_signature(tmp_path, b"a manifest\n", read_public_key(MINISIGN_KEY))
    assert found.facts() == {"key": "363C66ABDDBDE525", "comment": "by minisign 0.11"}
    with pytest.raises(BundleError):
        check_signature(tmp_path, b"a manifest", read_public_key(MINISIGN_KEY))


@pytest.mark.skipif(shutil.which("minisign") is None, reason="needs the program minisign (Debian: minisign)")
def test_minisign_checks_ours_and_we_check_its(signed: Callable[[str], Path], keys: Keys, tmp_path: Path) -> None:
    bundle = signed("exact")
    subprocess.run(["minisign", "-Vm", bundle / MANIFEST_NAME, "-p", keys.public], check=True, capture_output=True)
    (bundle / SIGNATURE_NAME).unlink()
    command = ["minisign", "-Sm", bundle / MANIFEST_NAME, "-s", keys.secret, "-t", "theirs"]
    subprocess.run(command, check=True, capture_output=True)
    assert open_bundle(bundle, keys.public).signature.comment == "theirs"  # type: ignore[union-attr]
    key = ["minisign", "-GW", "-p", tmp_path / "m.pub", "-s", tmp_path / "m.key"]
    subprocess.run(key, check=True, capture_output=True)
    sign_bundle(bundle, read_secret_key(tmp_path / "m.key"))
    panda_edge.load(bundle, require_signature=tmp_path / "m.pub")


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n\n\n", "x", "a\nb\nc\nd\n", "\x00" * 100, "a\n" * 5000, MINISIGN_SIGNATURE.replace("RUQ", "RWQ"),
        MINISIGN_SIGNATURE.replace("trusted comment: by", "comment: by"), MINISIGN_SIGNATURE[:-30],
        MINISIGN_SIGNATURE.replace("RUQl", "RUQ\u00e9"),
    ],
)  # fmt: skip
def test_what_is_no_signature(tmp_path: Path, text: str) -> None:
    (tmp_path / SIGNATURE_NAME).write_text(text)
    with pytest.raises(PandaError) as caught:
        check_signature(tmp_path, b"a manifest\n", read_public_key(MINISIGN_KEY))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["", "no-such.pub", "x" * 56, "x" * 5000, "/dev/null", "/", MINISIGN_KEY[:-4]])
def test_what_is_no_key(exact_bundle: Path, given: str) -> None:
    refused(exact_bundle, given, "key")


def test_the_library_is_named_where_it_is_missing(
    exact_bundle: Path, monkeypatch: pytest.MonkeyPatch, keys: Keys
) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    refused(exact_bundle, keys.public, r'pip install "panda-edge\[sign\]"')


def test_every_command_that_reads_a_bundle_can_require_one() -> None:
    import typer

    from panda_edge.commands.app import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    reading = {name: command for name, command in commands.items() if "bundle" in {p.name for p in command.params}}
    assert {"info", "verify", "detect", "segment", "bench"} <= set(reading)
    for name, command in reading.items():
        assert "require_signature" in {p.name for p in command.params}, name


def test_the_commands(
    signed: Callable[[str], Path], exact_bundle: Path, keys: Keys, odd_image: Path, tmp_path: Path
) -> None:
    bundle = signed("exact")
    commands = [
        ["info"],
        ["verify"],
        ["detect", odd_image],
        ["segment", odd_image, "--out", tmp_path / "maps"],
        ["bench", odd_image, "--frames", "2"],
    ]
    for command, *rest in commands:
        for given, code in ((bundle, 0), (exact_bundle, 2)):
            words = [PANDA_EDGE, command, given, *rest, "--require-signature", keys.public]
            done = subprocess.run([*map(str, words)], capture_output=True, text=True)
            assert (done.returncode, len(done.stderr.splitlines())) == (code, code // 2), done.stderr
    words = [PANDA_EDGE, "verify", bundle, "--key", keys.public]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    assert "signed with key" in done.stdout
    assert "line 3" in done.stdout
