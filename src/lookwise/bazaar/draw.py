"""Photos of the generated shop: what a `View` shows, drawn with Pillow in a varied pose, scene and light.

In: a `View`, a seed, a size in pixels.  Out: an RGB picture, the same bytes for the same arguments (and versions of
Pillow and numpy).  It knows neither the product, nor why a photo misleads, nor any word about it.

The seed decides scene, layout, pose, light and noise; the view decides what lies in the scene.  All is painted at twice
the size and reduced.  A view without pattern (detail not visible) is one piece with a wide grey sleeve over its
middle: outline and colour are all that is seen.  A blank view is an empty grey placeholder.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookwise.bazaar.outline import Point, Shape
from lookwise.bazaar.shapes import MARK_SHAPES, SHAPES
from lookwise.bazaar.world import View

__all__ = [
    "PALETTE",
    "SUPER",
    "Colour",
    "Pose",
    "draw",
    "expose",
    "ink_of",
    "mix",
    "paint_tag",
    "pattern_mask",
    "scene",
]

Colour = tuple[int, int, int]

PALETTE: dict[str, Colour] = {
    "red": (205, 30, 35), "orange": (245, 130, 15), "yellow": (250, 218, 40), "green": (45, 155, 60),
    "blue": (35, 85, 205), "purple": (120, 45, 160), "pink": (250, 135, 185), "brown": (120, 70, 35),
    "black": (32, 32, 36), "white": (248, 248, 246),
}  # fmt: skip
"""Each colour in neutral light."""
_DARK_COLOURS = ("red", "green", "blue", "purple", "brown", "black")
_NEUTRAL: dict[str, Colour] = {"dark": (70, 70, 74), "light": (222, 221, 216), "leaf": (84, 102, 84)}
SUPER = 2
"""Pixels are painted at this multiple of the size, then reduced."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the brand's tag and the pieces lie (0-1), and half the extent of a piece."""

    tag: Point
    pieces: tuple[Point, ...]
    half: float


_LAYOUTS: dict[int, tuple[_Layout, ...]] = {
    1: (_Layout((0.18, 0.18), ((0.55, 0.55),), 0.38),),
    2: (
        _Layout((0.18, 0.18), ((0.28, 0.70), (0.71, 0.30)), 0.265),
        _Layout((0.5, 0.16), ((0.26, 0.62), (0.74, 0.62)), 0.24),
    ),
    3: (
        _Layout((0.17, 0.17), ((0.64, 0.26), (0.26, 0.73), (0.74, 0.74)), 0.225),
        _Layout((0.5, 0.16), ((0.20, 0.45), (0.5, 0.76), (0.80, 0.45)), 0.2),
    ),
    4: (
        _Layout((0.5, 0.5), ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)), 0.225),
        _Layout((0.15, 0.5), ((0.44, 0.26), (0.80, 0.26), (0.44, 0.74), (0.80, 0.74)), 0.19),
    ),
}
_TAG_HALF = 0.155
_LARGEST = 0.38


@dataclass(frozen=True, slots=True)
class Pose:
    """How shape coordinates become pixels: a turn, a mirror, a scale, a place."""

    x: float
    y: float
    scale: float
    degrees: float = 0.0
    mirror: bool = False

    def place(self, points: Sequence[Point]) -> list[Point]:
        """Return the points in pixels."""
        side = -self.scale if self.mirror else self.scale
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return [
            (self.x + side * px * cos - self.scale * py * sin, self.y + side * px * sin + self.scale * py * cos)
            for px, py in points
        ]


