"""A small chat server of the OpenAI protocol, and all that can be wrong with one: standard library only, for tests.

In: a script, a function from a request (its body, its number) to an `Answer`.  Out: a server on a free loopback port,
in threads of this process, which notes every request, how many were under way at once, and over how many connections
they came.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What to send: status, headers, a body; and how: after a delay, only in part, endlessly, or not at all."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    part: float = 1.0
    endless: bool = False
    drop: bool = False


Script = Callable[["Asked"], Answer]


@dataclass
class Asked:
    """One request as it came."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        """The last turn's text."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)

    @property
    def pictures(self) -> list[str]:
        parts = [p for m in self.body["messages"] if isinstance(m["content"], list) for p in m["content"]]
        return [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]


def says(text: str | None, **more: Any) -> Answer:
    """Return a completion; `more` replaces parts of its choice."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, **more}
    return Answer({"object": "chat.completion", "choices": [choice], "usage": usage(10, 5)})


def usage(into: int, out: int) -> dict[str, int]:
    return {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}


def alternatives(**logs: float) -> dict[str, Any]:
    """Return the log-probabilities of a choice whose first token had these alternatives."""
    listed = [{"token": token, "logprob": log, "bytes": None} for token, log in logs.items()]
    return {"content": [{**listed[0], "top_logprobs": listed}]}


def sensible(asked: Asked) -> Answer:
    """Answer anything a run asks: captions of pictures, yes to judges, the first option otherwise."""
    if asked.pictures:
        return says(f"a picture of {hashlib.sha256(asked.pictures[0].encode()).hexdigest()[:8]}")
    if asked.body.get("logprobs"):
        tokens = ("yes", "no", "A", "B", "1", "2", "3", "4", "5")
        return says("yes", logprobs=alternatives(**{t: -1.0 - i for i, t in enumerate(tokens)}))
    form = asked.body.get("response_format")
    if form:
        options = form["json_schema"]["schema"]["properties"]["answer"]["enum"]
        return says(json.dumps({"answer": options[0]}))
    return says(f"so it is: {len(asked.text)}")


class ChatServer:
    """A server with a script; `asked` is what came."""

    def __init__(self, script: Script = sensible, port: int = 0) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.under_way = self.most_under_way = self.connections = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def spec(self, query: str = "", model: str = "m") -> str:
        return f"{self.base}{'?' + query if query else ''}#{model}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def note(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Asked:
        with self._lock:
            one = Asked(len(self.asked), method, path, headers, raw)
            self.asked.append(one)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            return one

    def ended(self) -> None:
        with self._lock:
            self.under_way -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client hangs up."""


@contextlib.contextmanager
def chat_server(script: Script = sensible) -> Iterator[ChatServer]:
    server = ChatServer(script)
    try:
        yield server
    finally:
        server.close()


def _handler(server: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            server.connections += 1
            super().setup()

        def log_message(self, *args: Any) -> None:
            """Stay silent."""

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = server.note(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            try:
                answer = server.script(asked)
                time.sleep(answer.delay)
            finally:
                server.ended()
            with contextlib.suppress(OSError):
                self._send(answer)

        do_GET = do_POST

        def _send(self, answer: Answer) -> None:
            if answer.drop:
                self.close_connection = True
                return
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(10**12 if answer.endless else len(content)))
            self.end_headers()
            while answer.endless:
                self.wfile.write(b" " * 2**20)
            self.wfile.write(content[: round(len(content) * answer.part)])
            if answer.part < 1:
                self.close_connection = True

    return Handler
