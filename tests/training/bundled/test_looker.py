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
from lookwise.bazaar.lexicon import FAMILIES
from lookwise.training.bundled.looker_card import ask, load, measure_looks, measure_photos
from lookwise.training.bundled.seeds import EVALUATION, TRAINING, evaluation_seed
from lookwise.training.bundled.shots import shots

FOLDER = Path(lookwise.__file__).parent / "models" / "tiny" / "looker"
Loaded = tuple[Any, Any]
PAIRS, BESIDE, ALONE = 0.25, 0.3, 0.8
"""Shares of right colours at the least, where guessing gives a tenth: of two photos, of one beside text, of text."""


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


def _photos(count: int) -> list[tuple[Image.Image, str]]:
    """Return unseen photos that show a colour, and the colour."""
    raw, views = shots(count, f"test/{evaluation_seed(4)}")
    return [(Image.fromarray(one), view.colour) for one, view in zip(raw, views, strict=True) if view.colour]


def _share(said: list[str], known: list[str]) -> float:
    return sum(a == b for a, b in zip(said, known, strict=True)) / len(known)


def test_several_photos_are_told_apart_by_their_order(looker: Loaded) -> None:
    rng, photos = random.Random(1), _photos(120)
    pairs = [rng.sample(photos, 2) for _ in range(60)]
    for place, name in enumerate(("photo one", "photo two")):
        said = ask(*looker, [([image for image, _ in pair], f"{name}: colour?") for pair in pairs])
        assert _share(said, [pair[place][1] for pair in pairs]) > PAIRS, name


def test_text_is_read_without_photos_and_beside_them(looker: Loaded) -> None:
    rng, photos = random.Random(2), _photos(120)
    both = [(*rng.choice(photos), rng.choice(photos)[1]) for _ in range(60)]
    titles = [f"title: {words.title({'colour': told}, rng, rng.choice(FAMILIES))}\n" for _, _, told in both]
    beside = zip(both, titles, strict=True)
    asked = [((image,), title) for (image, _, _), title in beside]
    seen, told = [colour for _, colour, _ in both], [colour for _, _, colour in both]
    assert _share(ask(*looker, [(image, f"{title}photo: colour?") for image, title in asked]), seen) > BESIDE
    assert _share(ask(*looker, [(image, f"{title}title: colour?") for image, title in asked]), told) > BESIDE
    assert _share(ask(*looker, [((), f"{title}title: colour?") for title in titles]), told) > ALONE


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