def draw(view: View, seed: int, size: int = 128, angle: int | None = None) -> Image.Image:
    """Return the photo.  `angle` (degrees, clockwise) sets the turn of every piece; None leaves it to the seed."""
    rng = random.Random(seed)
    canvas = _placeholder(rng, size * SUPER) if view.blank else scene(rng, size * SUPER)
    if not view.blank:
        _fill_scene(canvas, view, rng, angle)
    return expose(canvas.reduce(SUPER), rng)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return a with `share` of b."""
    red, green, blue = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


# Scenes ---------------------------------------------------------------------------------------------------------------


def _placeholder(rng: random.Random, side: int) -> Image.Image:
    """Return an empty grey gradient: what a shop shows where it has no photo."""
    top, bottom = rng.randint(150, 215), rng.randint(150, 215)
    small = Image.new("RGB", (2, 2), (top, top, top + 3))
    small.paste((bottom, bottom, bottom + 3), (0, 1, 2, 2))
    return small.resize((side, side), Image.Resampling.BILINEAR)


def _tone(rng: random.Random) -> Colour:
    """Return a dull background colour."""
    base = rng.randint(135, 225)
    return base + rng.randint(-22, 22), base + rng.randint(-22, 22), base + rng.randint(-22, 22)


def scene(rng: random.Random, side: int) -> Image.Image:
    """Return a background: plain, graded, a table top, cloth or planks."""
    kind, first, second = rng.choice(("plain", "gradient", "table", "cloth", "planks")), _tone(rng), _tone(rng)
    canvas = Image.new("RGB", (side, side), first)
    if kind == "gradient":
        small = Image.new("RGB", (2, 2), first)
        small.paste(second, rng.choice(((0, 0, 1, 2), (0, 0, 2, 1), (0, 0, 1, 1))))
        canvas = small.resize((side, side), Image.Resampling.BILINEAR)
    elif kind == "table":
        left, right = (side * rng.uniform(0.35, 0.75) for _ in range(2))
        ImageDraw.Draw(canvas).polygon([(0, left), (side, right), (side, side), (0, side)], fill=second)
    elif kind in ("cloth", "planks"):
        grid = (9, 9) if kind == "cloth" else (1, 7)
        tints = Image.new("RGB", grid)
        tints.putdata([mix(first, second, rng.uniform(0, 0.5)) for _ in range(grid[0] * grid[1])])
        soft = Image.Resampling.BICUBIC if kind == "cloth" else Image.Resampling.NEAREST
        canvas = tints.resize((side, side), soft)
    return canvas


def expose(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Return the picture under this photo's light: blur, contrast, brightness, a slight tint, sensor noise."""
    blur = rng.uniform(-0.5, 0.7)
    if blur > 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(blur * picture.width / 128))
    contrast, light = rng.uniform(0.85, 1.1), rng.uniform(0.84, 1.1)
    tint = np.array([rng.uniform(0.96, 1.04) for _ in range(3)], dtype=np.float32)
    grain = np.random.default_rng(rng.getrandbits(32)).standard_normal(
        (picture.height, picture.width, 1), dtype=np.float32
    )
    pixels = np.asarray(picture, dtype=np.float32)
    pixels = ((pixels - 128) * contrast + 128) * (light * tint) + grain * rng.uniform(1, 7)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


# Pieces ---------------------------------------------------------------------------------------------------------------


def _fill_scene(canvas: Image.Image, view: View, rng: random.Random, angle: int | None) -> None:
    """Paint the pieces and the brand's tag."""
    side = canvas.width
    layout = rng.choice(_LAYOUTS[view.count or 1])
    flips = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.5
    shrink = rng.uniform(0.88, 1.0)
    shift = rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02)

    def place(point: Point, jitter: float) -> Point:
        x, y = point if not flips[2] else (point[1], point[0])
        x, y = (1 - x if flips[0] else x), (1 - y if flips[1] else y)
        return (
            side * (x + shift[0] + rng.uniform(-jitter, jitter)),
            side * (y + shift[1] + rng.uniform(-jitter, jitter)),
        )

    turn, mirror = rng.uniform(-18, 18), rng.random() < 0.4
    for point in layout.pieces:
        x, y = place(point, 0.015)
        degrees = float(angle) if angle is not None else turn + rng.uniform(-6, 6)
        _paint_piece(canvas, view, Pose(x, y, side * layout.half * shrink, degrees, mirror), rng)
    if view.mark is not None:
        x, y = place(layout.tag, 0.01)
        paint_tag(canvas, view.mark, Pose(x, y, side * _TAG_HALF * rng.uniform(0.92, 1.08), rng.uniform(-14, 14)), rng)


