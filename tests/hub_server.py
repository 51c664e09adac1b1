"""A hub on loopback: one data set, its listing and its files, as far as huggingface_hub asks; for tests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "a" * 40


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    repo: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        self.hub.visits[f"{self.command} {path}"] += 1
        match = re.fullmatch(rf"/datasets/{self.repo}/resolve/{REVISION}/(.+)", path)
        if path in (f"/api/datasets/{self.repo}", f"/api/datasets/{self.repo}/revision/main"):
            self.send(200, self.hub.info(self.repo), with_body)
        elif match and self.hub.gated:
            self.send(403, b"{}", with_body, {"X-Error-Code": "GatedRepo"})
        elif match and match[1] in self.hub.files:
            self.file(match[1], with_body)
        else:
            self.send(404, b"{}", with_body, {"X-Error-Code": "RepoNotFound"})

    def file(self, name: str, with_body: bool) -> None:
        body = self.hub.files[name]
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": REVISION}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if name in self.hub.damaged:
            body = body[:-1] + b"?"
        if wanted and with_body:
            self.hub.ranges.append(self.headers["Range"])
            self.send(206, body[int(wanted[1]) :], True, headers)
        else:
            self.send(200, body, with_body, headers)

    def send(self, status: int, body: bytes, with_body: bool, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            with contextlib.suppress(OSError):
                self.wfile.write(body)


class HubServer:
    """Serves `files` of `repo`.  `damaged` files arrive with another last byte; `gated`: all are refused."""

    def __init__(self, repo: str, files: Mapping[str, bytes], licence: str = "cc-by-4.0") -> None:
        self.files = dict(files)
        self.visits: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.licence = licence
        self.gated = False
        self.damaged: set[str] = set()
        handler = type("Handler", (_Handler,), {"hub": self, "repo": repo})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def info(self, repo: str) -> bytes:
        siblings = [
            {
                "rfilename": name,
                "size": len(body),
                "lfs": {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 130},
            }
            for name, body in self.files.items()
        ]
        value = {
            "id": repo,
            "sha": REVISION,
            "cardData": {"license": self.licence},
            "gated": "auto" if self.gated else False,
            "siblings": siblings,
        }
        return json.dumps(value).encode()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
