"""The strokes that the shop's silhouettes are made of: polygons and lines in a box from -1 to 1, with a role.

In: coordinates (x to the right, y down).  Out: `Part` and `Shape` values.  It knows no thing (shapes.py) and no pixel
(draw.py).  A part's role says how it is painted: `body` takes colour and pattern; `trim` a darker tone of the colour;
`dark`, `light` and `leaf` are neutral tones; `hole` lets the background through.  Later parts lie on earlier ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

__all__ = ["Part", "Point", "Role", "Shape", "bent", "blob", "box", "line", "oval", "poly"]

Point = tuple[float, float]
Role = Literal["body", "trim", "dark", "light", "leaf", "hole"]


@dataclass(frozen=True, slots=True)
class Part:
    """A closed polygon (width 0) or an open stroke of that width."""

    role: Role
    points: tuple[Point, ...]
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A thing: its parts, and a point well inside its body, where damage is drawn."""

    parts: tuple[Part, ...]
    anchor: Point = (0.0, 0.0)


def poly(role: Role, *points: Point) -> Part:
    """Return a polygon."""
    return Part(role, points)


def box(role: Role, left: float, top: float, right: float, bottom: float) -> Part:
    """Return an upright box."""
    return Part(role, ((left, top), (right, top), (right, bottom), (left, bottom)))


def oval(role: Role, x: float, y: float, rx: float, ry: float) -> Part:
    """Return an oval, as a polygon of 28 corners."""
    turns = (2 * math.pi * i / 28 for i in range(28))
    return Part(role, tuple((x + rx * math.cos(t), y + ry * math.sin(t)) for t in turns))


def line(role: Role, width: float, *points: Point) -> Part:
    """Return a stroke."""
    return Part(role, points, width)


def bent(role: Role, width: float, *points: Point) -> Part:
    """Return a stroke with its inner corners cut twice, so that it bends softly."""
    for _ in range(2):
        cut: list[Point] = [points[0]]
        for (ax, ay), (bx, by) in pairwise(points):
            cut += [(0.75 * ax + 0.25 * bx, 0.75 * ay + 0.25 * by), (0.25 * ax + 0.75 * bx, 0.25 * ay + 0.75 * by)]
        points = (*cut, points[-1])
    return Part(role, points, width)


def blob(role: Role, *points: Point) -> Part:
    """Return a polygon with its corners cut twice."""
    for _ in range(2):
        cut: list[Point] = []
        for (ax, ay), (bx, by) in zip(points, (*points[1:], points[0]), strict=True):
            cut += [(0.75 * ax + 0.25 * bx, 0.75 * ay + 0.25 * by), (0.25 * ax + 0.75 * bx, 0.25 * ay + 0.75 * by)]
        points = tuple(cut)
    return Part(role, points)