def _paint_piece(canvas: Image.Image, view: View, pose: Pose, rng: random.Random) -> None:
    """Paint one piece on a tile of its own, then lay the tile on the canvas through its outline."""
    assert view.category is not None
    assert view.colour is not None
    shape, reach = SHAPES[view.category], math.ceil(pose.scale * 1.45)
    corner = round(pose.x) - reach, round(pose.y) - reach
    local = Pose(pose.x - corner[0], pose.y - corner[1], pose.scale, pose.degrees, pose.mirror)
    coarse = math.sqrt(_LARGEST * canvas.width / pose.scale)  # details grow on small pieces, so that all stay legible
    tile = Image.new("RGB", (2 * reach, 2 * reach))
    outline, body = Image.new("L", tile.size), Image.new("L", tile.size)
    _paint_parts((tile, outline, body), shape, view.colour, local)
    ink = ink_of(view.colour)
    if view.pattern not in (None, "plain"):
        mask = ImageChops.darker(pattern_mask(str(view.pattern), tile.size, local, coarse, rng), body)
        tile.paste(ink, (0, 0), mask)
        _paint_details(tile, shape, local)
    if view.damage == "scratched":
        _scratch(tile, shape, view.colour, local, coarse, rng)
    elif view.damage == "broken":
        _break(tile, outline, shape, local, coarse, rng)
    if view.pattern is None:
        _cover(tile, outline, local, rng)
    canvas.paste(tile, corner, outline)


def _paint_parts(layers: tuple[Image.Image, Image.Image, Image.Image], shape: Shape, colour: str, pose: Pose) -> None:
    """Paint every part on the tile, its outline, and the mask of what takes a pattern."""
    tile, outline, body = (ImageDraw.Draw(layer) for layer in layers)
    base = PALETTE[colour]
    paints = {**_NEUTRAL, "body": base, "trim": mix(base, (0, 0, 0), 0.22), "hole": (0, 0, 0)}
    edge = mix(base, (20, 20, 22), 0.75) if colour != "black" else (0, 0, 0)
    rim = max(1, round(pose.scale * 0.045))
    for part in shape.parts:
        points = pose.place(part.points)
        if part.width:
            width = max(1, round(part.width * pose.scale))
            if part.role != "dark":
                for layer, paint in ((tile, edge), (outline, 255)):
                    layer.line(points, fill=paint, width=width + 2 * rim, joint="curve")
            for layer, paint in ((tile, paints[part.role]), (outline, 255), (body, 255 * (part.role == "body"))):
                layer.line(points, fill=paint, width=width, joint="curve")
            continue
        tile.polygon(points, fill=paints[part.role], outline=edge, width=rim)
        outline.polygon(points, fill=0 if part.role == "hole" else 255)
        body.polygon(points, fill=255 if part.role == "body" else 0)


def _paint_details(tile: Image.Image, shape: Shape, pose: Pose) -> None:
    """Paint thin dark strokes again, which a pattern would hide."""
    brush = ImageDraw.Draw(tile)
    for part in shape.parts:
        if part.role == "dark" and 0 < part.width < 0.1:
            brush.line(pose.place(part.points), fill=_NEUTRAL["dark"], width=max(1, round(part.width * pose.scale)))


def ink_of(colour: str) -> Colour:
    """Return the pattern's ink: a lighter tone of a dark colour, a darker one of a light colour."""
    if colour in _DARK_COLOURS:
        return mix(PALETTE[colour], (255, 255, 255), 0.55)
    return mix(PALETTE[colour], (0, 0, 0), 0.5)


def pattern_mask(name: str, size: tuple[int, int], pose: Pose, coarse: float, rng: random.Random) -> Image.Image:
    """Return the pattern's mask, turned with the piece."""
    mask = Image.new("L", size)
    brush = ImageDraw.Draw(mask)
    step = rng.uniform(0.28, 0.34) * coarse
    start = rng.uniform(0, step) - 1.2
    marks = [start + i * step for i in range(math.ceil(2.4 / step))]
    width = max(2, round(step * 0.44 * pose.scale))
    for i, a in enumerate(marks):
        if name == "striped":
            brush.line(pose.place([(a, -1.2), (a, 1.2)]), fill=255, width=width)
        elif name == "zigzag":
            run, rise = 0.17 * coarse, 0.13 * coarse
            teeth = [(-1.3 + run * k, a + (rise if k % 2 else -rise)) for k in range(math.ceil(2.6 / run) + 1)]
            brush.line(pose.place(teeth), fill=255, width=max(2, round(width * 0.8)))
        elif name == "checked":
            for j in range(i % 2, len(marks), 2):
                b, c = start + j * step, step
                brush.polygon(pose.place([(a, b), (a + c, b), (a + c, b + c), (a, b + c)]), fill=255)
        else:
            radius = step * 0.31 * pose.scale
            for j, b in enumerate(marks):
                x, y = pose.place([(a + (step / 2 if j % 2 else 0), b)])[0]
                brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask


