"""Home Assistant's MQTT discovery: one retained message, and the device is there."""

from __future__ import annotations

import hashlib
from typing import Any

_HELD = 30  # seconds for which an anomaly shows, as normal frames are told only with `--send all`
_OF_FRAMES = "value_json.anomalous is defined"  # a notice has no verdict


def discovery(topic: str) -> tuple[str, dict[str, Any]]:
    """Topic and content of the message. topic: that events go to.

    As of Home Assistant 2024.11, device discovery: https://www.home-assistant.io/integrations/mqtt
    """
    identity = f"panda_edge_{hashlib.sha256(topic.encode()).hexdigest()[:12]}"

    def told(value: str) -> str:
        return f"{{{{ {value} if {_OF_FRAMES} else '' }}}}"  # what is empty changes nothing

    anomaly = {
        "platform": "binary_sensor",
        "name": "Anomaly",
        "unique_id": f"{identity}_anomaly",
        "device_class": "problem",
        "state_topic": topic,
        "value_template": told("('ON' if value_json.anomalous else 'OFF')"),
        "payload_on": "ON",
        "payload_off": "OFF",
        "off_delay": _HELD,
        "json_attributes_topic": topic,
    }
    severity = {
        "platform": "sensor",
        "name": "Severity",
        "unique_id": f"{identity}_severity",
        "state_class": "measurement",
        "state_topic": topic,
        "value_template": told("value_json.severity"),
    }
    return f"homeassistant/device/{identity}/config", {
        "device": {"identifiers": [identity], "name": f"panda-edge {topic}", "manufacturer": "panda-edge"},
        "origin": {"name": "panda-edge"},
        "availability_topic": f"{topic}/status",
        "payload_available": "online",
        "payload_not_available": "offline",
        "components": {"anomaly": anomaly, "severity": severity},
    }
