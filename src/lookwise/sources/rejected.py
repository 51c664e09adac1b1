"""A row of somebody's file that cannot become a sample: which one, and why.

Sources yield `Sample | Rejected`, in the order of the file, so that whoever reads counts both and one bad row stops
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rejected"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """`row` counts the file's data from 1 (a CSV's header is not counted); `reason` is one line."""

    row: int
    reason: str
