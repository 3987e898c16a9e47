"""The dashboard asks for nothing that `--metrics` does not give. No Grafana shows it here."""

from __future__ import annotations

import json
import re
from pathlib import Path

from panda_edge.stream.sinks.metrics import Metrics

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana.json"


def test_every_metric_is_served() -> None:
    families = set(re.findall(r"^# TYPE (\w+)", Metrics(list, dict).text(), re.MULTILINE))
    asked = set(re.findall(r"panda_edge_\w+", DASHBOARD.read_text(encoding="utf-8")))
    parts = {name: re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert {name for name, family in parts.items() if not {name, family} & families} == set()
    assert len(asked) > 8


def test_panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
