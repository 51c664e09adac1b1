"""What prompts of a batch have in common at their beginning: computed once, seen by all.

In: rows.  Out: an order in which rows with a common beginning are neighbours, and for a pack of neighbours its groups:
which rows share how many tokens.  Prompts of one task begin with the same instruction; prompts about the same picture
in several contexts begin with that picture, where a template puts it first: a picture is the same where its features
are the same tensor.  Where little is to be saved nothing is shared and rows go by length, as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookwise.models.hf.layout import Row

__all__ = ["groups", "ordered"]

_FEWEST = 16
"""Tokens that a common beginning has at least."""
_PAYS = 0.1
"""Share of all tokens that sharing must save, since attention in parts costs something, too."""

Group = tuple[range, int]
"""Neighbours, and how many tokens they share (0: none)."""


def ordered(rows: Sequence[Row], size: Callable[[Row], int]) -> list[int]:
    """Return the order to compute rows in: neighbours share most; by falling size where sharing does not pay."""
    signs = _signs(rows)
    if signs is not None:
        order = sorted(range(len(rows)), key=lambda i: signs[i])
        if _saved(_grouped([signs[i] for i in order], [rows[i] for i in order])) >= _PAYS * _total(rows):
            return order
    return sorted(range(len(rows)), key=lambda i: -size(rows[i]))


def groups(rows: Sequence[Row]) -> list[Group]:
    """Return the groups of some rows in their order; each row in a group of its own, sharing nothing, if none pays."""
    signs = _signs(rows)
    found = [] if signs is None else _grouped(signs, rows)
    if not found or _saved(found) < _PAYS * _total(rows):
        return [(range(i, i + 1), 0) for i in range(len(rows))]
    return found


def _signs(rows: Sequence[Row]) -> list[list[int]] | None:
    """Return the rows' tokens, a picture's places by its number in the batch; None where a row looks from the side.

    Numbers are those of first appearance, so that the order depends on the requests alone.
    """
    if len(rows) < 2 or any(row.looks for row in rows):
        return None
    numbers: dict[int, int] = {}
    signs = []
    for row in rows:
        sign = list(row.ids)
        for at, tensor in row.features:
            number = numbers.setdefault(id(tensor), len(numbers))
            sign[at : at + tensor.shape[0]] = [-1 - number] * tensor.shape[0]
        signs.append(sign)
    return signs


def _grouped(signs: Sequence[Sequence[int]], rows: Sequence[Row]) -> list[Group]:
    """Return runs of neighbours; a row joins the run before it unless that would leave the run less to share."""
    found: list[Group] = []
    start, shared = 0, 0
    for i in range(1, len(signs)):
        common = _common(signs[i - 1], signs[i], rows[i])
        joined = common if i - start == 1 else min(common, shared)
        if joined < _FEWEST or (i - start) * joined < (i - start - 1) * shared:
            found.append((range(start, i), shared if i - start > 1 else 0))
            start, shared = i, 0
        else:
            shared = joined
    if signs:
        found.append((range(start, len(signs)), shared if len(signs) - start > 1 else 0))
    return found


def _common(one: Sequence[int], other: Sequence[int], row: Row) -> int:
    """Return how many tokens two prompts share: of neither all, and of a picture all or nothing."""
    most = min(len(one), len(other)) - 1
    count = next((i for i in range(most) if one[i] != other[i]), most)
    return next((at for at, tensor in row.features if at < count < at + tensor.shape[0]), count)


def _saved(found: Sequence[Group]) -> int:
    return sum((len(members) - 1) * shared for members, shared in found)


def _total(rows: Sequence[Any]) -> int:
    return sum(len(row.ids) for row in rows)
