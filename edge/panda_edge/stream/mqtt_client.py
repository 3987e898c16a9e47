"""The client of an MQTT broker, as sinks and triggers want it."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, unquote

from panda_edge.errors import missing

_KEEPALIVE, _CONNECT = 20, 10.0  # seconds


def imported(option: str) -> Any:
    """paho-mqtt. option: that needs it. Raises PandaError: the extra is missing."""
    try:
        import paho.mqtt.client as mqtt
    except ImportError as error:
        raise missing(f"{option} needs paho-mqtt", "mqtt") from error
    return mqtt


def broker_port(address: SplitResult) -> int:
    """As the address says, or the one of its scheme."""
    return address.port or (8883 if address.scheme == "mqtts" else 1883)


def mqtt_client(mqtt: Any, address: SplitResult, longest_pause: int) -> Any:
    """A client that connects, and connects again, once its loop has started. longest_pause: seconds between tries."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    if address.username is not None:
        client.username_pw_set(unquote(address.username), unquote(address.password or ""))
    if address.scheme == "mqtts":
        client.tls_set()
    client.connect_timeout = _CONNECT
    client.reconnect_delay_set(1, longest_pause)
    client.connect_async(address.hostname or "", broker_port(address), _KEEPALIVE)
    return client
