"""What turns text into tokens: a checkpoint's tokenizer, chat template and, for a model that sees, its processor.

In: a `Place`.  Out: `Texts`.  Checkpoints with the same tokenizer files share one `Texts`, and with it the tokens of
prompts: five judges of one family read a prompt once.  It loads no weights.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from transformers import AutoProcessor, AutoTokenizer

from lookwise.errors import ModelError
from lookwise.models.hf.families import family_of, sees_pictures
from lookwise.models.hf.faults import FAULTS, cannot
from lookwise.models.place import Place, text_digest

__all__ = ["Texts", "Words", "load_texts"]

_REMEMBERED = 16_384
"""Texts whose tokens are kept: the loop measures a window of them before it asks."""

_OPEN_AT_ONCE = 4
"""Tokenizers that are kept for models still to be opened."""

_open: OrderedDict[str, Texts] = OrderedDict()
"""Tokenizers by the digest of their files: a cache of pure content, which nobody can tell from loading them anew."""


class Words:
    """A tokenizer that remembers."""

    def __init__(self, tokenizer: Any) -> None:
        self._inner: Any = tokenizer.backend_tokenizer
        self._inner.no_truncation()  # a file may have been saved with either; here a prompt is a prompt
        self._inner.no_padding()
        self._known: OrderedDict[str, array[int]] = OrderedDict()

    def ids(self, text: str) -> array[int]:
        """Return a text's tokens, none added."""
        found = self._known.get(text)
        if found is None:
            # The batched call leaves out the offsets into the text, which take a third of the time.
            found = array("i", self._inner.encode_batch_fast([text], add_special_tokens=False)[0].ids)
            self._known[text] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class Texts:
    """A tokenizer, its memory, the processor of a model that sees, and the chat template."""

    tokenizer: Any
    words: Words
    processor: Any | None
    template: str


def load_texts(place: Place) -> Texts:
    """Return a checkpoint's tokenizer and template; without a template it is an error, before weights load."""
    key = f"{family_of(place.folder, place.spec)}/{text_digest(place)}"
    found = _open.get(key)
    if found is None:
        found = _open[key] = _load(place)
        if len(_open) > _OPEN_AT_ONCE:
            _open.popitem(last=False)
    return found


def _load(place: Place) -> Texts:
    folder = str(place.folder)
    try:
        auto: Any = AutoProcessor  # its own annotations are incomplete
        processor = auto.from_pretrained(folder) if sees_pictures(place.folder, place.spec) else None
        tokenizer: Any = processor.tokenizer if processor is not None else AutoTokenizer.from_pretrained(folder)
    except FAULTS as error:
        raise cannot(place.spec, "tokenizer", error) from error
    template = getattr(processor, "chat_template", None) or tokenizer.chat_template
    if not isinstance(template, str):
        raise ModelError(f"model {place.spec!r} has no chat template; put a chat_template.jinja into its folder")
    if not tokenizer.is_fast:
        raise ModelError(f"model {place.spec!r} has no tokenizer.json; save its tokenizer in the fast format")
    return Texts(tokenizer, Words(tokenizer), processor, template)
