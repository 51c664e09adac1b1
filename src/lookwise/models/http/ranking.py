"""A ranking of options out of what a chat server can say.

In: options and what was said.  Out: a `Reply`, or None where another way has to be tried.  Three ways, best first:

    logprobs       one token is asked for with its alternatives; an option's score is the log of the probability of all
                   first tokens that begin it.  An option that none of them begins scores what the last of them has,
                   which is the most it can have.
    constrained    a JSON schema leaves the model nothing but the options; there are no scores
    text           free text, read strictly: it must name exactly one option

A server that gives no alternatives may still say an option outright; then that is taken and nothing more is asked.
It sends nothing, and never guesses: what names no option is a failure with its reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from lookwise.model import Reply
from lookwise.models.http.spec import Endpoint, Way
from lookwise.models.http.wire import Body, Said

__all__ = ["ROOM", "WAYS", "rank_body", "read_rank"]

WAYS: tuple[Way, ...] = ("logprobs", "constrained", "text")
"""The order in which they are tried."""

_ALTERNATIVES = 20
"""As many as the protocol allows."""
ROOM = 64
"""Tokens for an answer that is one option, or a sentence round it."""
_MARKS = " \t\r\n.,:;!?()[]{}\"'*`"


def rank_body(endpoint: Endpoint, turns: list[Body], options: Sequence[str], way: Way, length_name: str) -> Body:
    """Return the request that ranks options in one of the ways."""
    body: Body = {"model": endpoint.model, "messages": turns, "temperature": 0, "stream": False}
    if way == "logprobs":
        return {**body, length_name: 1, "logprobs": True, "top_logprobs": _ALTERNATIVES}
    body[length_name] = ROOM
    if way == "constrained":
        answer = {"type": "string", "enum": list(options)}
        schema = {
            "type": "object",
            "properties": {"answer": answer},
            "required": ["answer"],
            "additionalProperties": False,
        }
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
    return body


def read_rank(options: Sequence[str], said: Said, way: Way, *, last: bool) -> Reply | None:
    """Return the ranking, or None where this way gave none; the `last` way gives a failure instead."""
    if way == "logprobs" and said.first:
        scores = _scores(options, said.first)
        if scores is not None:
            best = max(range(len(options)), key=lambda i: scores[i])
            ones = (1,) * len(options)
            return Reply(options[best], scores, ones, None, said.tokens_in, said.tokens_out)
    text = _unwrapped(said.text) if way == "constrained" else said.text
    chosen = _named(options, text, whole=way == "logprobs")
    if chosen is not None:
        return Reply(chosen, (), (), None, said.tokens_in, said.tokens_out)
    if not last:
        return None
    shown = " ".join(said.text.split())[:120]
    reason = f"the reply names none of the options, or several: {shown!r}" if shown else "an empty reply"
    return Reply(failure=reason, final=True, tokens_in=said.tokens_in, tokens_out=said.tokens_out)


def _scores(options: Sequence[str], first: Sequence[tuple[str, float]]) -> tuple[float, ...] | None:
    """Return each option's log-probability by its first token; None where none is begun, or a token begins two."""
    masses: list[list[float]] = [[] for _ in options]
    for token, logprob in first:
        begun = [i for i, option in enumerate(options) if _begins(token, option)]
        if len(begun) > 1:
            return None
        for i in begun:
            masses[i].append(logprob)
    if not any(masses):
        return None
    least = math.nextafter(first[-1][1], -math.inf)  # just below: whatever was seen goes before what was not
    return tuple(_sum(mass) if mass else least for mass in masses)


def _begins(token: str, option: str) -> bool:
    """Return whether a first token begins an option; a letter must be that letter, words may differ in case."""
    said = token.strip(_MARKS)
    if not said:
        return False
    if len(option) == 1:
        return said == option
    return option.casefold().startswith(said.casefold())


def _sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs))


def _unwrapped(text: str) -> str:
    """Return the answer inside the JSON that was asked for; the text itself where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    answer = found.get("answer") if isinstance(found, dict) else found
    return answer if isinstance(answer, str) else text


def _named(options: Sequence[str], text: str, *, whole: bool) -> str | None:
    """Return the one option that a text is, or (unless only the `whole` text counts) names among other words."""
    bare = text.strip(_MARKS)
    same = [o for o in options if o == bare] or [o for o in options if o.strip(_MARKS).casefold() == bare.casefold()]
    if len(same) == 1:
        return same[0]
    if whole:
        return None
    named = []
    for option in sorted(options, key=len, reverse=True):  # "positive" inside "very positive" is not named by itself
        text, count = _word(option).subn("\0", text)
        named += [option] if count else []
    return named[0] if len(named) == 1 else None


def _word(option: str) -> re.Pattern[str]:
    """Return a pattern for an option as words of its own; a lone letter must be marked off, since "A" is a word too."""
    if len(option) == 1:
        return re.compile(rf"(?<!\w){re.escape(option)}(?=\s*(?:[.:,;!?)\]\"'*`]|$))")
    return re.compile(rf"(?<!\w){re.escape(option)}(?!\w)", re.IGNORECASE)
