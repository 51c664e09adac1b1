"""A request put to a chat server and its answer read: where wire, ranking and faults meet.

In: a `Request`.  Out: a `Reply`, never an exception for what concerns that request alone.  What a server turned out not
to know (one name of a setting, a way of ranking) is remembered while it is open; only free refusals teach it, so a
reply never depends on which request came first.  Sending is the client's business.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from lookwise.media import PictureError
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.http.budget import Spent
from lookwise.models.http.client import Client
from lookwise.models.http.faults import Fault, Refused, Unknown
from lookwise.models.http.ranking import ROOM, WAYS, rank_body, read_rank
from lookwise.models.http.spec import Endpoint, Way
from lookwise.models.http.wire import Body, Said, generate_body, messages, read_said

__all__ = ["Asker", "failed", "tokens_of"]

_PATH = "/chat/completions"
_LENGTHS = ("max_tokens", "max_completion_tokens")
_PICTURE_TOKENS = 1000
"""What a picture is taken to come to; only budgets and the order of requests depend on it."""
_LETTERS = 3
"""Characters of text to a token, on the safe side."""


def tokens_of(request: Request, frames: int) -> int:
    """Return about how many tokens a request has; a clip counts as all its frames."""
    shown = sum(frames if m.kind == "video" else 1 for message in request.conversation for m in message.media)
    return sum(len(m.text) // _LETTERS + 4 for m in request.conversation) + _PICTURE_TOKENS * shown


def failed(fault: Exception) -> Reply:
    """Return the reply of a request that failed; a refusal is an outcome, everything else is asked again."""
    if isinstance(fault, PictureError | Fault):
        return Reply(failure=fault.reason, final=isinstance(fault, Refused))
    return Reply(failure=f"{type(fault).__name__}: {fault}".strip(": "))


class Asker:
    """Puts requests to one server.  For one event loop."""

    def __init__(self, endpoint: Endpoint, client: Client) -> None:
        self._endpoint, self._client = endpoint, client
        self._length_name = _LENGTHS[0]
        self._first_way = 0

    @property
    def path(self) -> str:
        """Where questions go, below the server's base."""
        return _PATH

    async def reply(self, request: Request) -> Reply:
        """Return what came of a request; only what concerns the whole run is raised."""
        try:
            turns = await self.turns(request)
            if isinstance(request.want, Generate):
                return await self._by(request, turns, (None,))
            return await self._by(request, turns, self.ways())
        except (PictureError, Fault) as fault:
            return failed(fault)

    async def turns(self, request: Request) -> list[Body]:
        """Return the conversation as the protocol has it; pictures are opened in a worker thread."""
        if any(message.media for message in request.conversation):
            return await asyncio.to_thread(messages, self._endpoint, request.conversation)
        return messages(self._endpoint, request.conversation)

    def body(self, request: Request, turns: list[Body], way: Way | None, length_name: str = _LENGTHS[0]) -> Body:
        """Return the body that asks for free text, or for a ranking in one of the ways."""
        if isinstance(request.want, Generate):
            return generate_body(self._endpoint, turns, request.want, length_name)
        return rank_body(self._endpoint, turns, request.want.options, way or "text", length_name)

    def ways(self) -> tuple[Way, ...]:
        """Return the ways of ranking that are left to try, best first."""
        return WAYS[self._first_way :] if self._endpoint.rank == "auto" else (self._endpoint.rank,)

    def estimate(self, request: Request) -> Spent:
        """Return what a request may cost at most, or nearly."""
        into = tokens_of(request, self._endpoint.frames)
        out = request.want.max_new_tokens if isinstance(request.want, Generate) else ROOM
        return Spent(1, into + out, self._endpoint.cost(into, out))

    def bill(self, request: Request, said: Said) -> Spent:
        """Return what a request did cost; where the server does not count, what it was estimated at."""
        if not said.tokens_in and not said.tokens_out:
            return self.estimate(request)
        return Spent(1, said.tokens_in + said.tokens_out, self._endpoint.cost(said.tokens_in, said.tokens_out))

    def read(self, request: Request, said: Said, way: Way | None, *, last: bool) -> Reply | None:
        """Return what an answer comes to; None where a ranking has to be tried another way."""
        failure = None
        if said.refusal or said.finish == "content_filter":
            why = " ".join((said.refusal or said.text or said.finish).split())[:200]
            failure = f"refused by the model ({why})"
        elif isinstance(request.want, Rank):
            return read_rank(request.want.options, said, way or "text", last=last)
        elif said.finish == "length" and not said.text.strip():
            failure = f"no text within {request.want.max_new_tokens} tokens; one that reasons first needs more"
        text = None if failure else said.text
        return Reply(text, (), (), failure, said.tokens_in, said.tokens_out, final=failure is not None)

    async def _by(self, request: Request, turns: list[Body], ways: tuple[Way | None, ...]) -> Reply:
        """Return the reply of the first way that gives one; its tokens are those of all ways that were tried."""
        spent_in = spent_out = 0
        for way in ways:
            last = way == ways[-1]
            try:
                said = await self._say(request, turns, way)
            except Unknown as unknown:
                if last or way is None:
                    return failed(unknown)
                self._first_way = max(self._first_way, WAYS.index(way) + 1)
                continue
            spent_in, spent_out = spent_in + said.tokens_in, spent_out + said.tokens_out
            reply = self.read(request, said, way, last=last)
            if reply is not None:
                return replace(reply, tokens_in=spent_in, tokens_out=spent_out)
        raise AssertionError("the last way always gives a reply")

    async def _say(self, request: Request, turns: list[Body], way: Way | None) -> Said:
        """Ask once, and once more where the server calls the length otherwise."""

        def read(answer: Any) -> tuple[Said, Spent]:
            said = read_said(answer)
            return said, self.bill(request, said)

        async def ask(length_name: str) -> Said:
            body = self.body(request, turns, way, length_name)
            return await self._client.ask(_PATH, body, self.estimate(request), read)

        used = self._length_name
        try:
            return await ask(used)
        except Unknown as unknown:
            if unknown.field not in _LENGTHS:
                raise
        other = next(name for name in _LENGTHS if name != used)
        said = await ask(other)
        self._length_name = other
        return said
