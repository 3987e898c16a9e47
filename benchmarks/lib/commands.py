"""Commands of ours that print JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def run_json(arguments: list[str]) -> dict[str, Any]:
    """What `panda-train ARGUMENTS --json` prints; its error ends the program."""
    command = [sys.executable, "-m", "panda_train", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return dict(json.loads(done.stdout))
