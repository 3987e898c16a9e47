"""The bill of materials of a folder of wheels: what is in it, by which hash, under which licence."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx", reason="needs cyclonedx: pip install 'panda-edge[delivery]'")

from delivery.sbom import write_sbom


def wheel(folder: Path, name: str, version: str, *lines: str) -> Path:
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        text = "\n".join(("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines))
        archive.writestr(f"{name.replace('-', '_')}-{version}.dist-info/METADATA", text + "\n\ntext\n")
    return path


def test_every_wheel_is_listed(tmp_path: Path) -> None:
    needed = ("numpy>=1.26", "hnswlib", "torch; extra == 'train'", "crypt; extra == 'sign'")
    lines = (f"Requires-Dist: {line}" for line in needed)
    wheel(tmp_path, "panda-edge", "0.1.0", "License-Expression: Apache-2.0", *lines)
    numpy = wheel(tmp_path, "numpy", "2.0", "License-Expression: BSD-3-Clause AND MIT")
    wheel(tmp_path, "hnswlib", "0.8.0")
    wheel(tmp_path, "Crypt", "1", "Classifier: License :: OSI Approved :: MIT License", "License: long\n        text")
    wheel(tmp_path, "torch", "1", "License: UNKNOWN")
    bill = json.loads(write_sbom(tmp_path).read_text())
    assert bill["bomFormat"] == "CycloneDX"
    ours = bill["metadata"]["component"]
    assert (ours["name"], ours["version"]) == ("panda-edge", "0.1.0")
    assert [part["name"] for part in ours["components"]] == ["jsmn"]
    parts = {part["name"]: part for part in bill["components"]}
    assert parts.keys() == {"numpy", "hnswlib", "crypt", "torch"}
    inside = {part["name"]: part["licenses"][0] for part in parts["hnswlib"]["components"]}
    assert inside["libc++"] == {"expression": "Apache-2.0 WITH LLVM-exception"}
    assert inside.keys() == {"libc++", "pybind11"}
    assert parts["numpy"]["purl"] == "pkg:pypi/numpy@2.0"
    assert parts["numpy"]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(numpy.read_bytes()).hexdigest()}]
    licences = {name: next(iter(part["licenses"][0].values())) for name, part in parts.items()}
    assert licences["numpy"] == "BSD-3-Clause AND MIT"
    assert licences["hnswlib"]["id"] == "Apache-2.0"
    assert licences["crypt"]["name"] == "MIT License"
    assert licences["torch"]["name"] == "unknown"
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    assert needs["panda-edge==0.1.0"] == ["crypt==1", "hnswlib==0.8.0", "numpy==2.0"]
