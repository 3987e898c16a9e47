"""`panda-train backbones`: what it says of networks is so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from panda_edge.errors import PandaError
from panda_train import backbones
from panda_train.backbones.listing import MEASURED, facts, lines

RESULTS = Path(__file__).parents[2] / "benchmarks" / "studies" / "backbones" / "results.json"


def test_what_is_said_of_a_built_in_network() -> None:
    row = facts("efficientnet-lite0", timed=False)
    assert row["parameters"] == 4_652_008  # as its authors count them
    assert [level["stride"] for level in row["levels"]] == [16, 8, 4]
    assert row["licence"] == "Apache-2.0"
    assert row["ms"] is None
    header, line = lines([row])
    assert header.split()[0] == "name"
    assert line.startswith("efficientnet-lite0  4.7 M")


@pytest.mark.parametrize("network", MEASURED)
def test_the_accuracy_is_the_measured_one(network: str) -> None:
    key = f": {network.replace('efficientnet-', '').replace('+', ' + ')} 224"
    rows = [row for name, row in json.loads(RESULTS.read_text()).items() if name.endswith(key)]
    assert len(rows) == 8
    pro = [row["pro"] for row in rows if row["pro"] is not None]
    found = MEASURED[network]
    assert found["image_auroc"] == round(sum(row["image"] for row in rows) / len(rows), 3)
    assert found["pro"] == round(sum(pro) / len(pro), 3)


def test_a_pattern_stands_for_several_of_timm() -> None:
    pytest.importorskip("timm", reason="needs timm: pip install panda-edge[timm]")
    assert "timm:test_vit.r160_in1k" in backbones.matching("timm:test_vit*")
    row = facts("timm:convnext_atto", timed=False)
    assert (row["input_multiple"], row["licence"]) == (32, "apache-2.0")
    with pytest.raises(PandaError, match="no pretrained network 'nothing"):
        backbones.matching("timm:nothing*")
