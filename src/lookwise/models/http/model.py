"""A model on a chat server, as any other `Model`: requests in, replies out, as many under way as the server bears.

In: an endpoint, a key, limits.  Out: replies as they arrive (`stream`), or a batch's in order (`answer`).  One thread
runs an event loop for as long as the model is open, so that it works under any caller.  What has arrived is handed on
before an error is raised: the loop stores it, and nothing that was paid for is asked again.  Never more requests are
sent and not yet stored than `concurrency`, however slow the disk: so much, and no more, a killed run can lose.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Generator, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from lookwise.errors import LookwiseError, ModelError
from lookwise.model import Reply, Request
from lookwise.models.http import batches
from lookwise.models.http.asker import Asker, failed, tokens_of
from lookwise.models.http.budget import Budget
from lookwise.models.http.client import Client
from lookwise.models.http.spec import Endpoint
from lookwise.patience import Patience

__all__ = ["HttpModel"]

T = TypeVar("T")
Group = list[tuple[int, Reply]]

_BATCH = 2**40
"""Padded tokens of a batch: a whole window, since nothing is padded and nothing waits for the slowest."""


class HttpModel:
    """One model of one server.  It has the methods of `Model`, and `stream` for the loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: str | None = None,
        *,
        concurrency: int = 64,
        budget: Budget | None = None,
        patience: Patience | None = None,
        polls: tuple[float, float] = batches.POLLS,
    ) -> None:
        self._endpoint, self._polls, self._most = endpoint, polls, max(1, concurrency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lookwise-http", daemon=True)
        self._thread.start()
        self._closed = False

        async def opened() -> Client:
            return Client(endpoint, key, concurrency, budget or Budget(), patience or Patience())

        try:
            self._client = self._soon(opened()).result()
        except ModelError:
            self._stop()
            raise
        self._asker = Asker(endpoint, self._client)

    @property
    def name(self) -> str:
        """The spec it was opened with."""
        return self._endpoint.spec

    @property
    def fingerprint(self) -> str:
        """Identity for the reply key; neither key nor pace nor price is a part of it."""
        return self._endpoint.fingerprint

    @property
    def batch_tokens(self) -> int:
        """No limit to speak of."""
        return _BATCH

    def length(self, request: Request) -> int:
        """Return about how many tokens a request has."""
        return tokens_of(request, self._endpoint.frames)

    def stream(self, batch: Sequence[Request]) -> Generator[Group, None, None]:
        """Yield replies with their places in the batch, in groups as they arrive; raise once all that came is out.

        Who asks for the next group has stored the last: only then is its room given to further requests.
        """
        if self._closed:
            raise ModelError(f"model {self.name!r} is closed; open it again")
        arrived: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        room = asyncio.Semaphore(self._most)
        work = self._soon(self._work(list(batch), arrived, room))
        try:
            for group in _groups(arrived):
                yield group
                if not self._closed:
                    self._loop.call_soon_threadsafe(_release, room, len(group))
            work.result()
        finally:
            work.cancel()

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """Answer a batch, one reply per request, in order."""
        found = {i: reply for group in self.stream(batch) for i, reply in group}
        return [found[i] for i in range(len(batch))]

    def close(self) -> None:
        """Drop what is under way, close the connections and end the thread."""
        if self._closed:
            return
        self._closed = True
        self._soon(self._shut()).result()
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _soon(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _shut(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()
        await self._loop.shutdown_default_executor()

    async def _work(
        self, batch: list[Request], arrived: queue.SimpleQueue[Group | None], room: asyncio.Semaphore
    ) -> None:
        self._client.stopped = None
        try:
            if self._endpoint.mode == "batch":
                await batches.run(self._endpoint, self._client, self._asker, batch, arrived.put, self._polls)
            else:
                await self._chat(batch, arrived, room)
        finally:
            arrived.put(None)

    async def _chat(
        self, batch: list[Request], arrived: queue.SimpleQueue[Group | None], room: asyncio.Semaphore
    ) -> None:
        """Send every request as soon as the pace allows; after an error of the whole run, await what is under way."""
        client = self._client
        tasks: set[asyncio.Task[None]] = set()
        try:
            for i, request in enumerate(batch):
                await room.acquire()
                await client.pace.enter()
                if client.stopped is not None:
                    await client.pace.leave()
                    break
                task = asyncio.create_task(self._one(i, request, arrived, room))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        if client.stopped is not None:
            raise client.stopped

    async def _one(
        self, i: int, request: Request, arrived: queue.SimpleQueue[Group | None], room: asyncio.Semaphore
    ) -> None:
        client = self._client
        try:
            arrived.put([(i, await self._asker.reply(request))])
        except LookwiseError as error:  # the whole run's: nothing more is sent, and this request stays unanswered
            client.stopped = client.stopped or error
            room.release()
        except Exception as fault:  # noqa: BLE001 - whatever one request provokes must not spoil the others
            arrived.put([(i, failed(fault))])
        finally:
            await client.pace.leave()


def _groups(arrived: queue.SimpleQueue[Group | None]) -> Iterator[Group]:
    """Yield all that has arrived at once as one group, so that a store which lags behind commits seldom."""
    while (group := arrived.get()) is not None:
        while not arrived.empty():
            more = arrived.get()
            if more is None:
                yield group
                return
            group = [*group, *more]
        yield group


def _release(room: asyncio.Semaphore, count: int) -> None:
    for _ in range(count):
        room.release()
