"""Conversations as tokens: the chat template, one placeholder for each picture, and options as they would be answered.

In: conversations, options.  Out: token ids, and trees of options.  It loads no picture and no weights.  Text that a
user wrote cannot forge a turn or a picture: markers of the template found in it are broken up.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from lookwise.errors import ModelError
from lookwise.message import Conversation, Media, MediaPart, Message, Part, TextPart
from lookwise.models.hf.families import lacks, needs_of
from lookwise.models.hf.layout import Tree
from lookwise.models.hf.texts import Texts
from lookwise.models.wire import media_of, part_messages, parted, text_messages

__all__ = ["Encoded", "Encoder", "OptionError"]

_REMEMBERED = 16_384
"""Trees of options that are kept."""
_READ = 8_192
"""Prompts that are kept: a window of the loop is measured first and answered after."""

_PROBE = "answer"

_DATE = "26 Jul 2024"
"""What templates that tell the model a date (Llama 3.1 and 3.2) are given: an answer must not depend on the day."""


class OptionError(ValueError):
    """Options that cannot be scored; the message says why."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt: its tokens with one placeholder for each picture, the pictures in that order, and its last segment.

    `tail` is the rendered text from the last marker on: options are tokenised together with it.  `begun`: the prompt
    ends within the reply, so that nothing stands between it and an option.
    """

    ids: array[int]
    media: tuple[Media, ...]
    tail: str
    begun: bool = False


class Encoder:
    """A tokenizer and a chat template."""

    def __init__(self, texts: Texts, spec: str) -> None:
        self._tokenizer, self._template, self._spec = texts.tokenizer, texts.template, spec
        self._words, self._can, self._places = texts.words, texts.abilities, texts.places
        self.places = frozenset(t for t in (self._places.picture, self._places.clip) if t is not None)
        added = texts.tokenizer.added_tokens_decoder
        self._markers = {i: str(token) for i, token in added.items() if token.special}
        marks = [str(texts.tokenizer.convert_ids_to_tokens(token)) for token in sorted(self.places)]
        self._broken = (*self._markers.values(), *marks, *(old for old, _ in self._places.rewrite))
        self._trees: dict[tuple[str, bool, tuple[str, ...]], tuple[int, Tree]] = {}
        self._read: dict[Conversation, Encoded] = {}
        self._lead, self.end_of_turn = self._probe()

    def options(self, prompt: Encoded, options: Sequence[str]) -> tuple[int, Tree]:
        """Return how many of the prompt's tokens stay as they are when an option follows, and the options' tree.

        Options are tokenised together with the prompt's last segment: where a tokenizer would join its end with the
        option's beginning, the prompt is cut before that place and the joined token belongs to the option.
        """
        key = (prompt.tail, prompt.begun, tuple(options))
        if key not in self._trees:
            if len(self._trees) > _REMEMBERED:
                self._trees.clear()
            self._trees[key] = self._tree(prompt.tail, "" if prompt.begun else self._lead, options)
        cut, tree = self._trees[key]
        return len(prompt.ids) - cut, tree

    def decode(self, ids: Sequence[int]) -> str:
        """Return generated tokens as text, without markers and without white space round it."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def encode(self, conversation: Conversation) -> Encoded:
        """Return a conversation's tokens, up to where the answer begins."""
        found = self._read.get(conversation)
        if found is None:
            if len(self._read) >= _READ:
                self._read.clear()
            found = self._read[conversation] = self._encode(conversation)
        return found

    def _encode(self, conversation: Conversation) -> Encoded:
        media = media_of(conversation)
        self._check(conversation)
        turns, begun = parted(self._harmless(conversation))
        text = self._render(turns, answer=None) + begun
        ids = self._words.ids(text)
        if self.places:
            self._check_places(ids, media)
        return Encoded(ids, media, text[self._last_marker(text) :], bool(begun))

    def _check(self, conversation: Conversation) -> None:
        reason = lacks(self._can, needs_of(conversation))
        if reason is not None:
            raise ModelError(f"model {self._spec!r} {reason}")

    def _check_places(self, ids: Sequence[int], media: Sequence[Media]) -> None:
        clips = sum(medium.kind == "video" for medium in media)
        pictures = len(media) - clips + clips * self._places.frames
        found = list(ids).count(self._places.picture or 0)
        if found != pictures or (
            clips and not self._places.frames and list(ids).count(self._places.clip or 0) != clips
        ):
            raise ModelError(
                f"model {self._spec!r}: its chat template made {found} places for {pictures} pictures; "
                "give the checkpoint a template that writes one for each image part"
            )

    def _render(self, conversation: Conversation, answer: str | None) -> str:
        messages = (part_messages if self.places else text_messages)(conversation)
        if answer is not None:
            said: object = [{"type": "text", "text": answer}] if self.places else answer
            messages.append({"role": "assistant", "content": said})
        try:
            text = self._tokenizer.apply_chat_template(
                messages,
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=answer is None,
                date_string=_DATE,
            )
        except (TemplateError, TypeError) as error:
            roles = ", ".join(m["role"] for m in messages)
            raise ModelError(
                f"model {self._spec!r}: its chat template refuses the turns {roles} ({error}); give it others"
            ) from error
        for old, new in self._places.rewrite:
            text = text.replace(old, new)
        return str(text)

    def _harmless(self, conversation: Conversation) -> Conversation:
        """Return the conversation with every marker inside its texts broken by a space."""

        def mend(part: Part) -> Part:
            if isinstance(part, MediaPart):
                return part
            text = part.text
            for marker in self._broken:
                if len(marker) > 1 and marker in text:
                    text = text.replace(marker, f"{marker[0]} {marker[1:]}")
            return part if text is part.text else TextPart(text)

        return tuple(Message(m.role, tuple(mend(p) for p in m.parts)) for m in conversation)

    def _last_marker(self, text: str) -> int:
        """Return where the last marker starts: what stands before it is tokenised by itself."""
        return max(0, *(text.rfind(marker) for marker in self._markers.values()), 0)

    def _tree(self, tail: str, lead: str, options: Sequence[str]) -> tuple[int, Tree]:
        if not options:
            raise OptionError("no options to rank")
        alone = self._words.ids(tail)
        joint = [self._words.ids(tail + lead + option) for option in options]
        stable = min(_common(alone, ids) for ids in joint)
        found = [ids[stable:] for ids in joint]
        empty = next((o for o, ids in zip(options, found, strict=True) if not ids or not o.strip()), None)
        if empty is not None:
            raise OptionError(f"option {empty!r} has no tokens")
        return len(alone) - stable, Tree.of(found)

    def _probe(self) -> tuple[str, int | None]:
        """Return what the template puts between its answer prompt and an answer, and the marker that ends an answer."""
        talk = (Message("user", (TextPart("question"),)),)
        opened, whole = self._render(talk, None), self._render(talk, _PROBE)
        if not whole.startswith(opened) or _PROBE not in whole[len(opened) :]:
            return "", None
        lead, _, rest = whole[len(opened) :].partition(_PROBE)
        after = self._words.ids(rest)
        return (lead if not lead.strip() else ""), after[0] if after and after[0] in self._markers else None


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two sequences share at their beginning."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
