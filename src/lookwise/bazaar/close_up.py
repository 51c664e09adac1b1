"""Draws the photos that only galleries have: a surface close up, and a box.

In: a `View` that shows colour, pattern and damage (a detail), or count and mark (a packaging), a seed, a size.  Out: an
RGB picture.  Any other view is left to draw.py.  The surface fills the picture, so that nobody can tell what it belongs
to; the box bears the brand's tag and as many stickers as it holds pieces.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

from lookwise.bazaar.draw import PALETTE, SUPER, Pose, draw, expose, ink_of, mix, paint_tag, pattern_mask, scene
from lookwise.bazaar.outline import Point
from lookwise.bazaar.world import View

__all__ = ["draw_shot"]

_BOARD = ((176, 134, 88), (190, 152, 106), (158, 118, 74))
_STICKER = (236, 232, 220)


def draw_shot(view: View, seed: int, size: int = 128) -> Image.Image:
    """Return the photo of any view."""
    if view.blank or view.category is not None:
        return draw(view, seed, size=size)
    rng = random.Random(seed)
    canvas = _surface(view, rng, size * SUPER) if view.pattern is not None else _box(view, rng, size * SUPER)
    return expose(canvas.reduce(SUPER), rng)


# ----------------------------------------------------------------------------------------------------------- a surface


def _surface(view: View, rng: random.Random, side: int) -> Image.Image:
    colour, pattern = str(view.colour), str(view.pattern)
    base = PALETTE[colour]
    canvas = Image.new("RGB", (side, side), base)
    turn = rng.uniform(-20, 20)
    pose = Pose(side / 2, side / 2, side * 0.8, turn)
    if pattern != "plain":
        canvas.paste(ink_of(colour), (0, 0), pattern_mask(pattern, canvas.size, pose, rng.uniform(0.75, 0.95), rng))
    _fold(canvas, rng)
    if view.damage == "scratched":
        _scratches(canvas, colour, pose, rng)
    elif view.damage == "broken":
        _crack(canvas, pose, rng)
    return canvas


def _fold(canvas: Image.Image, rng: random.Random) -> None:
    """Darken one corner, as a surface curves away."""
    side = canvas.width
    shade = Image.new("L", (2, 2), 0)
    shade.putpixel((rng.randrange(2), rng.randrange(2)), rng.randint(40, 80))
    canvas.paste((0, 0, 0), (0, 0), shade.resize((side, side), Image.Resampling.BILINEAR))


def _scratches(canvas: Image.Image, colour: str, pose: Pose, rng: random.Random) -> None:
    brush = ImageDraw.Draw(canvas)
    frame = Pose(pose.x, pose.y, pose.scale, pose.degrees + rng.choice((-1, 1)) * rng.uniform(25, 65))
    light = (235, 232, 225) if colour != "white" else (120, 110, 105)
    width = max(2, round(pose.scale * 0.035))
    for k in (-1, 0, 1):
        offset = k * 0.2 + rng.uniform(-0.03, 0.03)
        jags = [(-0.55 + 1.1 * i / 6, offset + rng.uniform(0.01, 0.04) * (-1) ** i) for i in range(7)]
        points = frame.place(jags)
        brush.line(points, fill=(25, 22, 22), width=width * 2, joint="curve")
        brush.line(points, fill=light, width=width)


def _crack(canvas: Image.Image, pose: Pose, rng: random.Random) -> None:
    """Cut a jagged gap from one edge to the middle."""
    frame = Pose(pose.x, pose.y, pose.scale, rng.uniform(0, 360))
    upper: list[Point] = [(-0.15, 0.0), (0.1, 0.07), (0.3, 0.04), (0.5, 0.16), (0.75, 0.12), (1.4, 0.34)]
    gap: Sequence[Point] = [*upper, *((x, -y) for x, y in reversed(upper[1:]))]
    ImageDraw.Draw(canvas).polygon(frame.place(gap), fill=(20, 17, 16), outline=(70, 62, 56), width=3)


# --------------------------------------------------------------------------------------------------------------- a box


def _box(view: View, rng: random.Random, side: int) -> Image.Image:
    canvas = scene(rng, side)
    board = rng.choice(_BOARD)
    pose = Pose(side * rng.uniform(0.48, 0.52), side * rng.uniform(0.5, 0.54), side * 0.42, rng.uniform(-6, 6))
    brush = ImageDraw.Draw(canvas)
    brush.polygon(pose.place([(-1, -0.8), (1, -0.8), (1, 1), (-1, 1)]), fill=board, outline=mix(board, (0, 0, 0), 0.5))
    brush.polygon(pose.place([(-1, -0.8), (-0.82, -1.08), (0.82, -1.08), (1, -0.8)]), fill=mix(board, (0, 0, 0), 0.22))
    brush.polygon(pose.place([(-0.09, -1.08), (0.09, -1.08), (0.09, -0.5), (-0.09, -0.5)]), fill=(214, 196, 150))
    x, y = pose.place([(rng.uniform(-0.25, 0.25), -0.08)])[0]
    paint_tag(canvas, str(view.mark), Pose(x, y, side * 0.15, pose.degrees), rng)
    _stickers(brush, int(view.count or 0), pose)
    return canvas


def _stickers(brush: ImageDraw.ImageDraw, count: int, pose: Pose) -> None:
    """Put one round sticker on the box for each piece in it."""
    for i in range(count):
        x, y = pose.place([((i - (count - 1) / 2) * 0.44, 0.66)])[0]
        radius = pose.scale * 0.16
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_STICKER, outline=(40, 34, 30), width=3)
        inner = radius * 0.45
        brush.ellipse((x - inner, y - inner, x + inner, y + inner), fill=(40, 34, 30))
