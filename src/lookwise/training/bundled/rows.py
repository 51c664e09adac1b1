"""Episodes as token ids: what the pretraining of readers computes its losses on.

In: a tokenizer and episodes.  Out: rows of ids, each token's weight as a target, and whether it agrees with the lines
before; padded tensors of them.  It draws nothing but repeated random words, and knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lookwise.training.bundled.contexts import Line, agreement
from lookwise.training.bundled.instructions import Episode, plain_text

__all__ = ["IGNORED", "Row", "Rows", "pad"]

IGNORED = -100
_CONTEXT_WEIGHT = 0.03
"""What is asked can hardly be foretold; a little weight keeps the words' neighbourhoods learned."""
_REPEATED = (12, 40)


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of one sequence; for each its weight as a target (answers 1, the rest little) and two lessons more.

    `agrees` is contexts.agreement of the token with the lines before its own, `names` the last token of its line's
    name, or, where an answer begins, of the name of the line asked about; IGNORED where there is none.
    """

    ids: list[int]
    weights: list[float]
    agrees: list[int]
    names: list[int]


class Rows:
    """Makes rows with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._user, self._assistant, self._end = tokenizer.convert_tokens_to_ids(
            ["<|user|>", "<|assistant|>", "<|end|>"]
        )
        self._tokens: list[str] = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._words = [i for i, token in enumerate(self._tokens) if token.isalpha() and len(token) > 1]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def told(self, rng: random.Random) -> Row:
        """Return shop language without questions: every token counts."""
        ids = [self._user, *self._encode(plain_text(rng)), self._end]
        return Row(ids, [1.0] * len(ids), [IGNORED] * len(ids), [IGNORED] * len(ids))

    def repeated(self, rng: random.Random) -> Row:
        """Return random words, then the same again, which alone count."""
        once = rng.choices(self._words, k=rng.randint(*_REPEATED))
        ids = [self._user, *once, *once, self._end]
        nothing = [IGNORED] * len(ids)
        return Row(ids, [0.0] * (len(once) + 1) + [1.0] * (len(once) + 1), nothing, nothing)

    def episode(self, episode: Episode, seen: Sequence[Line] = ()) -> Row:
        """Return a context and its questions as one conversation; `seen` are lines before it that are not written."""
        ids: list[int] = []
        weights: list[float] = []
        asked_of: dict[int, int] = {}
        opening = episode.context + "\n"
        for turn in episode.turns:
            asked = [self._user, *self._encode(opening + turn.question), self._end, self._assistant]
            answer = [*self._encode(turn.answer), self._end]
            ids += asked
            if turn.about:
                asked_of[len(ids) - 1] = self._name(turn.about)
            ids += answer
            weights += [_CONTEXT_WEIGHT] * len(asked) + [1.0] * len(answer)
            opening = ""
        agrees, names = [IGNORED] * len(ids), [IGNORED] * len(ids)
        known = self._agreements(episode.lines, seen)
        agrees[1 : 1 + len(known)] = known
        named = [name for line in episode.lines for name in self.names(line.name, len(self._encode(_written(line))))]
        names[1 : 1 + len(named)] = named
        for place, name in asked_of.items():
            names[place] = name
        return Row(ids, weights, agrees, names)

    def names(self, name: str, length: int) -> list[int]:
        """Return what a line of so many tokens is to know its name by: nothing at the name itself."""
        own = len(self._encode(f"{name}:"))
        return [*[IGNORED] * own, *[self._name(name)] * (length - own)]

    def _name(self, name: str) -> int:
        return self._encode(name)[-1]

    def _agreements(self, lines: Sequence[Line], seen: Sequence[Line]) -> list[int]:
        found: list[int] = []
        for i, line in enumerate(lines):
            for token in self._encode(_written(line)):
                value = agreement([*seen, *lines[:i]], line, self._tokens[token])
                found.append(IGNORED if value is None else value)
        return found


def _written(line: Line) -> str:
    return f"{line.name}: {line.text}\n"


def pad(rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ids, weights, agreements and names as [rows, longest], padded at the end."""
    longest = max(len(r.ids) for r in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    weights = torch.zeros(len(rows), longest)
    agrees = torch.full((len(rows), longest), IGNORED)
    names = torch.full((len(rows), longest), IGNORED)
    for i, row in enumerate(rows):
        names[i, : len(row.names)] = torch.tensor(row.names)
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        weights[i, : len(row.ids)] = torch.tensor(row.weights)
        agrees[i, : len(row.ids)] = torch.tensor(row.agrees)
    return ids, weights, agrees, names
