"""A provider's batch service: the same requests, handed in as files, answered within a day for less.

In: a batch of requests.  Out: groups of replies, a whole job at a time.  The provider's own list of jobs is the memory:
a job bears a digest of its requests, and before one is handed in the list is searched for it, so that a run which was
killed while it waited, or before it stored what it had fetched, takes up its job and pays once.  Ranking uses one way
only (`logprobs`, unless the spec names another), since an answer comes too late to ask again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from lookwise.errors import LookwiseError
from lookwise.media import PictureError
from lookwise.model import Generate, Reply, Request
from lookwise.models.http.asker import Asker, failed
from lookwise.models.http.budget import Spent
from lookwise.models.http.client import Client, as_json
from lookwise.models.http.faults import Again, Failed, Fault, Stop, of_status
from lookwise.models.http.spec import Endpoint, Way
from lookwise.models.http.wire import read_said

__all__ = ["POLLS", "run"]

POLLS = (1.0, 60.0)
"""Seconds between looks at a job: the first pause, and the longest it grows to."""
_JOB_BYTES = 90 * 2**20
_JOB_LINES = 10_000
_RESULT_BYTES = 2**30
_PAGES = 20
_STARTS = 5
_MARK = "lookwise"
_LIVE = ("validating", "in_progress", "finalizing", "cancelling")

Put = Callable[[list[tuple[int, Reply]]], None]


@dataclass(frozen=True, slots=True)
class _Job:
    """Requests handed in together: positions by custom id, the file, its digest, and what it may cost."""

    places: dict[str, int]
    content: bytes
    estimate: Spent

    @property
    def digest(self) -> str:
        """What the provider's list knows the job by."""
        return hashlib.sha256(self.content).hexdigest()


async def run(
    endpoint: Endpoint,
    client: Client,
    asker: Asker,
    batch: Sequence[Request],
    put: Put,
    polls: tuple[float, float],
) -> None:
    """Hand in every request, wait, and put each job's replies as one group; jobs wait side by side."""
    service = _Service(endpoint, client, asker, batch, polls)
    stop: list[LookwiseError] = []

    async def one(job: _Job) -> None:
        try:
            put(await service.settle(job))
        except Fault as fault:
            put([(i, failed(fault)) for i in job.places.values()])
        except LookwiseError as error:
            stop.append(error)

    async with asyncio.TaskGroup() as group:
        async for job in service.jobs(put):
            group.create_task(one(job))
    if stop:
        raise stop[0]


