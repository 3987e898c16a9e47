"""The bill of materials of a wheelhouse, CycloneDX: python -m delivery.sbom DIR → DIR/sbom.cdx.json

Every wheel with its version, licence and sha256, what needs what, and what is inside ours that is not ours.
"""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

NAME = "sbom.cdx.json"
OURS = "panda-edge"
EXTRAS = ("sign", "hnsw")  # that a wheelhouse may have
_UNSAID = {"hnswlib": "Apache-2.0"}  # of what says nothing of its licence in its metadata

# Sources that are compiled into a wheel of ours, THIRD_PARTY.md says from where.
_INSIDE: dict[str, list[tuple[str, str | None, str]]] = {
    OURS: [("jsmn", "1.1.0", "MIT")],
    "hnswlib": [("libc++", None, "Apache-2.0 WITH LLVM-exception"), ("pybind11", None, "BSD-3-Clause")],
}


def write_sbom(wheelhouse: Path) -> Path:
    """The bill of all wheels in a folder, into it."""
    found = {
        _name(about["Name"]): (wheel, about) for wheel in sorted(wheelhouse.glob("*.whl")) for about in [_about(wheel)]
    }
    components = {name: _component(name, wheel, about) for name, (wheel, about) in found.items()}
    bom = Bom()
    bom.metadata.component = components[OURS]
    for name, component in components.items():
        if name != OURS:
            bom.components.add(component)
    for name, (_, about) in found.items():
        needed = {_name(Requirement(line).name) for line in about.get_all("Requires-Dist", []) if _here(line)}
        bom.register_dependency(components[name], [components[other] for other in sorted(needed & components.keys())])
    for name, inside in _INSIDE.items():
        for part, version, licence in inside if name in components else ():
            component = Component(name=part, version=version, type=ComponentType.LIBRARY, bom_ref=f"{name}/{part}")
            component.licenses.add(LicenseFactory().make_from_string(licence))
            components[name].components.add(component)
    path = wheelhouse / NAME
    path.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n", encoding="utf-8")
    return path


def _about(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return message_from_string(archive.read(name).decode())


def _component(name: str, wheel: Path, about: Message) -> Component:
    component = Component(
        name=name,
        version=about["Version"],
        type=ComponentType.APPLICATION if name == OURS else ComponentType.LIBRARY,
        purl=PackageURL("pypi", name=name, version=about["Version"]),
        bom_ref=f"{name}=={about['Version']}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(wheel.read_bytes()).hexdigest())],
    )
    component.licenses.add(LicenseFactory().make_from_string(_licence(name, about)))
    return component


def _licence(name: str, about: Message) -> str:
    """An SPDX expression where the package gives one, else what it says in a line."""
    classified = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License ::")
    ]
    said = [about["License-Expression"], *classified, (about["License"] or "").split("\n")[0], _UNSAID.get(name)]
    return next((text for text in said if text and text != "UNKNOWN"), "unknown")


def _here(line: str) -> bool:
    """Whether a requirement holds in the base install or in one with these extras."""
    marker = Requirement(line).marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *EXTRAS))


def _name(given: str) -> str:
    return re.sub(r"[-_.]+", "-", given).lower()


if __name__ == "__main__":
    print(write_sbom(Path(sys.argv[1])))
