"""Who comes to a plant's page, each kind a process of its own: browsers, idle connections, and a webhook's receiver.

python -m benchmarks.endurance.plant_visitors browsers|idle|receiver PORT NUMBER

Each prints a line of JSON a second: of browsers how many looks they had and how many failed; of idle connections how
often one was made; of the receiver how many events it has, each counted once.
"""

from __future__ import annotations

import http.client
import json
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

NICE = 5  # more than the one who is visited: visitors are other machines, whose processors are not the device's
_EVERY = 0.5  # seconds between two looks, as the page's script has it
_AGAIN = 1.0  # seconds after which a connection that was ended is made again


class Visitors:
    """A process of one kind; `counts` is the last that it said."""

    def __init__(self, kind: str, port: int, number: int) -> None:
        self.counts: dict[str, int] = {}
        self._heard = threading.Event()
        command = [
            "nice",
            "-n",
            str(NICE),
            sys.executable,
            "-m",
            "benchmarks.endurance.plant_visitors",
            kind,
            str(port),
            str(number),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._heard.wait(300):
            raise RuntimeError(f"{kind}: said nothing for five minutes")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.counts = json.loads(line)
            self._heard.set()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


def browsers(port: int, number: int) -> dict[str, int]:
    """Threads that ask for what the page's script asks for, each on one connection that it keeps."""
    counts = {"looks": 0, "failed": 0}

    def browse() -> None:
        connection, seen = http.client.HTTPConnection("127.0.0.1", port, timeout=20), 0

        def get(path: str) -> bytes:
            connection.request("GET", path)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status != 200:
                raise http.client.HTTPException(str(answer.status))
            return data

        while True:
            try:
                state = json.loads(get(f"/state?since={seen}"))
                seen = state["seen"]
                for i, source in enumerate(state["sources"]):
                    if source["latest"]:
                        get(f"/live/{i}.jpg?{source['latest']['id']}")
                counts["looks"] += 1
            except (OSError, http.client.HTTPException):
                counts["failed"] += 1
                connection.close()
            time.sleep(_EVERY)

    for _ in range(number):
        threading.Thread(target=browse, daemon=True).start()
    return counts


def idle(port: int, number: int) -> dict[str, int]:
    """Connections that send nothing; one that is ended is made again."""
    counts = {"made": 0}

    def crowd() -> None:
        watched, again = selectors.DefaultSelector(), [(0.0, one) for one in range(number)]
        while True:
            now = time.monotonic()
            while again and again[0][0] <= now:
                again.pop(0)
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
                watched.register(one, selectors.EVENT_READ)
                counts["made"] += 1
            for key, _ in watched.select(0.1):
                watched.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
                again.append((time.monotonic() + _AGAIN, 0))

    threading.Thread(target=crowd, daemon=True).start()
    return counts


def receiver(port: int, number: int) -> dict[str, int]:
    """Takes what a webhook posts."""
    counts = {"events": 0}
    seen: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.add(self.headers["Idempotency-Key"])
            counts["events"] = len(seen)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", port), Handler)
    counts["port"] = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return counts


KINDS: dict[str, Callable[[int, int], dict[str, int]]] = {"browsers": browsers, "idle": idle, "receiver": receiver}


def main() -> None:
    kind, port, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    counts = KINDS[kind](port, number)
    while True:
        print(json.dumps(counts), flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