@dataclass(frozen=True, slots=True)
class _Service:
    """One batch of requests and the provider that answers it."""

    endpoint: Endpoint
    client: Client
    asker: Asker
    batch: Sequence[Request]
    polls: tuple[float, float]

    @property
    def url(self) -> str:
        """Where the provider is to put each question, without its host."""
        return urlsplit(self.endpoint.base).path + self.asker.path

    def way(self, request: Request) -> Way | None:
        """Return the one way in which a request's options are ranked; None for free text."""
        if isinstance(request.want, Generate):
            return None
        return "logprobs" if self.endpoint.rank == "auto" else self.endpoint.rank

    async def jobs(self, put: Put) -> AsyncIterator[_Job]:
        """Yield the jobs that the batch makes, cut by size alone, so that a resumed run cuts alike."""
        lines: list[bytes] = []
        places: dict[str, int] = {}
        estimate, size = Spent(), 0
        for i, request in enumerate(self.batch):
            try:
                body = self.asker.body(request, await self.asker.turns(request), self.way(request))
            except PictureError as fault:
                put([(i, failed(fault))])
                continue
            name = hashlib.sha256(f"{i}\x1f{json.dumps(body)}".encode()).hexdigest()[:32]
            order = {"custom_id": name, "method": "POST", "url": self.url, "body": body}
            line = json.dumps(order).encode() + b"\n"
            if lines and (size + len(line) > _JOB_BYTES or len(lines) == _JOB_LINES):
                yield _Job(places, b"".join(lines), estimate)
                lines, places, estimate, size = [], {}, Spent(), 0
            lines.append(line)
            places[name] = i
            estimate, size = estimate + self.asker.estimate(request), size + len(line)
        if lines:
            yield _Job(places, b"".join(lines), estimate)

    async def settle(self, job: _Job) -> list[tuple[int, Reply]]:
        """Return a job's replies: found in the provider's list, or handed in within the budget."""
        async with self.client.purse.pay(job.estimate) as bill:
            bill.append(Spent())  # a job that comes to nothing costs nothing
            state = await self._find(job.digest) or await self._hand_in(job)
            pause, longest = self.polls
            while state.get("status") in _LIVE:
                await asyncio.sleep(pause)
                pause = min(longest, pause * 1.5)
                state = _object(await self.client.fetch("GET", f"/batches/{_id(state)}"))
            replies: dict[int, Reply] = {}
            for name in ("output_file_id", "error_file_id"):
                if isinstance(state.get(name), str):
                    path = f"/files/{quote(state[name], safe='')}/content"
                    for line in (await self.client.fetch("GET", path, _RESULT_BYTES)).splitlines():
                        self._take(job, line, replies, bill)
        ended = f"the provider's job ended ({state.get('status')}) without this request"
        return [(i, replies.get(i) or Reply(failure=ended)) for i in job.places.values()]

    async def _find(self, digest: str) -> dict[str, Any] | None:
        """Return the provider's job with this digest that is under way, or brought something."""
        after = ""
        for _ in range(_PAGES):
            page = _object(await self.client.fetch("GET", f"/batches?limit=100{after}"))
            listed = page.get("data")
            jobs = [job for job in (listed if isinstance(listed, list) else []) if isinstance(job, dict)]
            for job in jobs:
                mark = job.get("metadata")
                if (
                    isinstance(mark, dict)
                    and mark.get(_MARK) == digest
                    and (_brought(job) or job.get("status") in _LIVE)
                ):
                    return job
            if not page.get("has_more") or not jobs:
                return None
            after = f"&after={quote(_id(jobs[-1]), safe='')}"
        return None

    async def _hand_in(self, job: _Job) -> dict[str, Any]:
        """Upload the requests and start the job; a start whose answer was lost is looked for before another."""
        form = {"purpose": (None, "batch"), "file": (f"{job.digest[:16]}.jsonl", job.content, "application/jsonl")}
        file = _object(await self.client.fetch("POST", "/files", files=form))
        order = {
            "input_file_id": _id(file),
            "endpoint": self.url,
            "completion_window": "24h",
            "metadata": {_MARK: job.digest},
        }
        for attempt in range(1, _STARTS + 1):
            try:
                return _object(await self.client.once("POST", "/batches", content=json.dumps(order).encode()))
            except Again as trouble:
                await asyncio.sleep(max(trouble.wait, self.client.patience.pause(attempt)))
                found = await self._find(job.digest)
                if found is not None:
                    return found
        raise Failed(f"the provider did not take the job in {_STARTS} attempts")

    def _take(self, job: _Job, line: str, replies: dict[int, Reply], bill: list[Spent]) -> None:
        """Take the reply out of one line of a result; a line that cannot be read leaves its request unanswered."""
        try:
            row = json.loads(line)
            i, response = job.places[row["custom_id"]], row.get("response")
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return
        try:
            said = read_said(_answered(response, row, self.endpoint))
        except (Fault, Stop) as fault:
            replies[i] = failed(fault)
            return
        reply = self.asker.read(self.batch[i], said, self.way(self.batch[i]), last=True)
        if reply is not None:
            replies[i] = reply
            bill.append(self.asker.bill(self.batch[i], said))


def _answered(response: object, row: dict[str, Any], endpoint: Endpoint) -> object:
    """Return the answer in a line of a result, or raise what stands in its place."""
    if not isinstance(response, dict):
        raise Failed(f"the provider's job failed on this request: {json.dumps(row.get('error'))[:200]}")
    status = response.get("status_code")
    if isinstance(status, int) and status != 200:
        raise of_status(status, {}, json.dumps(response.get("body")), f"model {endpoint.model!r}", endpoint.key)
    return response.get("body")


def _brought(job: dict[str, Any]) -> bool:
    counts = job.get("request_counts")
    return isinstance(counts, dict) and isinstance(counts.get("completed"), int) and counts["completed"] > 0


def _object(text: str) -> dict[str, Any]:
    value = as_json(text)
    if not isinstance(value, dict):
        raise Again("the answer is no JSON object", most=2)
    return value


def _id(value: dict[str, Any]) -> str:
    name = value.get("id")
    if not isinstance(name, str) or not name:
        raise Failed("the provider's answer names no id")
    return name
