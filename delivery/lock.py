"""Pins what CI installs, of pyproject's open ranges the newest: python -m delivery.lock → .ci/lock.txt

pip resolves and downloads what it must look into, and installs nothing.
"""

from __future__ import annotations

import json
import re

from delivery.wheels import ROOT, run

LOCK = ROOT / ".ci" / "lock.txt"
EXTRAS = "dev,fuzz,docs"
_HEAD = """\
# What CI installs (PIP_CONSTRAINT): the newest that the open ranges of pyproject.toml gave when all tests passed.
# Made anew by `make lock`; tests/delivery/test_lock.py tells when a range has left it behind.
"""


def name_of(given: str) -> str:
    return re.sub(r"[-_.]+", "-", given).lower()


def resolve() -> dict[str, str]:
    """Versions by name of all that the extras need, ours left out."""
    report = run("-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-",
                 f"{ROOT}[{EXTRAS}]")  # fmt: skip
    found = {name_of(item["metadata"]["name"]): item["metadata"]["version"] for item in json.loads(report)["install"]}
    del found["panda-edge"]
    return found


def read() -> dict[str, str]:
    lines = (line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    return dict(line.split("==") for line in lines)


def main() -> None:
    pins = resolve()
    LOCK.write_text(_HEAD + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)), encoding="utf-8")
    print(f"{len(pins)} versions in {LOCK.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
