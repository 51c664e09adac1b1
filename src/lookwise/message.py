"""What a model is given: an ordered, interleaved list of text, images and videos, and who said it.

Values only: frozen, compared by content, no pixels, no I/O.  A `Media` names a file or URL; its digest is filled in
once the bytes are known (media.py), so that equal pictures are equal requests whatever they are called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Conversation", "Media", "MediaPart", "Message", "Part", "Role", "TextPart", "system", "user"]

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or clip by reference: `source` is a path or URL, `digest` the sha256 of its bytes (hex) once known."""

    source: str
    kind: Literal["image", "video"] = "image"
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class TextPart:
    """A run of text."""

    text: str


@dataclass(frozen=True, slots=True)
class MediaPart:
    """A picture or clip, in its place among the text."""

    media: Media


Part = TextPart | MediaPart


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: who said it, and its parts in order."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts joined; media leave no trace."""
        return "".join(p.text for p in self.parts if isinstance(p, TextPart))

    @property
    def media(self) -> tuple[Media, ...]:
        """The media in order."""
        return tuple(p.media for p in self.parts if isinstance(p, MediaPart))


Conversation = tuple[Message, ...]


def user(*parts: str | Media) -> Message:
    """Return a user's turn from strings and media, in order."""
    return Message("user", tuple(TextPart(p) if isinstance(p, str) else MediaPart(p) for p in parts))


def system(text: str) -> Message:
    """Return a system turn."""
    return Message("system", (TextPart(text),))
