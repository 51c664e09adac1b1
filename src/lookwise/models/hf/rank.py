"""Score options as continuations: one pass over the batch, whatever the options' lengths.

In: rows with their trees of options, in any order.  Out: for each row, each option's sum of log-probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lookwise.models.hf.layout import Row, lay_out, packs
from lookwise.models.hf.network import Network
from lookwise.models.hf.stems import ordered

__all__ = ["rank"]


def rank(network: Network, rows: Sequence[Row]) -> list[list[float]]:
    """Return the options' sums of log-probabilities (nats), row by row in order."""
    order = ordered(rows, lambda row: row.size)
    scores: list[list[float]] = [[] for _ in rows]
    for run in packs([rows[i] for i in order], network.pack_tokens):
        members = [order[i] for i in run]
        for i, found in zip(members, _score(network, [rows[i] for i in members]), strict=True):
            scores[i] = found
    return scores


def _score(network: Network, rows: Sequence[Row]) -> list[list[float]]:
    """Score one pack.  Logits are wanted at each prompt's end and at each node, and nowhere else."""
    pack = lay_out(rows, network.device)
    logits = network.pack_logits(pack, network.plan(pack))
    base = 0
    sources: list[int] = []
    tokens: list[int] = []
    sizes: list[list[int]] = []
    for row in rows:
        if row.tree is None:
            raise ValueError("a row to be ranked needs options")
        sources += (base + 1 + node for path in row.tree.paths for node, _ in path)
        tokens += (token for path in row.tree.paths for _, token in path)
        sizes.append([len(path) for path in row.tree.paths])
        base += 1 + len(row.tree.tokens)
    found = _gathered(logits, sources, tokens)
    return [[sum(next(found) for _ in range(size)) for size in row] for row in sizes]


def _gathered(logits: Tensor, sources: Sequence[int], tokens: Sequence[int]) -> Iterator[float]:
    at = torch.tensor(sources, device=logits.device)
    picked = torch.tensor(tokens, device=logits.device)
    norms = torch.logsumexp(logits, dim=-1)
    return iter((logits[at, picked] - norms[at]).double().tolist())
