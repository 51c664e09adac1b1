"""The bundled looker: loads through Auto classes, reads several photos in their order, beside text or without it."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookwise
from lookwise.bazaar import words
from lookwise.bazaar.lexicon import FAMILIES, VALUE_WORDS
from lookwise.training.bundled.looker_card import ask, load, measure_looks, measure_named, measure_photos
from lookwise.training.bundled.seeds import EVALUATION, TRAINING, evaluation_seed
from lookwise.training.bundled.shots import shots

FOLDER = Path(lookwise.__file__).parent / "models" / "tiny" / "looker"
Loaded = tuple[Any, Any]
GUESSED, ALONE = 0.2, 0.8
"""Shares of right colours at the least, where a guess is right in a tenth: of one of two things, and of a text."""


@pytest.fixture(scope="module")
def looker() -> Loaded:
    return load(FOLDER)


def test_it_is_small_plain_and_has_a_card() -> None:
    card = json.loads((FOLDER / "card.json").read_text("utf-8"))
    assert not card["quick"]
    assert card["class"] == "LlavaForConditionalGeneration"
    assert card["seed"] in TRAINING
    assert card["evaluation_seed"] in EVALUATION
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) < 4_000_000
    assert not list(FOLDER.glob("*.py"))
    assert not re.search(r'": "/', (FOLDER / "config.json").read_text("utf-8"))
    assert card["photos"]["category"][0] >= 0.85
    assert card["photos"]["colour"][0] >= 0.9


def test_all_bundled_models_together_stay_small() -> None:
    assert sum(f.stat().st_size for f in FOLDER.parent.rglob("*") if f.is_file()) < 40_000_000


def test_unseen_photos_and_questions_are_answered_as_the_card_says(looker: Loaded) -> None:
    card = json.loads((FOLDER / "card.json").read_text("utf-8"))
    model, processor = looker
    raw, views = shots(120, f"test/{evaluation_seed(4)}")
    photos = [(Image.fromarray(one), view) for one, view in zip(raw, views, strict=True)]
    named = measure_photos(model, processor, photos)
    for name in ("category", "colour", "mark", "count", "hidden"):
        assert named[name][0] == pytest.approx(card["photos"][name][0], abs=0.15), name
    found = measure_looks(model, processor.tokenizer, raw, views, 480, FAMILIES, evaluation_seed(5))
    for kind in ("agree", "compare", "find"):
        assert found[kind][0] == pytest.approx(card["unseen"][kind][0], abs=0.15), (kind, found[kind])


def test_of_two_things_the_named_one_is_told_as_often_as_the_card_says(looker: Loaded) -> None:
    card = json.loads((FOLDER / "card.json").read_text("utf-8"))
    raw, views = shots(120, f"test/{evaluation_seed(4)}")
    photos = [(Image.fromarray(one), view) for one, view in zip(raw, views, strict=True)]
    found = measure_named(*looker, photos, evaluation_seed(6), count=100)
    assert set(found) == set(card["named"])
    for name, (share, _) in found.items():
        assert share > GUESSED, name
        assert share == pytest.approx(card["named"][name][0], abs=0.15), name


def test_text_is_read_without_photos(looker: Loaded) -> None:
    rng = random.Random(2)
    told = [rng.choice(list(VALUE_WORDS["colour"])) for _ in range(60)]
    titles = [f"title: {words.title({'colour': value}, rng, rng.choice(FAMILIES))}\n" for value in told]
    said = ask(*looker, [((), f"{title}title: colour?") for title in titles])
    assert sum(a == b for a, b in zip(said, told, strict=True)) / len(told) > ALONE


def test_quick_form_trains_a_loadable_looker(tmp_path: Path) -> None:
    from lookwise.training.bundled.looker import train_looker

    first = train_looker(tmp_path / "first", quick=True)
    second = train_looker(tmp_path / "second", quick=True)
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert not re.search(r'": "[^"]*/', (first / "config.json").read_text("utf-8"))
    card = json.loads((first / "card.json").read_text("utf-8"))
    assert card["quick"]
    assert "learned nothing" in (first / "card.md").read_text("utf-8")
    assert len(ask(*load(first), [((Image.new("RGB", (90, 128)),) * 2, "photo one: colour?")])) == 1
