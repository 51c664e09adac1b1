"""Write text for a batch of prompts: prompts in packs, then one token of every unfinished row at a time.

In: rows and their decoding settings.  Out: each row's new tokens.  A row's text depends on the row alone: greedy by the
highest logit, sampled by its own seed, both after the checkpoint's penalty on tokens seen before.  Rows that have ended
are dropped, and the loop ends with the last of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lookwise.model import Generate
from lookwise.models.hf.layout import Row, lay_out, packs
from lookwise.models.hf.network import Network
from lookwise.models.hf.stems import ordered

__all__ = ["generate"]

_ROOM = 32
"""Columns set aside for new tokens at first; more are added when a text grows longer."""

_DROP = 0.75
"""Share of unfinished rows at or below which the finished ones are dropped from memory."""


def generate(
    network: Network, rows: Sequence[Row], wants: Sequence[Generate], ends: frozenset[int], penalty: float = 1.0
) -> list[list[int]]:
    """Return each row's new tokens, the one that ended it included; `penalty` is on tokens seen before (1: none)."""
    writing = _Writing(network, rows, wants, ends, penalty)
    return writing.run()


@dataclass(slots=True)
class _Live:
    """A row that is still being written: which it is, how many tokens it may have, its draws."""

    index: int
    room: int
    want: Generate
    draws: Iterator[float]


class _Writing:
    """A batch on its way."""

    def __init__(
        self, network: Network, rows: Sequence[Row], wants: Sequence[Generate], ends: frozenset[int], penalty: float
    ) -> None:
        self._network, self._ends = network, ends
        self._order = ordered(rows, lambda row: len(row.ids))
        self._rows = [rows[i] for i in self._order]
        self._lengths = [len(row.ids) for row in self._rows]
        self._live = [self._begin(i, rows[i], wants[i]) for i in self._order]
        self._said: list[list[int]] = [[] for _ in rows]
        self._positions = [row.next_position for row in self._rows]
        self._memory = network.memory(self._rows, max(self._lengths) + _ROOM)
        self._seen = None if penalty == 1.0 else _Seen(self._rows, penalty)

    def _begin(self, index: int, row: Row, want: Generate) -> _Live:
        room = max(1, min(want.max_new_tokens, self._network.most_tokens - len(row.ids)))
        return _Live(index, room, want, _draws(row, want))

    def run(self) -> list[list[int]]:
        """Write until every row has ended."""
        tokens = self._take(self._prompts())
        while self._live:
            device = self._network.device
            plan = self._network.step(self._memory, torch.tensor(self._lengths, device=device), max(self._lengths))
            # a row that has ended goes along until it is dropped, and must not leave a table of positions
            last = self._network.most_tokens - 1
            positions = torch.tensor([min(position, last) for position in self._positions], device=device)
            logits = self._network.step_logits(torch.tensor(tokens, device=device), positions, plan)
            self._lengths = [length + 1 for length in self._lengths]
            self._positions = [position + 1 for position in self._positions]
            tokens = self._take(logits)
        return self._said

    def _prompts(self) -> Tensor:
        """Compute all prompts, keep their keys and values, and return the logits at their ends."""
        logits = []
        for run in packs(self._rows, self._network.pack_tokens):
            pack = lay_out([self._rows[i] for i in run], self._network.device)
            logits.append(self._network.pack_logits(pack, self._network.plan(pack, self._memory, run.start)))
        return torch.cat(logits)

    def _take(self, logits: Tensor) -> list[int]:
        """Choose each row's next token, note it, and drop the rows that have ended; return the tokens of the others."""
        if self._seen is not None:
            logits = self._seen.penalised(logits)
        best = logits.argmax(dim=-1).tolist()
        going: list[int] = []
        for i, live in enumerate(self._live):
            said = self._said[live.index]
            if len(said) >= live.room or (said and said[-1] in self._ends):
                continue
            token = best[i] if live.want.temperature <= 0 else _sample(logits[i], live.want, next(live.draws))
            said.append(token)
            if len(said) < live.room and token not in self._ends:
                going.append(i)
        if len(going) <= _DROP * len(self._live):
            self._keep(going)
        tokens = [self._said[live.index][-1] for live in self._live]
        if self._seen is not None:
            self._seen.add(tokens)
        return tokens

    def _keep(self, rows: Sequence[int]) -> None:
        self._live = [self._live[i] for i in rows]
        self._lengths = [self._lengths[i] for i in rows]
        self._positions = [self._positions[i] for i in rows]
        kept = torch.tensor(rows, device=self._network.device, dtype=torch.long)
        self._memory.keep(kept)
        if self._seen is not None:
            self._seen.keep(kept)


class _Seen:
    """Which tokens each row holds already, in its prompt or in what it said, and the penalty on them.

    The sums are those of transformers' RepetitionPenaltyLogitsProcessor, which wants its rows padded to one length;
    here a row is marks over the vocabulary, so that there is no padding to be left out.
    """

    def __init__(self, rows: Sequence[Row], penalty: float) -> None:
        self._rows, self._penalty = rows, penalty
        self._marks: Tensor | None = None  # bool [rows, vocabulary], whose size the first logits tell

    def penalised(self, logits: Tensor) -> Tensor:
        """Return logits [rows, vocabulary] with those of tokens seen before made less likely."""
        if self._marks is None:
            self._marks = self._of_prompts(logits)
        lower = torch.where(logits < 0, logits * self._penalty, logits / self._penalty)
        return torch.where(self._marks, lower, logits)

    def add(self, tokens: Sequence[int]) -> None:
        """Mark each row's new token."""
        if self._marks is not None and tokens:
            self._marks.scatter_(1, torch.tensor(tokens, device=self._marks.device)[:, None], True)

    def keep(self, rows: Tensor) -> None:
        """Keep some of the rows."""
        if self._marks is not None:
            self._marks = self._marks[rows]

    def _of_prompts(self, logits: Tensor) -> Tensor:
        marks = torch.zeros_like(logits, dtype=torch.bool)
        for i, row in enumerate(self._rows):
            # a picture's token may lie beyond the head, which cannot say it
            seen = [token for token in row.tokens if token < logits.shape[1]]
            marks[i, torch.tensor(seen, device=logits.device, dtype=torch.long)] = True
        return marks


def _draws(row: Row, want: Generate) -> Iterator[float]:
    """Yield uniform numbers that depend on the prompt, the seed and the draw alone, never on the rest of the batch."""
    content = f"{want.seed}/{want.draw}/{','.join(map(str, row.ids))}"
    key = int.from_bytes(hashlib.sha256(content.encode()).digest()[:16], "big")
    random = np.random.Generator(np.random.Philox(key=key))
    while True:
        yield float(random.random())


def _sample(logits: Tensor, want: Generate, draw: float) -> int:
    """Return the token at which the cumulative probability, likeliest first, passes the draw.

    Of the tokens those are left whose predecessors hold less than `top_p` together.
    """
    probabilities, tokens = torch.softmax(logits.double() / want.temperature, dim=-1).sort(descending=True, stable=True)
    total = probabilities.cumsum(dim=-1)
    kept = max(1, int((total - probabilities < want.top_p).sum().item()))
    place = int((total[:kept] <= draw * total[kept - 1]).sum().item())
    return int(tokens[min(place, kept - 1)].item())
