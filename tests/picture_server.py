"""A web server of pictures, and all that can be wrong with one: standard library only, for tests.

In: a script, a function from a path and its number of visits to a `Page`.  Out: a server on a free loopback port, in
threads of this process, which notes every visit and how many were under way at once.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


def picture(colour: str = "red", size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


@dataclass
class Page:
    """What to send: status, headers, a body; and how: after a delay, endlessly, or cut off in the middle."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    endless: bool = False
    cut: bool = False


class PictureServer:
    def __init__(self, script: Callable[[str, int], Page], address: str = "127.0.0.1") -> None:
        self.visits: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                with outer._lock:
                    outer.visits[self.path] += 1
                    outer.headers.append({k.lower(): v for k, v in self.headers.items()})
                    page = script(self.path, outer.visits[self.path])
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                outer._closing.wait(page.delay)
                with outer._lock:  # before the reply, since the next visit may come as soon as it is there
                    outer._now -= 1
                with contextlib.suppress(OSError):
                    outer._send(self, page)

        self._http = ThreadingHTTPServer((address, 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.base = f"http://{address}:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def _send(self, handler: BaseHTTPRequestHandler, page: Page) -> None:
        handler.send_response(page.status)
        for name, value in page.headers.items():
            handler.send_header(name, value)
        if page.endless:
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.close_connection = True
            while not self._closing.is_set():
                handler.wfile.write(page.body)
                time.sleep(0.005)
            return
        handler.send_header("Content-Length", str(len(page.body)))
        handler.end_headers()
        handler.wfile.write(page.body[: len(page.body) // 2] if page.cut else page.body)
        handler.close_connection = handler.close_connection or page.cut

    def close(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
