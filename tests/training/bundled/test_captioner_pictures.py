"""What the captioner learns from: photos of its own, labels that cover the world, contexts about other things."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np

from lookwise.bazaar import words
from lookwise.bazaar.world import VISIBLE, View
from lookwise.training.bundled.pictures import CLASSES, SIDE, draw_context, draw_view, labels_of, photos


def test_photos_follow_from_the_stream_alone() -> None:
    pixels, views = photos(12, "here")
    again, same = photos(12, "here")
    assert pixels.shape == (12, SIDE, SIDE, 3)
    assert np.array_equal(pixels, again)
    assert views == same
    assert views[:5] == photos(5, "here")[1]
    assert views != photos(12, "there")[1]


def test_labels_say_what_is_seen() -> None:
    rng = random.Random(0)
    for _ in range(200):
        view = draw_view(rng)
        for name, label in zip(VISIBLE, labels_of(view), strict=True):
            assert CLASSES[name][label] == view.get(name)
    assert labels_of(View()) == [len(values) - 1 for values in CLASSES.values()]


def test_views_are_of_every_kind() -> None:
    rng = random.Random(1)
    views = [draw_view(rng) for _ in range(2000)]
    assert {v.category for v in views} == set(CLASSES["category"])
    assert 0.01 < sum(v.blank for v in views) / 2000 < 0.06
    assert 0.07 < sum(v.pattern is None and not v.blank for v in views) / 2000 < 0.14


def test_contexts_never_use_the_held_out_wording_unless_told_to() -> None:
    trained = {draw_context(random.Random(n)) for n in range(400)}
    stall = {draw_context(random.Random(n), (words.HELD_OUT,)) for n in range(400)}
    openers = ("for you :", "the new", "would you show", "have you got", "it is , as shown ,", "the shop has this :")
    assert not any(opener in text for text in trained for opener in openers)
    assert sum(any(opener in text for opener in openers) for text in stall) > 150


def test_contexts_ask_about_every_visible_attribute_first() -> None:
    firsts = Counter(words.lead(draw_context(random.Random(n)))[:1] for n in range(1000))
    assert {(name,) for name in VISIBLE} <= set(firsts)
    assert () in firsts
