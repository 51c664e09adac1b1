"""What a model is tuned on: a conversation and the answer it should give; and the same as token ids.

In: `Example`s and a tokenizer or processor with a chat template.  Out: `Encoded` rows, rendered and tokenised once, of
which only the answer and the end of its turn are supervised.  The ids before the answer are exactly those of the prompt
alone, because that is what the model is given when it is asked.  Pictures stay references; collate.py opens them.
No torch here: the tokenizer is handed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lookwise.errors import ModelError
from lookwise.message import Conversation, Media, MediaPart, Message, TextPart
from lookwise.models.wire import media_of, part_messages, parted, text_messages

__all__ = ["Encoded", "Encoder", "Example", "digest"]


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation, the answer to learn, its task, and the canonical answers it is ranked against in validation.

    `options` may be empty (a caption): then the example counts for the loss only.
    """

    conversation: Conversation
    answer: str
    task: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """One row: all token ids, where the supervised answer starts, and the pictures in order."""

    ids: tuple[int, ...]
    start: int
    media: tuple[Media, ...] = ()

    @property
    def supervised(self) -> int:
        """How many tokens carry loss."""
        return len(self.ids) - self.start


def digest(examples: Iterable[Example]) -> str:
    """Return the sha256 (hex) of the examples in order; a picture counts by its digest, or its source without one."""
    total = hashlib.sha256()
    for example in examples:
        turns = [[m.role, [_part_key(p) for p in m.parts]] for m in example.conversation]
        record = [turns, example.answer, example.task, list(example.options)]
        total.update(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
        total.update(b"\n")
    return total.hexdigest()


def _part_key(part: TextPart | MediaPart) -> list[str]:
    if isinstance(part, TextPart):
        return ["text", part.text]
    return [part.media.kind, part.media.digest or part.media.source]


class Encoder:
    """Turns conversations into ids with the model's own tokenizer (text) or processor (text and pictures)."""

    def __init__(self, processor: Any, name: str) -> None:
        self.processor = processor
        self.name = name
        self.tokenizer = getattr(processor, "tokenizer", processor)
        self.sees = self.tokenizer is not processor
        if getattr(processor, "chat_template", None) is None:
            raise ModelError(f"{name} has no chat template; add a chat_template.jinja to its folder")
        if self.tokenizer.eos_token_id is None:
            raise ModelError(
                f"{name}: its tokenizer names no end-of-sequence token; set eos_token in its configuration"
            )
        added = self.tokenizer.added_tokens_decoder.values()
        self._markers = [str(t) for t in added if t.special and len(str(t)) > 1]
        self._image_id, self._image_length = self._image_tokens() if self.sees else (-1, 0)

    @property
    def pad_id(self) -> int:
        """The id that fills short rows (never attended to)."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Return one row per example: the prompt, then the answer and the end of its turn."""
        prompts = [self.render(e.conversation) for e in examples]
        ends = [self._ending(e.conversation, e.answer, p) for e, p in zip(examples, prompts, strict=True)]
        rows = []
        for example, before, after in zip(examples, self._tokenise(prompts), self._after(prompts, ends), strict=True):
            rows.append(Encoded((*before, *after), len(before), self.media(example.conversation)))
        return rows

    def prompts(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        """Return the prompts alone, with nothing supervised."""
        encoded = self._tokenise([self.render(c) for c in conversations])
        return [Encoded(tuple(i), len(i), self.media(c)) for i, c in zip(encoded, conversations, strict=True)]

    def endings(self, conversation: Conversation, answers: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the ids of each answer with the end of its turn, as continuations of the conversation."""
        prompt = self.render(conversation)
        texts = [self._ending(conversation, answer, prompt) for answer in answers]
        return [tuple(ids) for ids in self._after([prompt] * len(texts), texts)]

    def media(self, conversation: Conversation) -> tuple[Media, ...]:
        """Return the conversation's pictures in order; a model without eyes must not be given any."""
        found = media_of(conversation)
        if found and not self.sees:
            raise ModelError(f"{self.name} reads text only, but an example shows {found[0].source}; choose an evidence")
        clip = next((m for m in found if m.kind == "video"), None)
        if clip is not None:
            raise ModelError(f"tuning takes pictures, not clips yet: {clip.source}")
        return found

    def render(self, conversation: Conversation) -> str:
        """Return the prompt's text, up to where the model starts to answer."""
        self.media(conversation)
        turns, begun = parted(self._mended(conversation))
        return str(self._apply(self._messages(turns), answer_next=True)) + begun

    def _ending(self, conversation: Conversation, answer: str, prompt: str) -> str:
        """Return what the template writes after the prompt when the model has answered."""
        turns, begun = parted(self._mended(conversation))
        reply = Message("assistant", (TextPart(begun + answer),))
        whole = str(self._apply(self._messages((*turns, reply)), answer_next=False))
        return whole[len(prompt) :] if whole.startswith(prompt) else answer

    def _apply(self, messages: list[dict[str, Any]], answer_next: bool) -> Any:
        return self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer_next)

    def _messages(self, conversation: Conversation) -> list[dict[str, Any]]:
        return part_messages(conversation) if self.sees else text_messages(conversation)

    def _mended(self, conversation: Conversation) -> Conversation:
        """Break up markers of the template inside the texts, as asking does: nobody's review can end a turn."""
        return tuple(
            Message(m.role, tuple(p if isinstance(p, MediaPart) else TextPart(self._broken(p.text)) for p in m.parts))
            for m in conversation
        )

    def _broken(self, text: str) -> str:
        for marker in self._markers:
            if marker in text:
                text = text.replace(marker, f"{marker[0]} {marker[1:]}")
        return text

    def _after(self, prompts: list[str], ends: list[str]) -> list[list[int]]:
        """Return the ids of what follows each prompt, tokenised with it where that leaves the prompt's ids alone."""
        wholes = self._tokenise([p + e for p, e in zip(prompts, ends, strict=True)])
        alone = self._tokenise(ends)
        found = []
        for before, whole, end in zip(self._tokenise(prompts), wholes, alone, strict=True):
            found.append(self._closed(whole[len(before) :] if whole[: len(before)] == before else end))
        return found

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        if not self.sees:
            return ids
        return [[t for i in row for t in ([i] * self._image_length if i == self._image_id else [i])] for row in ids]

    def _closed(self, ids: list[int]) -> list[int]:
        """Cut what the template writes after the end of the turn (a line feed), or add the end where it writes none."""
        eos = self.tokenizer.eos_token_id
        if eos in ids:
            return ids[: len(ids) - ids[::-1].index(eos)]
        special = set(self.tokenizer.all_special_ids)
        last = max((i for i, token in enumerate(ids) if token in special), default=-1)
        return ids[: last + 1] if last >= 0 else [*ids, eos]

    def _image_tokens(self) -> tuple[int, int]:
        """Return the image token's id and how many of it one picture becomes (the same for all: LLaVA-class models)."""
        from PIL import Image

        token = getattr(self.processor, "image_token", None)
        if type(self.processor).__name__ != "LlavaProcessor" or token is None:
            raise ModelError(f"{self.name} is not a LLaVA-class model; tuning with pictures knows only those so far")
        image_id = int(self.tokenizer.convert_tokens_to_ids(token))
        ids = self.processor(text=[token], images=[Image.new("RGB", (64, 64))])["input_ids"][0]
        return image_id, sum(1 for i in ids if int(i) == image_id)