# Damage and cover -----------------------------------------------------------------------------------------------------


def _scratch(tile: Image.Image, shape: Shape, colour: str, pose: Pose, coarse: float, rng: random.Random) -> None:
    """Paint three jagged, nearly parallel scratches across the body."""
    brush = ImageDraw.Draw(tile)
    turn = rng.uniform(20, 70) * rng.choice((-1, 1))
    frame = Pose(*pose.place([shape.anchor])[0], pose.scale, pose.degrees + turn)
    width = max(2, round(pose.scale * 0.06 * coarse))
    for k in (-1, 0, 1):
        reach, offset = rng.uniform(0.65, 0.85), (k * 0.22 + rng.uniform(-0.03, 0.03)) * coarse
        jags = [(-reach + reach * i / 3, offset + rng.uniform(0.02, 0.06) * coarse * (-1) ** i) for i in range(7)]
        points = frame.place(jags)
        brush.line(points, fill=(25, 22, 22), width=width * 2, joint="curve")
        brush.line(points, fill=(235, 232, 225) if colour != "white" else (120, 110, 105), width=width)


def _break(
    tile: Image.Image, outline: Image.Image, shape: Shape, pose: Pose, coarse: float, rng: random.Random
) -> None:
    """Cut a jagged wedge out of the piece, from its edge to the middle of its body, and darken the broken edge."""
    x, y = pose.place([shape.anchor])[0]
    frame = Pose(x, y, pose.scale, pose.degrees + rng.choice((-55, 55, 125, 235)) + rng.uniform(-15, 15))
    upper = [(-0.1, 0.0), (0.12, 0.16), (0.3, 0.11), (0.5, 0.3), (0.75, 0.24), (1.9, 0.8)]
    wedge = [*upper, *((px, -py * 1.05) for px, py in reversed(upper[1:]))]
    points = frame.place(wedge)
    ImageDraw.Draw(outline).polygon(points, fill=0)
    ImageDraw.Draw(tile).line([*points, points[0]], fill=(18, 16, 16), width=max(3, round(pose.scale * 0.15 * coarse)))
    crack = frame.place([(-0.1, 0.0), (-0.25, 0.1), (-0.36, -0.08), (-0.55, 0.05)])
    ImageDraw.Draw(tile).line(crack, fill=(18, 16, 16), width=max(2, round(pose.scale * 0.08 * coarse)))


def _cover(tile: Image.Image, outline: Image.Image, pose: Pose, rng: random.Random) -> None:
    """Lay a wide grey sleeve over the middle."""
    grey = rng.randint(150, 180)
    half = rng.uniform(0.34, 0.42)
    band = pose.place([(-1.12, -half), (1.12, -half), (1.12, half), (-1.12, half)])
    brush = ImageDraw.Draw(tile)
    brush.polygon(band, fill=(grey, grey, grey + 4), outline=(90, 90, 94), width=max(2, round(pose.scale * 0.05)))
    for y in (-half / 2, half / 2):
        brush.line(pose.place([(-1.0, y), (1.0, y)]), fill=(grey - 25, grey - 25, grey - 22), width=2)
    ImageDraw.Draw(outline).polygon(band, fill=255)


def paint_tag(canvas: Image.Image, mark: str, pose: Pose, rng: random.Random) -> None:
    """Paint the brand's tag: a plate with the mark on it, light on dark or dark on light."""
    ink, ground = ((26, 30, 60), (246, 244, 236)) if rng.random() < 0.6 else ((246, 244, 236), (26, 30, 60))
    brush = ImageDraw.Draw(canvas)
    plate: Sequence[Point] = [(-1, -0.8), (-0.8, -1), (0.8, -1), (1, -0.8), (1, 0.8), (0.8, 1), (-0.8, 1), (-1, 0.8)]
    brush.polygon(pose.place(plate), fill=ground, outline=ink, width=2)
    inner = Pose(pose.x, pose.y, pose.scale * 0.76, pose.degrees)
    for part in MARK_SHAPES[mark]:
        brush.polygon(inner.place(part.points), fill=ink if part.role == "dark" else ground)
