"""One server: requests sent over kept connections, each tried until it is answered or hopeless.

In: a path and a body.  Out: the answer's JSON, or a fault (faults.py) that is no passing trouble any more.  Pace and
budget are asked before every attempt.  The key goes into a header and nowhere else: whatever a server says is searched
for it before anybody reads it.  It knows no conversation.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx2

from lookwise import __version__
from lookwise.errors import ModelError
from lookwise.models.http.budget import Budget, Purse, Spent
from lookwise.models.http.faults import Again, Failed, Stop, of_status
from lookwise.models.http.pace import Pace
from lookwise.models.http.spec import Endpoint
from lookwise.patience import Patience

__all__ = ["GIVE_UP", "MAX_BODY", "Client", "as_json"]

T = TypeVar("T")

MAX_BODY = 16 * 2**20
"""Bytes of an answer that are read; a batch service's file may be larger (batches.py)."""
GIVE_UP = 16
"""Requests in a row that ended without any usable answer, after which the server is taken to be gone."""
_CONNECT = 15.0
_CALLS = 4
"""Attempts at a server that was never reached."""


class Client:
    """Sends to one server.  For one event loop.

    `stopped` is set once nothing more shall be sent: what is under way goes on, what waits to try again does not.
    """

    def __init__(
        self, endpoint: Endpoint, key: str | None, concurrency: int, budget: Budget, patience: Patience
    ) -> None:
        self._endpoint, self._key, self.patience = endpoint, key, patience
        self.pace = Pace(concurrency)
        self.purse = Purse(budget)
        self._lost = 0
        self._reached = False
        self.stopped: BaseException | None = None
        headers = {"User-Agent": f"lookwise/{__version__}", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        try:
            self._http = httpx2.AsyncClient(
                headers=headers,
                timeout=httpx2.Timeout(endpoint.timeout, connect=min(_CONNECT, endpoint.timeout)),
                limits=httpx2.Limits(
                    max_connections=None, max_keepalive_connections=concurrency, keepalive_expiry=30.0
                ),
                trust_env=not endpoint.local,
            )
        except (ValueError, ImportError, httpx2.InvalidURL):  # said without the address, which may hold a password
            raise ModelError(
                f"model on {endpoint.base}: a proxy that the environment names cannot be used; mend HTTP_PROXY, "
                "HTTPS_PROXY and ALL_PROXY, or unset them"
            ) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(
        self, path: str, body: Mapping[str, Any], estimate: Spent, read: Callable[[Any], tuple[T, Spent]]
    ) -> T:
        """Post a paid request; `read` returns what the answer's JSON comes to, and what it cost."""
        content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        attempt = 0
        while True:
            attempt += 1
            await self.pace.hold()
            async with self.purse.pay(estimate) as bill:
                began = time.monotonic()
                try:
                    value, spent = read(as_json(await self.once("POST", path, content=content)))
                    bill.append(spent)
                    self._lost = 0
                    self.pace.eased()
                    return value
                except Again as again:
                    trouble = again
                except Failed as fault:
                    self._count(fault.reason)
                    raise
            await self._recover(trouble, attempt, began)

    async def fetch(self, method: str, path: str, most: int = MAX_BODY, files: Any = None) -> str:
        """Return the text of an answer that costs nothing, so may be asked for again after a passing trouble."""
        attempt = 0
        while True:
            attempt += 1
            began = time.monotonic()
            try:
                return await self.once(method, path, most, files=files)
            except Again as again:
                trouble = again
            await self._recover(trouble, attempt, began)

    async def _recover(self, trouble: Again, attempt: int, began: float) -> None:
        """Wait before another attempt, or raise when there is none."""
        if trouble.busy:
            self.pace.pressed(began, trouble.wait)
        if self.stopped is not None:
            raise Failed(f"not tried again, since the run stops; the last attempt: {trouble.reason}")
        if attempt >= min(self.patience.attempts, trouble.most or self.patience.attempts):
            if trouble.absent and not self._reached:
                where = f"model on {self._endpoint.base}"
                raise Stop(f"{where} cannot be reached ({trouble.reason}); start it, or mend the address")
            reason = f"no usable answer in {attempt} attempts, the last: {trouble.reason}"
            self._count(reason)
            raise Failed(reason)
        await asyncio.sleep(max(trouble.wait, self.patience.pause(attempt)))

    def _count(self, reason: str) -> None:
        """Take note of a request that failed; many in a row mean that the server, not the request, is at fault."""
        self._lost += 1
        if self._lost >= GIVE_UP:
            raise Stop(
                f"model on {self._endpoint.base}: {GIVE_UP} requests in a row failed, the last with: {reason}; see to "
                "the server and give the same command again"
            )

    async def once(
        self, method: str, path: str, most: int = MAX_BODY, *, content: bytes | None = None, files: Any = None
    ) -> str:
        """Send once; return the text of a success, raise what anything else means."""
        headers = {"Content-Type": "application/json"} if content is not None else {}
        url = f"{self._endpoint.base}{path}"
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                async with self._http.stream(method, url, content=content, files=files, headers=headers) as response:
                    text = self._clean(await _bounded(response, most))
        except (TimeoutError, httpx2.TimeoutException):
            raise Again(f"no answer within {self._endpoint.timeout:g} seconds", busy=True) from None
        except httpx2.ConnectError as error:
            absent, why = not self._reached, self._clean(_cause(error))
            raise Again(f"connection: {why}", most=_CALLS if absent else None, absent=absent) from None
        except httpx2.InvalidURL as error:
            raise Stop(f"model on {self._endpoint.base}: no usable address ({error}); mend it") from None
        except httpx2.HTTPError as error:
            raise Again(f"connection: {self._clean(_cause(error))}") from None
        self._reached = True
        if response.is_success:
            return text
        where = f"model {self._endpoint.model!r} on {self._endpoint.base}"
        safe = {name.lower(): self._clean(value) for name, value in response.headers.items()}
        raise of_status(response.status_code, safe, text, where, self._endpoint.key)

    def _clean(self, text: str) -> str:
        """Return text without the key, should a server say it back."""
        return text.replace(self._key, "***") if self._key else text


def as_json(text: str) -> Any:
    """Return an answer's JSON; what is none may come right at a second attempt."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Again("the answer is no JSON", most=2) from None


async def _bounded(response: httpx2.Response, most: int) -> str:
    """Return an answer's text, read no further than `most` bytes, and never unpacked."""
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Again("a packed answer, though none was asked for", most=2)
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > most:
            raise Again(f"an answer of more than {most:,} bytes", most=2)
    return content.decode("utf-8", "replace")


def _cause(error: httpx2.HTTPError) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
