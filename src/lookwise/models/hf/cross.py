"""Pictures that a decoder looks at from the side: layers of their own whose keys and values are the pictures' alone.

In: which token of a row shows which picture.  Out: `Glances`, which attend for a pack of prompts and then for one token
of every row at a time.  The rules are those of the family that looks so (mllama), and its own forward pass agrees:
a token sees the picture before it up to the next one, pictures in a row count as one, and a token before any picture
sees all of them, padding included, but what follows in its layer is masked away.  A row without pictures passes
through such a layer unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["Glances", "Look", "Side", "SideMemory"]


class Look(NamedTuple):
    """A picture: the place of its token in the prompt, its states [tokens, width], and how many of them are filled."""

    at: int
    states: Tensor
    used: int


@dataclass(frozen=True, slots=True)
class Side:
    """What a row's tokens see of its pictures: `states` [tokens, width] and `sees` bool [row, tokens].

    `told` bool [row] is false for tokens that come before every picture.  Both are None for a row without pictures.
    """

    size: int
    states: Tensor | None = None
    sees: Tensor | None = None
    told: Tensor | None = None

    @classmethod
    def of(cls, prompt: int, size: int, looks: Sequence[Look]) -> Side:
        """Return the side of a row of `size` tokens, of which those behind the prompt see what its last token sees."""
        if not looks:
            return cls(size)
        starts = [look.at for look in looks]
        ends = [*starts[1:], prompt]
        for i in reversed(range(len(looks) - 1)):
            if ends[i] == starts[i] + 1:  # the next picture follows at once: they are seen together
                ends[i] = ends[i + 1]
        parts = []
        for look, start, end in zip(looks, starts, ends, strict=True):
            part = torch.zeros(size, look.states.shape[0], dtype=torch.bool, device=look.states.device)
            part[start : size if end == prompt else end, : look.used] = True
            parts.append(part)
        sees = torch.cat(parts, dim=1)
        told = sees.any(dim=1)
        return cls(size, torch.cat([look.states for look in looks]), sees | ~told[:, None], told)


class SideMemory:
    """Keys and values of the rows' pictures, layer by layer: [rows, heads, tokens, width], and what is filled."""

    def __init__(self, sides: Sequence[Side], device: torch.device) -> None:
        self._most = max(0 if side.states is None else side.states.shape[0] for side in sides)
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        last = [torch.zeros(self._most, dtype=torch.bool, device=device) for _ in sides]
        for row, side in zip(last, sides, strict=True):
            if side.sees is not None:
                row[: side.sees.shape[1]] = side.sees[-1]
        self.sees = torch.stack(last)

    def fill(self, layer: int, row: int, k: Tensor, v: Tensor) -> None:
        """Store keys and values [heads, tokens, width] of a row's pictures."""
        if layer not in self._layers:
            shape = (self.sees.shape[0], k.shape[0], self._most, k.shape[2])
            self._layers[layer] = (k.new_zeros(shape), v.new_zeros(shape))
        for store, new in zip(self._layers[layer], (k, v), strict=True):
            store[row, :, : new.shape[1]] = new

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.sees = self.sees[rows]
        self._layers = {i: (k.index_select(0, rows), v.index_select(0, rows)) for i, (k, v) in self._layers.items()}

    def of(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return a layer's keys and values."""
        return self._layers[layer]


class Glances:
    """Attention to pictures: over a pack of rows, or, without sides, over one token of every row in memory."""

    def __init__(
        self, layers: frozenset[int], sides: Sequence[Side], memory: SideMemory | None = None, first: int = 0
    ) -> None:
        self.layers = layers
        self._sides, self.memory, self._first = sides, memory, first

    def told(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return [batch, 1, tokens, 1]: one where a token sees a picture, zero where what follows is masked away."""
        if self._sides:
            nothing = [torch.zeros(side.size, dtype=torch.bool, device=device) for side in self._sides]
            told = [none if side.told is None else side.told for side, none in zip(self._sides, nothing, strict=True)]
            return torch.cat(told).to(dtype)[None, None, :, None]
        assert self.memory is not None
        return self.memory.sees.any(dim=1).to(dtype)[:, None, None, None]

    def states(self, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the pictures' states [batch, tokens, width]; for rows in memory a blank, since theirs are known."""
        found = [side.states for side in self._sides if side.states is not None]
        if found:
            return torch.cat(found).to(dtype)[None]
        assert self.memory is not None
        return torch.zeros(self.memory.sees.shape[0], 1, width, device=device, dtype=dtype)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> Tensor:
        """Return [batch, tokens, heads, width] from q [batch, heads, tokens, width] and all pictures' k and v."""
        if not self._sides:
            return self._step(layer, q, scale)
        out = q.new_zeros(1, q.shape[2], q.shape[1], v.shape[3])
        start = at = 0
        for row, side in enumerate(self._sides):
            own = slice(start, start + side.size)
            start += side.size
            if side.states is None or side.sees is None:
                continue
            its = slice(at, at + side.states.shape[0])
            at += side.states.shape[0]
            if self.memory is not None:
                self.memory.fill(layer, self._first + row, k[0, :, its], v[0, :, its])
            out[:, own] = _masked(q[:, :, own], k[:, :, its], v[:, :, its], side.sees, scale)
        return out

    def _step(self, layer: int, q: Tensor, scale: float | None) -> Tensor:
        assert self.memory is not None
        keys, values = self.memory.of(layer)
        sees = self.memory.sees
        blind = ~sees.any(dim=1, keepdim=True)  # a softmax over nothing is no number: see all, then forget it
        out = _masked(q, keys, values, (sees | blind)[:, None, None], scale)
        return out.masked_fill(blind[:, :, None, None], 0)


def _masked(q: Tensor, k: Tensor, v: Tensor, sees: Tensor, scale: float | None) -> Tensor:
    times = q.shape[1] // k.shape[1]
    if times > 1:
        k, v = k.repeat_interleave(times, dim=1), v.repeat_interleave(times, dim=1)
    return scaled_dot_product_attention(q, k, v, attn_mask=sees, scale=scale).transpose(1, 2)
