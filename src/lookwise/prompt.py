"""Prompts are text with named holes, filled in one pass: braces inside a review or a caption do no harm.

A hole is `{name}` where name is a field or one of the names that the stage offers; `{{` and `}}` are literal braces.
A hole that nobody offers is an error that names it, raised before any model loads (`holes` lets a caller check).
Lines whose holes are all empty are left out, so that a caption that is not shown leaves no stub behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from lookwise.errors import RecipeError

__all__ = ["Prompt"]

_HOLE = re.compile(r"\{\{|\}\}|\{([^{}\n]+)\}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text and where it came from (for error messages and the run's record)."""

    text: str
    origin: str

    @property
    def holes(self) -> tuple[str, ...]:
        """Names of the holes, in order of first use."""
        return tuple(dict.fromkeys(m.group(1) for m in _HOLE.finditer(self.text) if m.group(1)))

    def check(self, offered: frozenset[str]) -> None:
        """Raise RecipeError when a hole is not among the offered names."""
        unknown = [h for h in self.holes if h not in offered]
        if unknown:
            raise RecipeError(f"{self.origin}: no such hole {unknown[0]!r}; holes here: {', '.join(sorted(offered))}")

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with every hole replaced; a line whose holes are all empty disappears."""
        lines = []
        for literals, names in _lines(self.text):
            found = [values[name] for name in names]
            if found and not any(found):
                continue
            lines.append("".join(part for pair in zip(literals, (*found, ""), strict=True) for part in pair))
        return "\n".join(lines)


@lru_cache(maxsize=256)
def _lines(text: str) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Return each line as literal pieces and the names between them (one less), read once for many samples."""
    return tuple(_pieces(line) for line in text.rstrip("\n").split("\n"))


def _pieces(line: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    literals, names, end = [""], [], 0
    for match in _HOLE.finditer(line):
        literals[-1] += line[end : match.start()]
        end = match.end()
        if match.group(1):
            names.append(match.group(1))
            literals.append("")
        else:
            literals[-1] += match.group(0)[0]
    literals[-1] += line[end:]
    return tuple(literals), tuple(names)
