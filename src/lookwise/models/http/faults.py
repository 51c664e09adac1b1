"""What can go wrong between a request and its reply, and what each fault asks for.

    Fault
    ├── Again      a passing trouble (429, 5xx, time-out, dropped connection, garbage): try again, later
    ├── Unknown    the server does not know one field of the request: ask in another way
    ├── Failed     this request will not be answered; it is asked again by the next run
    └── Refused    the model or its filter declined: an outcome, stored and never asked again
    Stop           nothing will be answered (no such model, wrong key, no credit): the run stops, resumable

In: status, headers and text of an answer.  Out: one of these.  It sends nothing and knows no conversation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lookwise.errors import ModelError
from lookwise.patience import retry_after

__all__ = ["PATIENCE", "Again", "Failed", "Fault", "Refused", "Stop", "Unknown", "of_status"]

PATIENCE = 600.0
"""Seconds that a server may ask to wait; a longer pause ends the run, which goes on when it is given again."""

_FILTERS = ("content_filter", "content_policy", "content policy", "moderation", "safety system", "responsibleai")
_NO_CREDIT = ("insufficient_quota", "insufficient credit", "billing_hard_limit", "exceeded your current quota")
_OPTIONAL = ("logprobs", "response_format", "json_schema")
"""Fields that a request can do without, by what a complaint about them says."""
_LENGTHS = ("max_tokens", "max_completion_tokens")
"""The two names of one setting; a server that wants the other one names it."""
_BUSY = (408, 429, 502, 503, 504, 529)
_EXCERPT = 200


class Fault(Exception):
    """One attempt, or one request, that came to nothing; `reason` is one line without addresses or keys."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Again(Fault):
    """Try again, not before `wait` seconds; `busy` says that fewer requests at once would help.

    `most` caps the attempts: on a reply that arrived but cannot be used, since each of those may have been paid for,
    and on a server that was never reached (`absent`).
    """

    def __init__(
        self, reason: str, wait: float = 0.0, *, busy: bool = False, most: int | None = None, absent: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait, self.busy, self.most, self.absent = wait, busy, most, absent


class Unknown(Fault):
    """The server does not know `field`."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


class Failed(Fault):
    """This request will not be answered."""


class Refused(Fault):
    """The model, or a filter before or behind it, declined to answer."""


class Stop(ModelError):
    """The server will answer nothing like this; what has arrived is stored."""


def of_status(status: int, headers: Mapping[str, str], text: str, where: str, key: str | None) -> Fault | Stop:
    """Return what an answer other than success means; `where` and `key` (a name) are for messages."""
    said, code = _said(text)
    reason = f"{status}: {said}" if said else str(status)
    low = f"{code} {said}".lower()
    if status < 500 and any(word in low for word in _FILTERS):
        return Refused(f"refused by the server ({reason})")
    if status == 402 or (status in (403, 429) and any(word in low for word in _NO_CREDIT)):
        return Stop(f"{where}: no credit left ({reason}); top it up and give the same command again")
    if status in (401, 403):
        cure = f"check the key in {key}" if key else "name its key's environment variable, ?key=VARIABLE"
        return Stop(f"{where}: not let in ({reason}); {cure}")
    if status == 404 or 300 <= status < 400:
        more = f" to {headers['location'][:_EXCERPT]!r}" if "location" in headers else ""
        return Stop(f"{where}: nothing there{more} ({reason}); check the address, up to /v1, and the model's name")
    wait = retry_after(headers)
    if wait > PATIENCE:
        return Stop(f"{where}: asks to wait {wait:.0f} seconds ({reason}); give the same command again then")
    if status in _BUSY or (status >= 500 and status not in (501, 505)) or status in (409, 425):
        return Again(reason, wait, busy=status in _BUSY)
    field = _field(low) if status in (400, 422) else None
    return Unknown(reason, field) if field else Failed(reason)


def _field(said: str) -> str | None:
    """Return the field that a server complains about, where the request can do without it or call it otherwise."""
    if all(name in said for name in _LENGTHS):
        return _LENGTHS[0]
    return next((name for name in _OPTIONAL if name in said), None)


def _said(text: str) -> tuple[str, str]:
    """Return what the server says is wrong, in one line, and its code for it."""
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return _line(text), ""
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return _line(str(error)), ""
    said = error.get("message") or error.get("detail") or text
    inner = error.get("innererror")
    codes = (
        error.get("code"),
        error.get("type"),
        error.get("param"),
        inner.get("code") if isinstance(inner, dict) else "",
    )
    return _line(str(said)), " ".join(str(code) for code in codes if code)


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
