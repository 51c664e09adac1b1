"""What turns text into tokens: a checkpoint's tokenizer, chat template, image processor.

In: a `Place`.  Out: `Texts`.  Checkpoints with the same tokenizer files share one `Texts`, and with it the tokens of
prompts: five judges of one family read a prompt once.  It loads no weights, and of a processor only the parts that can
be had without torchvision.
"""

from __future__ import annotations

import json
from array import array
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, CLIPImageProcessorPil

from lookwise.errors import ModelError
from lookwise.models.hf.eyes import CLIP_FRAMES, FRAME_BY_FRAME
from lookwise.models.hf.families import Abilities, abilities_of, family_of
from lookwise.models.hf.faults import FAULTS, cannot
from lookwise.models.place import Place, text_digest

__all__ = ["Places", "Texts", "Words", "load_texts"]

_REMEMBERED = 16_384
"""Texts whose tokens are kept: the loop measures a window of them before it asks."""

_OPEN_AT_ONCE = 4
"""Tokenizers that are kept for models still to be opened."""

_PROCESSOR = "processor_config.json"
_STEPS = (
    "size",
    "crop_size",
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "resample",
    "do_convert_rgb",
    "patch_size",
    "temporal_patch_size",
    "merge_size",
    "min_pixels",
    "max_pixels",
)
"""Settings that processors of clips and of pictures share."""

_TEMPLATES: Mapping[str, str] = {
    "blip-2": (
        "{%- for m in messages -%}{%- for p in m['content'] -%}"
        "{%- if p['type'] == 'image' -%}<image>{{ bos_token }}{%- endif -%}"
        "{%- endfor -%}{%- endfor -%}"
        "{%- for m in messages -%}"
        "{{ 'Question: ' if m['role'] == 'user' else ' Answer: ' }}"
        "{%- for p in m['content'] if p['type'] == 'text' -%}{{ p['text'] | trim }}{%- endfor -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ ' Answer:' }}{%- else -%}{{ eos_token }}{%- endif -%}"
    )
}
"""Prompts of families that were never given a chat template: here that of their authors' examples."""

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
class Places:
    """How a template's text marks media: the token of a picture and of a clip (None: it has none).

    `rewrite` turns what the template writes for a medium into what the model was trained on, before it is tokenised.
    """

    picture: int | None = None
    clip: int | None = None
    rewrite: tuple[tuple[str, str], ...] = ()
    frames: int = 0
    """Pictures that a clip stands as, for families without clips of their own kind."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A tokenizer, its memory, the chat template; for a model that sees, its image processors and marks of media."""

    tokenizer: Any
    words: Words
    template: str
    abilities: Abilities
    places: Places = Places()
    image_processor: Any | None = None
    clip_processor: Any | None = None


def load_texts(place: Place) -> Texts:
    """Return a checkpoint's tokenizer and template; without a template it is an error, before weights load."""
    family = family_of(place.folder, place.spec, remote_code=place.remote_code)
    can = abilities_of(place.folder, place.spec, remote_code=place.remote_code)
    try:
        marks = _marks(place) if can.pictures != "none" else (None, None)
    except FAULTS as error:
        raise cannot(place.spec, "config.json", error) from error
    key = f"{family}/{marks}/{text_digest(place)}"
    found = _open.get(key)
    if found is None:
        found = _open[key] = _load(place, family, can, marks)
        if len(_open) > _OPEN_AT_ONCE:
            _open.popitem(last=False)
    return found


def _load(place: Place, family: str, can: Abilities, marks: tuple[int | None, int | None]) -> Texts:
    folder, code = str(place.folder), place.remote_code
    images = clips = None
    try:
        # Said either way: left open, transformers asks on the terminal whether a tokenizer's own code may be run.
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=code)
        if can.pictures != "none":
            auto: Any = AutoImageProcessor  # its own annotations are incomplete
            images = auto.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=code)
            clips = _clip_processor(place.folder, images)
    except FAULTS as error:
        raise cannot(place.spec, "tokenizer", error) from error
    template = _template(place.folder) or tokenizer.chat_template or _TEMPLATES.get(family)
    if not isinstance(template, str):
        raise ModelError(f"model {place.spec!r} has no chat template; put a chat_template.jinja into its folder")
    if not tokenizer.is_fast:
        raise ModelError(f"model {place.spec!r} has no tokenizer.json; save its tokenizer in the fast format")
    places = _places(tokenizer, family, marks, place.spec) if can.pictures != "none" else Places()
    return Texts(tokenizer, Words(tokenizer), template, can, places, images, clips)


def _marks(place: Place) -> tuple[int | None, int | None]:
    """Return the tokens that stand for a picture and for a clip, by the model's configuration."""
    config: Any = AutoConfig.from_pretrained(
        str(place.folder), local_files_only=True, trust_remote_code=place.remote_code
    )
    return getattr(config, "image_token_id", None), getattr(config, "video_token_id", None)


def _places(tokenizer: Any, family: str, marks: tuple[int | None, int | None], spec: str) -> Places:
    picture, clip = marks
    if picture is None:
        raise ModelError(f"model {spec!r}: its config.json names no image token; add image_token_id")
    if family not in FRAME_BY_FRAME:
        return Places(picture, clip)
    mark = str(tokenizer.convert_ids_to_tokens(picture))
    fenced = f"{tokenizer.start_image_token}{mark}{tokenizer.end_image_token}"
    shown = "\n".join(f"Frame{i + 1}: {mark}" for i in range(CLIP_FRAMES))
    return Places(picture, None, ((str(tokenizer.video_token), shown), (mark, fenced)), CLIP_FRAMES)


def _clip_processor(folder: Path, images: Any) -> Any | None:
    """Return what prepares a clip's frames, one by one.

    The published processors of clips need torchvision; their settings are those of a picture's, and so are their steps.
    A checkpoint that says nothing of clips takes them by what it says of pictures.
    """
    named = _json(folder / "video_preprocessor_config.json") or _json(folder / _PROCESSOR).get("video_processor")
    settings = named if isinstance(named, dict) else _json(folder / "preprocessor_config.json")
    kept = {name: settings[name] for name in _STEPS if settings.get(name) is not None}
    if hasattr(images, "temporal_patch_size"):
        return type(images)(**kept)
    return CLIPImageProcessorPil(**{"size": images.size, "do_center_crop": "crop_size" in kept, **kept})


def _template(folder: Path) -> str | None:
    """Return the template of a checkpoint's processor; a tokenizer beside it may have another, or the same."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", _PROCESSOR):
        found = _json(folder / name).get("chat_template")
        if isinstance(found, str):
            return found
    return None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {}
