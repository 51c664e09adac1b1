"""What makes two requests the same: the reply key, and the digests of pictures that it needs.

In: a model's fingerprint and a request.  Out: a key of 64 hex digits.  It knows no sample: equal requests of different
samples have one key.  How a model scales or samples media belongs to its fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

from lookwise import media
from lookwise.message import Media, MediaPart, Message, Part, TextPart
from lookwise.model import Generate, Request, Want

__all__ = ["Pictures", "request_key"]

_HELD = 250_000
"""Pictures that are remembered to the end, 0.12 GB of them; a benchmark may name nine million."""
_RECENT = 4_096
"""Pictures beyond those that are remembered until as many others were looked at."""

_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def request_key(fingerprint: str, request: Request) -> str:
    """Return the reply key: a digest of model, conversation (media by digest) and what is wanted, draw included."""
    talk = [[m.role, [_part(p) for p in m.parts]] for m in request.conversation]
    content = _CANONICAL.encode([fingerprint, talk, _want(request.want)])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _part(part: Part) -> list[str]:
    if isinstance(part, TextPart):
        return ["text", part.text]
    # A medium that could not be read has no digest; its path then stands for it, marked so that it never meets one.
    return [part.media.kind, part.media.digest or f"unread:{part.media.source}"]


def _want(want: Want) -> list[object]:
    if isinstance(want, Generate):
        return ["generate", asdict(want)]
    return ["rank", list(want.options)]


class Pictures:
    """Digests of media files, and what is wrong with them; remembered by path, size and time of change.

    Only so many are: a picture that was forgotten is read again, and has the digest that it had.  Pictures are visited
    in one order again and again (by every model of a stage, in every round), so forgetting the oldest would forget each
    before its turn: the first ones stay.  Of the others the latest do, since neighbours ask for the same ones.

    `missing` says of web addresses why there is no file.  With `by_address` the models asked open web addresses
    themselves: a picture there is the same as another where its address is.
    """

    def __init__(self, missing: Mapping[str, str] | None = None, by_address: bool = False) -> None:
        self._missing, self._by_address = missing or {}, by_address
        self._held: dict[tuple[str, str, int, int], tuple[str | None, str | None]] = {}
        self._recent = lru_cache(_RECENT)(_inspect)

    def resolve(self, request: Request) -> tuple[Request, str | None]:
        """Return the request with every digest filled in, and the reason why it cannot be asked, if there is one."""
        if all(m.digest for message in request.conversation for m in message.media):
            return request, None
        faults: list[str] = []
        talk = tuple(self._message(message, faults) for message in request.conversation)
        return Request(talk, request.want), faults[0] if faults else None

    def fault(self, request: Request) -> str | None:
        """Return what is wrong with the request's media, opening each of them; None when all can be used."""
        for message in request.conversation:
            for medium in message.media:
                reason = self._look(medium)[1]
                if reason:
                    return reason
        return None

    def _message(self, message: Message, faults: list[str]) -> Message:
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, MediaPart) and part.media.digest is None:
                digest, reason = self._look(part.media)
                if reason:
                    faults.append(reason)
                part = MediaPart(replace(part.media, digest=digest))
            parts.append(part)
        return Message(message.role, tuple(parts))

    def _look(self, medium: Media) -> tuple[str | None, str | None]:
        if medium.source in self._missing:
            return None, self._missing[medium.source]
        if self._by_address and medium.kind == "image" and media.is_url(medium.source):
            return f"address:{medium.source}", None
        try:
            stat = Path(medium.source).stat()
        except (OSError, ValueError):
            return _inspect(medium.source, medium.kind)
        key = (medium.source, medium.kind, stat.st_size, stat.st_mtime_ns)
        found = self._held.get(key)
        if found is None:
            found = self._recent(*key)
            if len(self._held) < _HELD:
                self._held[key] = found
        return found


def _inspect(source: str, kind: str, size: int = 0, changed: int = 0) -> tuple[str | None, str | None]:
    """Return a medium's digest, or what is wrong with it; size and time of change tell two states of a file apart."""
    del size, changed
    try:
        digest = media.digest(source)
    except media.PictureError as fault:
        return None, fault.reason
    reason = media.check_image(source) if kind == "image" else None
    return (None, reason) if reason else (digest, None)
