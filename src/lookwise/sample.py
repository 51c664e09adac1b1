"""One example of one task, as every source yields it.  A sample never changes; stages add rows beside it.

Values only: frozen, hashable, stdlib.  Field values are strings, or tuples of strings for lists (a history, the
snippets of a document).  `target` is the gold answer in the task's canonical form (a letter, a label), or None when
there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookwise.message import Media

__all__ = ["FieldValue", "Sample", "Visual", "freeze_fields"]

FieldValue = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Visual:
    """A picture or clip of the sample: `slot` names its place ("product 1", "history[3]", "options[0]").

    A slot may hold several candidates (EcomMMMU: eight views of one product), numbered from 0.
    `caption` is one that came with the data; a run uses it only where its recipe says so.
    """

    slot: str
    media: Media
    candidate: int = 0
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One frozen example.

    `fields` keeps the order of the source.  `options` are the full option texts ("A: very positive"), or empty where
    the task has labels only.  `subset` marks a part of the split that is scored on its own as well (EcomMMMU's is_vc).
    `instruction` is the row's own wording of its task, where the source has one; prompts of published programs show it.
    """

    id: str
    benchmark: str
    task: str
    split: str
    fields: tuple[tuple[str, FieldValue], ...]
    visuals: tuple[Visual, ...] = ()
    options: tuple[str, ...] = ()
    target: str | None = None
    subset: str | None = None
    instruction: str = ""

    def field(self, name: str) -> FieldValue:
        """Return a field by name; KeyError names it and the sample."""
        for key, value in self.fields:
            if key == name:
                return value
        raise KeyError(f"sample {self.id} has no field {name!r}; it has {[k for k, _ in self.fields]}")

    def text(self, name: str) -> str:
        """Return a field as one string; lists are joined with a single space."""
        value = self.field(name)
        return value if isinstance(value, str) else " ".join(value)

    @property
    def candidates(self) -> tuple[int, ...]:
        """The candidate numbers that every slot has: what can be shown of all products at once."""
        slots: dict[str, set[int]] = {}
        for visual in self.visuals:
            slots.setdefault(visual.slot, set()).add(visual.candidate)
        return tuple(sorted(set.intersection(*slots.values()))) if slots else ()

    def view(self, candidate: int) -> tuple[Visual, ...]:
        """Return the visuals with this candidate number, one of each slot that has it, in the order of the slots."""
        return tuple(visual for visual in self.visuals if visual.candidate == candidate)


def freeze_fields(fields: Mapping[str, str | list[str] | tuple[str, ...]]) -> tuple[tuple[str, FieldValue], ...]:
    """Return a mapping of fields as the frozen pairs that `Sample` holds."""
    return tuple((k, v if isinstance(v, str) else tuple(v)) for k, v in fields.items())
