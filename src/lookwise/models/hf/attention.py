"""Attention over packed rows: no padding where tokens are computed, each row seeing itself alone.

In: queries, keys and values of one layer, and a plan that knows the rows.  Out: what transformers' attention interface
expects.  `Packed` is the first pass over whole prompts (and, behind each prompt, the nodes of its options' tree; before
it, at times, the beginning that it shares with others);
`Step` is one further token of every row against a `Memory` of keys and values.  Everything but attention treats tokens
one by one, so a model computes for a pack of rows exactly what it computes for each row alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from lookwise.models.hf.cross import Glances, SideMemory

__all__ = ["ATTENTION", "Memory", "Packed", "Plan", "Span", "Step", "register"]

ATTENTION = "lookwise"
"""The name under which transformers finds `attend`."""


class Plan(Protocol):
    """Which tokens see which; `glances` attend in layers that see pictures and no tokens, where there are any."""

    glances: Glances | None

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None) -> Tensor:
        """Return attention's output [batch, tokens, heads, width] from q, k, v [batch, heads, tokens, width]."""

    def attend_wanted(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        """Return the output [wanted, heads, width] of those tokens alone whose logits are wanted; q is theirs alone."""

    def fold(self, x: Tensor) -> Tensor:
        """Return [tokens, heads, width] as [batch, heads, tokens, width]."""


@dataclass(frozen=True, slots=True)
class Span:
    """A row in a pack: where it starts, its prompt's length there, and which of itself each node of its tree sees.

    `stem` is the beginning that it shares with other rows; it stands elsewhere in the pack, and the row sees all of it.
    `sees` is bool [nodes, stem + prompt + nodes], None for a row without nodes; `positions` [stem + prompt + nodes]
    then tells how far apart two tokens are, for layers that see a window only.
    """

    start: int
    prompt: int
    sees: Tensor | None = None
    positions: Tensor | None = None
    stem: Span | None = None

    @property
    def nodes(self) -> int:
        """The number of nodes behind the prompt."""
        return 0 if self.sees is None else self.sees.shape[0]

    @property
    def middle(self) -> int:
        """Where the prompt ends in the pack, and nodes begin."""
        return self.start + self.prompt

    @property
    def shared(self) -> int:
        """How many tokens its stem has."""
        return 0 if self.stem is None else self.stem.prompt

    def seen(self, x: Tensor, end: int) -> Tensor:
        """Return of x [batch, heads, tokens, width] what the row sees up to `end`: its stem, then itself."""
        own = x[:, :, self.start : end]
        return own if self.stem is None else torch.cat((x[:, :, self.stem.start : self.stem.middle], own), dim=2)

    def visible(self, window: int | None) -> Tensor | None:
        """Return what each node sees in a layer of this window."""
        if self.sees is None or self.positions is None or window is None:
            return self.sees
        asking = self.positions[self.shared + self.prompt :, None]
        return self.sees & (asking - self.positions[None] < window)


class Memory:
    """Keys and values of a batch of rows, layer by layer: [rows, heads, columns, width], each row from column 0.

    `side` are those of pictures that are looked at from the side.
    """

    def __init__(self, rows: int, columns: int, side: SideMemory | None = None) -> None:
        self.rows, self.columns, self.side = rows, columns, side
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def fill(self, layer: int, row: int, k: Tensor, v: Tensor) -> None:
        """Store a prompt's keys and values [heads, tokens, width]."""
        for store, new in ((self._keys, k), (self._values, v)):
            if layer not in store:
                # Zeros, not garbage: a masked column still takes part in a product with zero.
                store[layer] = new.new_zeros(self.rows, new.shape[0], self.columns, new.shape[2])
            store[layer][row, :, : new.shape[1]] = new

    def append(self, layer: int, k: Tensor, v: Tensor, at: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Store one token of every row at its column `at`; return keys and values up to `width` columns."""
        rows = torch.arange(self.rows, device=k.device)
        for store, new in ((self._keys, k), (self._values, v)):
            if store[layer].shape[2] < width:
                store[layer] = torch.nn.functional.pad(store[layer], (0, 0, 0, max(32, width // 4)))
            store[layer][rows, :, at] = new[:, :, 0]
        return self._keys[layer][:, :, :width], self._values[layer][:, :, :width]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.rows = int(rows.numel())
        if self.side is not None:
            self.side.keep(rows)
        for store in (self._keys, self._values):
            for layer, tensor in store.items():
                store[layer] = tensor.index_select(0, rows)


class Packed:
    """Rows end to end in one sequence; with a `memory`, the prompts' keys and values are kept, from row `first` on.

    `stems` are the beginnings that spans share: they attend for themselves, and no logits are wanted of them.
    """

    def __init__(
        self,
        spans: Sequence[Span],
        memory: Memory | None = None,
        first: int = 0,
        *,
        padded: bool = False,
        glances: Glances | None = None,
        stems: Sequence[Span] = (),
    ) -> None:
        self.spans, self.memory, self.first, self.glances = spans, memory, first, glances
        self.stems = stems
        self._gather: tuple[Tensor, Tensor] | None = None
        self._padded = padded

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None) -> Tensor:
        """Attend row by row, or with padding in attention alone where kernels are dear to start (CUDA)."""
        out = q.new_empty(1, q.shape[2], q.shape[1], v.shape[3])
        if self._padded:
            self._all_prompts(out, q, k, v, scale, window)
        else:
            for span in (*self.stems, *self.spans):
                own = slice(span.start, span.middle)
                keys, values = span.seen(k, span.middle), span.seen(v, span.middle)
                out[:, own] = _causal(q[:, :, own], keys, values, scale, window)
        for row, span in enumerate(self.spans):
            self._remember(layer, row, span, k, v)
            sees = span.visible(window)
            if sees is not None:
                end = span.middle + span.nodes
                asking = q[:, :, span.middle : end]
                out[:, span.middle : end] = _masked(asking, span.seen(k, end), span.seen(v, end), scale, sees)
        return out

    def attend_wanted(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        """Attend from each prompt's last token, and from the nodes behind it."""
        found: list[Tensor] = []
        at = 0
        for row, span in enumerate(self.spans):
            self._remember(layer, row, span, k, v)
            back = slice(None if window is None else -window, None)
            keys, values = (span.seen(x, span.middle)[:, :, back] for x in (k, v))
            found.append(_masked(q[:, :, at : at + 1], keys, values, scale, None)[0])
            sees = span.visible(window)
            if sees is not None:
                asking, end = q[:, :, at + 1 : at + 1 + span.nodes], span.middle + span.nodes
                found.append(_masked(asking, span.seen(k, end), span.seen(v, end), scale, sees)[0])
            at += 1 + span.nodes
        return torch.cat(found)

    def fold(self, x: Tensor) -> Tensor:
        """One batch of all tokens."""
        return x.transpose(0, 1)[None]

    def _remember(self, layer: int, row: int, span: Span, k: Tensor, v: Tensor) -> None:
        if self.memory is not None:
            self.memory.fill(layer, self.first + row, span.seen(k, span.middle)[0], span.seen(v, span.middle)[0])

    def _all_prompts(
        self, out: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
    ) -> None:
        """Attend in all prompts at once, padded on the right, where a causal mask hides the padding by itself.

        A stem stands before each of its rows here, so that all are causal alike; what it attends to is kept once.
        """
        if self._gather is None:
            self._gather = self._indices(q.device)
        take, own = self._gather
        rows, longest = take.shape

        def spread(x: Tensor) -> Tensor:
            return x[0][:, take.reshape(-1)].reshape(x.shape[1], rows, longest, x.shape[3]).transpose(0, 1)

        found = _causal(spread(q), spread(k), spread(v), scale, window).reshape(rows * longest, *out.shape[2:])
        out[0, take.reshape(-1)[own]] = found[own]

    def _indices(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return each row's places in the pack, stem first [rows, longest], and which of them, flat, are its own."""
        rows = (*self.stems, *self.spans)
        own, shared, starts, stems = (
            torch.tensor(numbers, device=device)[:, None]
            for numbers in (
                [row.prompt for row in rows],
                [row.shared for row in rows],
                [row.start for row in rows],
                [0 if row.stem is None else row.stem.start for row in rows],
            )
        )
        columns = torch.arange(int((own + shared).max()), device=device)[None]
        last = shared + own - 1
        take = torch.where(columns < shared, stems + columns, starts + torch.minimum(columns, last) - shared)
        return take, ((columns >= shared) & (columns <= last)).reshape(-1)


class Step:
    """One further token of every row; `lengths` counts the tokens that each row has in memory already."""

    def __init__(self, memory: Memory, lengths: Tensor, longest: int, *, glances: Glances | None = None) -> None:
        self._memory, self._lengths, self._width, self.glances = memory, lengths, longest + 1, glances
        self._masks: dict[int | None, Tensor] = {}

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None) -> Tensor:
        """Attend to everything in memory, and to the new token itself."""
        keys, values = self._memory.append(layer, k, v, self._lengths, self._width)
        rows, heads, _, width = q.shape
        groups = keys.shape[1]
        mask = self._mask(q, window)
        # With one query a group of query heads is a run of queries: keys need not be repeated for each head.
        out = scaled_dot_product_attention(
            q.reshape(rows, groups, heads // groups, width), keys, values, attn_mask=mask, scale=scale
        )
        return out.reshape(rows, 1, heads, values.shape[3])

    def attend_wanted(
        self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None
    ) -> Tensor:
        """Every row's new token is wanted."""
        return self.attend(layer, q, k, v, scale, window)[:, 0]

    def fold(self, x: Tensor) -> Tensor:
        """One batch entry for each row, of one token."""
        return x[:, :, None]

    def _mask(self, q: Tensor, window: int | None) -> Tensor:
        if window not in self._masks:
            columns = torch.arange(self._width, device=q.device)[None]
            seen = columns <= self._lengths[:, None]
            if window is not None:
                seen &= columns > self._lengths[:, None] - window
            mask = q.new_zeros(seen.shape).masked_fill_(~seen, float("-inf"))
            self._masks[window] = mask[:, None, None]
        return self._masks[window]


def _causal(q: Tensor, k: Tensor, v: Tensor, scale: float | None, window: int | None) -> Tensor:
    """Return [rows, tokens, heads, width] of causal attention, within the last `window` tokens where one is given.

    Of more keys than queries the queries are the last ones.
    """
    before = k.shape[2] - q.shape[2]
    if not before and (window is None or k.shape[2] <= window):
        out = scaled_dot_product_attention(q, _repeat(k, q), _repeat(v, q), is_causal=True, scale=scale)
        return out.transpose(1, 2)
    columns = torch.arange(k.shape[2], device=q.device)
    back = columns[before:, None] - columns[None]
    return _masked(q, k, v, scale, back >= 0 if window is None else (back >= 0) & (back < window))


def _masked(q: Tensor, k: Tensor, v: Tensor, scale: float | None, sees: Tensor | None) -> Tensor:
    out = scaled_dot_product_attention(q, _repeat(k, q), _repeat(v, q), attn_mask=sees, scale=scale)
    return out.transpose(1, 2)


def _repeat(x: Tensor, q: Tensor) -> Tensor:
    """Return keys or values once for each query head."""
    times = q.shape[1] // x.shape[1]
    return x if times == 1 else x.repeat_interleave(times, dim=1)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    plan: Plan,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Hand a layer's attention to the plan that came with the call.

    Its signature, the catch-all included, is that of transformers' attention interface.
    """
    del attention_mask
    layer = module.layer_idx
    assert isinstance(layer, int)
    if plan.glances is not None and layer in plan.glances.layers:
        return plan.glances.attend(layer, query, key, value, scaling), None
    return plan.attend(layer, query, key, value, scaling, sliding_window), None


def register() -> None:
    """Make `attend` known to transformers; doing it twice does no harm."""
    AttentionInterface.register(ATTENTION, attend)
