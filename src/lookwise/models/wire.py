"""A conversation as the plain lists and dicts that chat templates and chat servers read.

In: a conversation.  Out: `[{"role": …, "content": …}]`, where content is one string, or a list of typed parts for those
who want them.  Pictures stay references; whoever sends or renders them decides what stands in their place.  Pure.
"""

from __future__ import annotations

from typing import Any

from lookwise.message import Conversation, Media, MediaPart, Message, TextPart

__all__ = ["media_of", "part_messages", "parted", "text_messages"]


def text_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the turns with their text as one string each; a picture leaves no trace."""
    return [{"role": message.role, "content": message.text} for message in conversation]


def part_messages(conversation: Conversation) -> list[dict[str, Any]]:
    """Return the turns with their parts in order: `{"type": "text", "text": …}`, `{"type": "image"}` or "video"."""
    return [{"role": message.role, "content": _parts(message)} for message in conversation]


def parted(conversation: Conversation) -> tuple[Conversation, str]:
    """Return the turns up to the model's own, and how its reply begins where the conversation says so."""
    if len(conversation) > 1 and conversation[-1].role == "assistant":
        return conversation[:-1], conversation[-1].text
    return conversation, ""


def media_of(conversation: Conversation) -> tuple[Media, ...]:
    """Return every picture and clip, in the order in which the parts name them."""
    return tuple(medium for message in conversation for medium in message.media)


def _parts(message: Message) -> list[dict[str, str]]:
    parts: list[dict[str, str]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append({"type": "text", "text": part.text})
        elif isinstance(part, MediaPart):
            parts.append({"type": part.media.kind})
    return parts
