"""An HTTP camera of our own: JPEGs of noise, one after another, as multipart/x-mixed-replace."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

BOUNDARY = "frame"


def jpeg(seed: int, size: tuple[int, int] = (64, 64)) -> bytes:
    noise = np.random.default_rng(seed).integers(40, 200, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=80)
    return stream.getvalue()


class Camera:
    """Serves /stream, /without-length, /one and /stuck; `frames` are sent a connection, then it hangs up."""

    def __init__(self, port: int = 0, frames: int = 10**9, pause: float = 0.02) -> None:
        camera = self
        self.connections = 0
        self.stop = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.connections += 1
                if self.path == "/missing":
                    self.send_error(404)
                    return
                if self.path == "/one":
                    picture = jpeg(camera.connections)
                    self.send_response(200)
                    self.send_header("Content-Type", "image/jpeg")
                    self.send_header("Content-Length", str(len(picture)))
                    self.end_headers()
                    self.wfile.write(picture)
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                try:
                    for number in range(frames):
                        picture = jpeg(number + 1000 * camera.connections)
                        length = "" if self.path == "/without-length" else f"Content-Length: {len(picture)}\r\n"
                        self.wfile.write(f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode())
                        self.wfile.write(picture + b"\r\n")
                        if camera.stop.wait(pause if self.path != "/stuck" else 60):
                            return
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
