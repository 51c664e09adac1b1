"""The renderer: deterministic, every attribute visible, blank and hidden views as declared, fast enough."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lookwise.bazaar.draw import PALETTE, draw
from lookwise.bazaar.shapes import MARK_SHAPES, SHAPES
from lookwise.bazaar.world import DEPARTMENTS, MARKS, View, World, draw_product, see

CATEGORIES = [c for row in DEPARTMENTS.values() for c in row]
MUG = View("mug", "red", "plain", 1, "star", "intact")


def difference(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max(axis=2).mean())


def test_tables_cover_the_world() -> None:
    assert set(SHAPES) == set(CATEGORIES)
    assert set(MARK_SHAPES) == set(MARKS)
    assert set(PALETTE) == set(World().domains["colour"])


def test_parts_stay_near_their_box() -> None:
    for name, shape in SHAPES.items():
        assert any(p.role == "body" for p in shape.parts), name
        assert all(max(abs(x), abs(y)) <= 1.13 for p in shape.parts for x, y in p.points), name


@pytest.mark.parametrize("category", CATEGORIES)
def test_same_arguments_give_same_bytes_and_other_seeds_another_photo(category: str) -> None:
    view = replace(MUG, category=category, damage="broken", pattern="zigzag", count=2)
    first = draw(view, 7, 64)
    assert first.mode == "RGB"
    assert first.size == (64, 64)
    assert first.tobytes() == draw(view, 7, 64).tobytes()
    assert difference(first, draw(view, 8, 64)) > 5


@pytest.mark.parametrize(
    "change",
    [
        {"category": "sock"},
        {"colour": "blue"},
        {"pattern": "striped"},
        {"pattern": "dotted"},
        {"pattern": "checked"},
        {"pattern": "zigzag"},
        {"count": 2},
        {"count": 3},
        {"count": 4},
        {"mark": "moon"},
        {"damage": "scratched"},
        {"damage": "broken"},
    ],
    ids=str,
)
def test_each_attribute_changes_the_photo(change: dict[str, str | int]) -> None:
    for seed in range(5):
        assert difference(draw(MUG, seed), draw(replace(MUG, **change), seed)) > 0.4


def test_a_piece_is_its_colour_and_a_pattern_keeps_it() -> None:
    for colour, rgb in PALETTE.items():
        for pattern in ("plain", "striped", "checked"):
            pixels = np.asarray(draw(View("ball", colour, pattern, 1, "ring", "intact"), 3), np.int16)
            near = np.abs(pixels - np.array(rgb)).max(axis=2) < 60
            assert near.mean() > 0.08, (colour, pattern)


def test_hidden_view_is_one_piece_under_a_grey_sleeve() -> None:
    hidden = View("vase", "red")
    for seed in range(5):
        pixels = np.asarray(draw(hidden, seed), np.int16)
        red = (pixels[..., 0] - pixels[..., 1:].max(axis=2)) > 70
        rows = red.sum(axis=1)
        middle = rows.nonzero()[0].mean()
        band = rows[int(middle) - 3 : int(middle) + 3]
        assert red.sum() > 300
        assert band.max() < rows.max()
        assert difference(draw(hidden, seed), draw(replace(hidden, category="lamp"), seed)) > 1


def test_blank_view_is_an_empty_grey_gradient() -> None:
    for seed in range(5):
        pixels = np.asarray(draw(View(), seed), np.float64)
        assert np.ptp(pixels.mean(axis=(0, 1))) < 25
        assert np.abs(np.diff(pixels.mean(axis=(1, 2)))).max() < 6
        assert pixels.mean(axis=2).std(axis=1).max() < 12


def test_angle_turns_every_piece() -> None:
    assert draw(MUG, 3, angle=0).tobytes() == draw(MUG, 3, angle=0).tobytes()
    assert difference(draw(MUG, 3, angle=0), draw(MUG, 3, angle=25)) > 2


def test_a_photo_takes_milliseconds() -> None:
    rng = random.Random(5)
    views = [see(World(), draw_product(World(), rng), "right", rng) for _ in range(40)]
    best = 1.0
    for _ in range(3):
        start = time.process_time()
        for seed, view in enumerate(views):
            draw(view, seed)
        best = min(best, (time.process_time() - start) / len(views))
    assert best < 0.012
