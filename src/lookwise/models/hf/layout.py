"""Lay requests out for one pass: a tree of options for each prompt, prompts end to end in packs.

In: token ids.  Out: trees, packs of rows, index tensors.  Options that share their first tokens share nodes; the tokens
of a node's children are scored where the node is, so an option's last token is never computed, and options of one token
cost nothing beyond the prompt.  Neighbours that begin alike share that beginning, their stem (stems.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lookwise.models.hf.attention import Span
from lookwise.models.hf.cross import Look, Side
from lookwise.models.hf.stems import groups

__all__ = ["Pack", "Row", "Tree", "lay_out", "packs"]


@dataclass(frozen=True, slots=True)
class Tree:
    """Options as a tree of tokens below the prompt's end.

    `tokens[i]` and `parents[i]` describe node i (parent −1 is the prompt's last token); leaves are no nodes.
    `paths[o]` lists, for each token of option o, the node that it follows and the token itself.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, options: Sequence[Sequence[int]]) -> Tree:
        """Return the tree of some token sequences, none of them empty."""
        tokens: list[int] = []
        parents: list[int] = []
        found: dict[tuple[int, int], int] = {}
        paths = []
        for option in options:
            node, path = -1, []
            for i, token in enumerate(option):
                path.append((node, token))
                if i + 1 < len(option):
                    if (node, token) not in found:
                        found[node, token] = len(tokens)
                        tokens.append(token)
                        parents.append(node)
                    node = found[node, token]
            paths.append(tuple(path))
        return cls(tuple(tokens), tuple(parents), tuple(paths))

    def depths(self) -> list[int]:
        """Return each node's distance from the prompt's last token."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return depths

    def sees(self, prompt: int) -> Tensor | None:
        """Return which prompt tokens and nodes each node sees: bool [nodes, prompt + nodes]."""
        count = len(self.tokens)
        if not count:
            return None
        sees = torch.zeros(count, prompt + count, dtype=torch.bool)
        sees[:, :prompt] = True
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                sees[i] = sees[parent]
            sees[i, prompt + i] = True
        return sees


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt to compute: its tokens, its options if it is to be ranked, and what it shows.

    `features` are pairs of a start and a tensor [tokens, width] that replaces the embeddings there.  `looks` are
    pictures that are looked at from the side (cross.py).  `positions` [3, tokens] are those of the prompt's tokens in
    time, height and width, for models whose positions have these axes and prompts that show something.  `said` are the
    tokens that the tokenizer made, where some of `ids` only hold a picture's place.
    """

    ids: Sequence[int]
    tree: Tree | None = None
    features: tuple[tuple[int, Tensor], ...] = ()
    looks: tuple[Look, ...] = ()
    positions: Tensor | None = None
    said: Sequence[int] | None = None

    @property
    def tokens(self) -> set[int]:
        """The tokens that it holds, each once."""
        return set(self.ids if self.said is None else self.said)

    @property
    def next_position(self) -> int:
        """The position of the token after the prompt."""
        return len(self.ids) if self.positions is None else int(self.positions.max()) + 1

    @property
    def size(self) -> int:
        """Tokens that a pass computes for it."""
        return len(self.ids) + (len(self.tree.tokens) if self.tree else 0)


@dataclass(frozen=True, slots=True)
class Pack:
    """Rows end to end: ids [1, tokens], positions ([1, tokens] or [3, 1, tokens]), spans, where logits are wanted.

    `wanted` lists for each row its prompt's last token, then its nodes; `stems` are what spans share.
    """

    ids: Tensor
    positions: Tensor
    spans: tuple[Span, ...]
    wanted: Tensor
    features: tuple[tuple[int, Tensor], ...] = field(default=())
    sides: tuple[Side, ...] = ()
    stems: tuple[Span, ...] = ()


def packs(rows: Sequence[Row], size: int) -> list[range]:
    """Return runs of rows that hold about `size` tokens each and at least one row."""
    runs: list[range] = []
    start = total = 0
    for i, row in enumerate(rows):
        if i > start and total + row.size > size:
            runs.append(range(start, i))
            start, total = i, 0
        total += row.size
    if rows:
        runs.append(range(start, len(rows)))
    return runs


def lay_out(rows: Sequence[Row], device: torch.device) -> Pack:
    """Return some rows as one pack on a device."""
    made = _Layout(device)
    for members, shared in groups(rows):
        mine = [rows[i] for i in members]
        if shared:
            made.stem(mine[0], shared)
        for row in mine:
            made.row(row, shared)
    flat = all(row.positions is None for row in rows)
    return Pack(
        torch.tensor([made.ids], device=device),
        (torch.tensor([made.columns]) if flat else torch.cat(made.axes, dim=1)[:, None]).to(device),
        tuple(made.spans),
        torch.tensor(made.wanted, device=device),
        tuple(made.features),
        tuple(Side.of(len(row.ids), row.size, row.looks) for row in rows) if any(row.looks for row in rows) else (),
        tuple(made.stems),
    )


class _Layout:
    """A pack in the making; `axes` are the parts of its positions for models whose positions have three axes."""

    def __init__(self, device: torch.device) -> None:
        self.ids: list[int] = []
        self.columns: list[int] = []
        self.axes: list[Tensor] = []
        self.wanted: list[int] = []
        self.spans: list[Span] = []
        self.stems: list[Span] = []
        self.features: list[tuple[int, Tensor]] = []
        self._device = device

    def stem(self, row: Row, shared: int) -> None:
        """Put down what a row and those after it begin with."""
        self.stems.append(Span(len(self.ids), shared))
        self._put(row, 0, shared)

    def row(self, row: Row, shared: int) -> None:
        """Put down a row behind its stem, and the nodes of its options."""
        start, prompt = len(self.ids), len(row.ids)
        stem = self.stems[-1] if shared else None
        self._put(row, shared, prompt)
        if row.tree is not None:
            depths = row.tree.depths()
            self.ids += row.tree.tokens
            self.columns += (prompt - 1 + depth for depth in depths)
            self.axes.append((row.next_position - 1 + torch.tensor(depths, dtype=torch.long)).expand(3, -1))
        sees = row.tree.sees(prompt) if row.tree is not None else None
        if sees is None:
            self.spans.append(Span(start, prompt - shared, stem=stem))
        else:
            positions = torch.tensor([*range(shared), *self.columns[start:]], device=self._device)
            self.spans.append(Span(start, prompt - shared, sees.to(self._device), positions, stem))
        self.wanted += range(start + prompt - shared - 1, len(self.ids))

    def _put(self, row: Row, first: int, end: int) -> None:
        """Put down a part of a prompt."""
        start = len(self.ids) - first
        self.ids += row.ids[first:end]
        self.columns += range(first, end)
        axes = torch.arange(end).expand(3, -1) if row.positions is None else row.positions.cpu()
        self.axes.append(axes[:, first:end])
        self.features += ((start + at, tensor) for at, tensor in row.features if first <= at < end)
