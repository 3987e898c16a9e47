"""systemd's notify and watchdog protocol: datagrams to a socket that it names (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time


class Systemd:
    """Says READY, WATCHDOG and STOPPING where systemd asked to be told; nothing elsewhere."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self._every = int(microseconds) / 1e6 / 3 if for_us and microseconds.isdecimal() else None
        self._last = 0.0

    def notify(self, state: str) -> None:
        """Send a state such as `READY=1`. A socket that is gone is no reason to stop judging."""
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        # An address that begins with @ is abstract: its first byte is zero.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError:
            pass

    def beat(self) -> None:
        """Feed the watchdog, three times as often as it must be. Called by the loop itself, so that a loop that hangs
        is restarted."""
        if self._every is None or time.monotonic() - self._last < self._every:
            return
        self._last = time.monotonic()
        self.notify("WATCHDOG=1")
