"""A sample and what is shown of its pictures, put into words: the conversations that models are given.

In: a task's declaration, a sample, and what a policy shows of its pictures: captions by slot, or pictures themselves.
Out: text and conversations.  Stages and training both render through here, so a reader is asked exactly as it was
tuned.  It knows no policy, no model and no file.

Where captions go is the task's `fusion` (CASLIE's load_data step, spec 1.6): one extra field, one extra field per
product, or appended to each history item and option.  A caption that is not shown leaves nothing behind (the published
program leaves a JSON null).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lookwise.benchmarks.utility import JUDGEMENTS
from lookwise.message import Conversation, Media, user
from lookwise.sample import Sample, Visual
from lookwise.task import PromptUse, Task

__all__ = [
    "OFFERED",
    "answer_conversation",
    "caption_conversation",
    "hole_names",
    "quality_conversation",
    "this_title",
    "utility_conversation",
]

OFFERED: Mapping[PromptUse, frozenset[str]] = {
    "caption": frozenset({"options", "this title", "other title"}),
    "caption_plain": frozenset({"options", "this title", "other title"}),
    "caption_quality": frozenset({"options", "caption", "this title", "other title"}),
    "answer": frozenset({"options", "caption", "caption 1", "caption 2"}),
    "utility": frozenset({"options", "judgements"}),
}
"""Holes that a prompt of each use may have besides the sample's own fields."""

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


def _other_title(sample: Sample, slot: str) -> str:
    other = {"product 1": "product 2", "product 2": "product 1"}.get(slot)
    return sample.text(other) if other else ""


def _fields(sample: Sample) -> dict[str, str]:
    """Return the sample's fields as text: lists one item a line, options likewise."""
    values = {name: value if isinstance(value, str) else "\n".join(value) for name, value in sample.fields}
    values["options"] = "\n".join(sample.options)
    return values


def caption_conversation(task: Task, sample: Sample, visual: Visual, use: PromptUse) -> Conversation:
    """Return the question for a caption of one picture: the picture first, then the task's context."""
    values = _fields(sample)
    values["this title"] = this_title(sample, visual.slot)
    values["other title"] = _other_title(sample, visual.slot)
    return (user(visual.media, "\n" + task.prompts[use].fill(values)),)


def quality_conversation(task: Task, sample: Sample, slot: str, caption: str) -> Conversation:
    """Return the question whether one caption helps the task (CASLIE's CQE): text only."""
    values = _fields(sample)
    values["this title"] = this_title(sample, slot)
    values["other title"] = _other_title(sample, slot)
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
    text = _question(task, sample, shown)
    return (user(*pictures, "\n" + text),) if pictures else (user(text),)


def _question(task: Task, sample: Sample, shown: Mapping[str, str]) -> str:
    if task.fusion == "inline":
        return task.prompts["answer"].fill(_inline(sample, shown))
    values = _fields(sample)
    if task.fusion == "per-product":
        for i in (1, 2):
            values[f"caption {i}"] = shown.get(f"product {i}", "")
    else:
        values["caption"] = " ".join(shown.values())
    return task.prompts["answer"].fill(values)


def _inline(sample: Sample, shown: Mapping[str, str]) -> dict[str, str]:
    """Append each shown caption to its own history item, option or candidate; the option's letter stays in front."""

    def extend(texts: tuple[str, ...], name: str) -> str:
        parts = (f"{t} {shown.get(f'{name}[{i}]', '')}".rstrip() for i, t in enumerate(texts))
        return "\n".join(parts)

    values = _fields(sample)
    history = sample.field("history")
    values["history"] = extend(history if isinstance(history, tuple) else (history,), "history")
    values["options"] = extend(sample.options, "options")
    if "candidate" in values:
        values["candidate"] = f"{values['candidate']} {shown.get('candidate', '')}".rstrip()
    return values
