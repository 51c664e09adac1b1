"""The OpenAI chat protocol: a conversation as a request's body, and an answer's body as what was said.

In: a conversation and what is wanted; later decoded JSON, which is not to be trusted.  Out: a plain dict ready for
JSON; a `Said`, or the fault Again where the answer is not of the protocol's form.  Pictures are opened here, by
pictures.py, and nowhere earlier.  It sends nothing.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

from lookwise.message import Conversation, Message, TextPart
from lookwise.model import Generate
from lookwise.models.http.faults import Again
from lookwise.models.http.pictures import addresses
from lookwise.models.http.spec import Endpoint
from lookwise.models.wire import parted

__all__ = ["Body", "Said", "generate_body", "messages", "read_said"]

Body = dict[str, Any]

_GARBLED_MOST = 2
"""Attempts at a reply that came whole but is not of the protocol's form: each may have been paid for."""
_MOST_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class Said:
    """What one answer says: its text, how it ended, and the first token's alternatives with their log-probabilities."""

    text: str
    finish: str
    refusal: str | None
    first: tuple[tuple[str, float], ...]
    tokens_in: int
    tokens_out: int


def messages(endpoint: Endpoint, conversation: Conversation) -> list[Body]:
    """Return the turns: text alone as one string, since some templates take nothing else, otherwise parts in order.

    The protocol has no way to begin the reply: what it should begin with is put at the end of the question.
    """
    turns, begun = parted(conversation)
    if begun:
        turns = (*turns[:-1], Message(turns[-1].role, (*turns[-1].parts, TextPart(f"\n{begun}"))))
    return [{"role": message.role, "content": _content(endpoint, message)} for message in turns]


def generate_body(endpoint: Endpoint, turns: list[Body], want: Generate, length_name: str) -> Body:
    """Return a request for free text.  A seed is sent only where something is drawn."""
    body: Body = {
        "model": endpoint.model,
        "messages": turns,
        length_name: want.max_new_tokens,
        "temperature": want.temperature,
        "stream": False,
    }
    if want.temperature > 0:
        body["top_p"] = want.top_p
        body["seed"] = int.from_bytes(hashlib.sha256(f"{want.seed}/{want.draw}".encode()).digest()[:4], "big") >> 1
    return body


def read_said(answer: object) -> Said:
    """Return what a chat completion says."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(answer, dict) or not isinstance(choice, dict) or not isinstance(message, dict):
        raise Again("the answer is no chat completion (no choices[0].message)", most=_GARBLED_MOST)
    refusal = message.get("refusal")
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Said(
        text=_text(message.get("content")),
        finish=str(choice.get("finish_reason") or ""),
        refusal=refusal if isinstance(refusal, str) and refusal.strip() else None,
        first=_first(choice.get("logprobs")),
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
    )


def _content(endpoint: Endpoint, message: Message) -> str | list[Body]:
    if not message.media:
        return message.text
    parts: list[Body] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append({"type": "text", "text": part.text})
        else:
            found = addresses(part.media, endpoint.longest, endpoint.frames)
            parts += [{"type": "image_url", "image_url": {"url": address}} for address in found]
    return parts


def _text(content: object) -> str:
    """Return a message's text: one string, or the text of its parts; nothing where the server says null."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))
    raise Again("the answer is no chat completion (its content is no text)", most=_GARBLED_MOST)


def _first(logprobs: object) -> tuple[tuple[str, float], ...]:
    """Return the first token's alternatives, best first; nothing where there are none that can be read."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    listed = first.get("top_logprobs") if isinstance(first, dict) else None
    found = [
        (one["token"], float(one["logprob"]))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and isinstance(one.get("token"), str) and _is_log(one.get("logprob"))
    ]
    return tuple(sorted(found, key=lambda pair: -pair[1]))


def _is_log(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value <= 1e-6


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else 0
