"""Prompts are text with named holes, filled in one pass: braces inside a review or a caption do no harm.

A hole is `{name}` where name is a field or one of the names that the stage offers; `{{` and `}}` are literal braces.
A hole that nobody offers is an error that names it, raised before any model loads (`holes` lets a caller check).
Lines whose holes are all empty are left out, so that a caption that is not shown leaves no stub behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

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
        lines = (self._line(line, values) for line in self.text.rstrip("\n").split("\n"))
        return "\n".join(line for line in lines if line is not None)

    def _line(self, line: str, values: Mapping[str, str]) -> str | None:
        names = [m.group(1) for m in _HOLE.finditer(line) if m.group(1)]
        if names and not any(values[n] for n in names):
            return None

        def put(match: re.Match[str]) -> str:
            name = match.group(1)
            return values[name] if name else match.group(0)[0]

        return _HOLE.sub(put, line)
