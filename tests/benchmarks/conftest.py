"""The benchmarks are not installed: `pytest` alone, unlike `python -m pytest`, does not find them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
