"""A sample and what is shown of its pictures, put into words: the conversations that models are given.

In: a task's declaration, a sample, and what a policy shows of its pictures: captions by slot, or pictures themselves.
Out: text and conversations.  Stages and training both render through here, so a reader is asked exactly as it was
tuned.  It knows no policy, no model and no file.

Where captions go is the task's `fusion` (CASLIE's load_data step, spec 1.6): one extra field, one extra field per
product, or appended to each history item and option.  A caption that is not shown leaves nothing behind;
only prompts that ask for the `published input` get what the published program writes, a JSON null included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lookwise.benchmarks.utility import JUDGEMENTS
from lookwise.message import Conversation, Media, Message, TextPart, user
from lookwise.sample import FieldValue, Sample, Visual
from lookwise.task import PromptUse, Task

__all__ = [
    "OFFERED",
    "REPLY",
    "answer_conversation",
    "caption_conversation",
    "hole_names",
    "quality_conversation",
    "this_title",
    "utility_conversation",
]

OFFERED: Mapping[PromptUse, frozenset[str]] = {
    "caption": frozenset({"options", "this title", "other title", "slot", "other slot"}),
    "caption_plain": frozenset({"options", "this title", "other title", "slot", "other slot"}),
    "caption_quality": frozenset({"options", "caption", "this title", "other title", "slot", "other slot"}),
    "answer": frozenset(
        {"options", "caption", "caption 1", "caption 2", "instruction", "published input", "published options"}
    ),
    "utility": frozenset({"options", "judgements"}),
}
"""Holes that a prompt of each use may have besides the sample's own fields."""

REPLY = "\n<reply>\n"
"""A line of its own in an answer prompt: what follows it is how the model's reply begins, word for word."""

_INDEXED = re.compile(r"^(history|options)\[(\d+)\]$")


def hole_names(task: Task, use: PromptUse) -> frozenset[str]:
    """Return every hole that a prompt of this use may have for this task."""
    return OFFERED[use] | frozenset(task.fields)


def this_title(sample: Sample, slot: str) -> str:
    """Return the words that name the product in a slot: title, history line or option, without the label."""
    match = _INDEXED.match(slot)
    if match:
        texts = sample.options if match.group(1) == "options" else sample.field("history")
        return texts[int(match.group(2))].split(":", 1)[-1].strip()
    names = [name for name, _ in sample.fields]
    if slot in names:
        return sample.text(slot)
    return next((sample.text(n) for n in ("title", "product title") if n in names), "")


def _places(sample: Sample, slot: str) -> dict[str, str]:
    """Return the slot that is asked about, the other one where there are two, and what their products are called."""
    other = {"product 1": "product 2", "product 2": "product 1"}.get(slot, "")
    return {
        "slot": slot,
        "other slot": other,
        "this title": this_title(sample, slot),
        "other title": sample.text(other) if other else "",
    }


def _fields(sample: Sample) -> dict[str, str]:
    """Return the sample's fields as text: lists one item a line, options likewise."""
    values = {name: value if isinstance(value, str) else "\n".join(value) for name, value in sample.fields}
    values["options"] = "\n".join(sample.options)
    return values


def caption_conversation(task: Task, sample: Sample, visual: Visual, use: PromptUse) -> Conversation:
    """Return the question for a caption of one picture: the picture first, then the task's context."""
    values = _fields(sample)
    values |= _places(sample, visual.slot)
    return (user(visual.media, "\n" + task.prompts[use].fill(values)),)


def quality_conversation(task: Task, sample: Sample, slot: str, caption: str) -> Conversation:
    """Return the question whether one caption helps the task (CASLIE's CQE): text only."""
    values = _fields(sample)
    values |= _places(sample, slot)
    values["caption"] = caption
    return (user(task.prompts["caption_quality"].fill(values)),)


def utility_conversation(task: Task, sample: Sample, pictures: Sequence[Media]) -> Conversation:
    """Return the question what these pictures would do to an answer (SUMEI's verifier): the pictures first."""
    values = _fields(sample)
    values["judgements"] = "\n".join(JUDGEMENTS)
    return (user(*pictures, "\n" + task.prompts["utility"].fill(values)),)


def answer_conversation(
    task: Task, sample: Sample, shown: Mapping[str, str], pictures: Sequence[Media] = ()
) -> Conversation:
    """Return the task's question with what a policy shows: captions by slot; pictures, in their order, before it."""
    prompt = task.prompts["answer"]
    asked, _, begun = prompt.text.partition(REPLY)
    text = replace(prompt, text=asked).fill(_answer_values(task, sample, shown))
    turn = user(*pictures, "\n" + text) if pictures else user(text)
    return (turn, Message("assistant", (TextPart(begun),))) if begun else (turn,)


def _answer_values(task: Task, sample: Sample, shown: Mapping[str, str]) -> dict[str, str]:
    if task.fusion == "inline":
        values = _inline(sample, shown)
    else:
        values = _fields(sample)
        if task.fusion == "per-product":
            for i in (1, 2):
                values[f"caption {i}"] = shown.get(f"product {i}", "")
        else:
            values["caption"] = " ".join(shown.values())
    values["instruction"] = sample.instruction
    return values | _published(task, sample, shown) if _PUBLISHED in task.prompts["answer"].text else values


_PUBLISHED = "{published "
_EXTRACTED = "information extracted from image"


def _published(task: Task, sample: Sample, shown: Mapping[str, str]) -> dict[str, str]:
    """Return input and options as CASLIE's program writes them: JSON, a caption that is not shown as null."""
    fields: dict[str, FieldValue | None] = dict(sample.fields)
    given: object = fields
    options: Sequence[str] = sample.options
    if task.fusion == "inline":
        inline = _appended(sample, shown)
        given, options = inline["history"], inline["options"]
    elif task.fusion == "per-product":
        extra = {f"product {i} {_EXTRACTED}": shown.get(f"product {i}") for i in (1, 2)}
        given = {**fields, **extra}
    else:
        given = {**fields, f"product {_EXTRACTED}": " ".join(shown.values()) or None}
    return {
        "published input": json.dumps(given),
        "published options": json.dumps(list(options)),
    }


def _inline(sample: Sample, shown: Mapping[str, str]) -> dict[str, str]:
    """Append each shown caption to its own history item, option or candidate; the option's letter stays in front."""
    values = _fields(sample) | {name: "\n".join(texts) for name, texts in _appended(sample, shown).items()}
    if "candidate" in values:
        values["candidate"] = f"{values['candidate']} {shown.get('candidate', '')}".rstrip()
    return values


def _appended(sample: Sample, shown: Mapping[str, str]) -> dict[str, list[str]]:
    history = sample.field("history")
    lists = {"history": history if isinstance(history, tuple) else (history,), "options": sample.options}
    return {
        name: [f"{text} {shown.get(f'{name}[{i}]', '')}".rstrip() for i, text in enumerate(texts)]
        for name, texts in lists.items()
    }
