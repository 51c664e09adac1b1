"""The bundled captioner: loads through Auto classes, follows its context, reads pixels and nothing else."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookwise
from lookwise.bazaar import words
from lookwise.bazaar.draw import draw
from lookwise.bazaar.world import VISIBLE, View
from lookwise.training.bundled.captioner_card import Case, captions_of, draw_cases, load, measure
from lookwise.training.bundled.pictures import draw_context
from lookwise.training.bundled.seeds import evaluation_seed

FOLDER = Path(lookwise.__file__).parent / "models" / "tiny" / "captioner"
Loaded = tuple[Any, Any]
PLAIN = "tell what this photo shows"


@pytest.fixture(scope="module")
def captioner() -> Loaded:
    return load(FOLDER)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return draw_cases(120, f"test/{evaluation_seed(1)}")


def test_it_is_small_plain_and_has_a_card() -> None:
    card = json.loads((FOLDER / "card.json").read_text("utf-8"))
    assert not card["quick"]
    assert card["class"] == "LlavaForConditionalGeneration"
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) < 6_000_000
    assert not list(FOLDER.glob("*.py"))
    assert card["unseen"]["all"]["category"]["share"] >= 0.9
    assert card["unseen"]["all"]["colour"]["share"] >= 0.9


def test_unseen_photos_are_described_right_and_the_asked_attribute_comes_first(
    captioner: Loaded, cases: list[Case]
) -> None:
    shares = measure(cases, captions_of(*captioner, [(image, context) for _, image, context in cases]))
    assert {name: shares[name]["share"] for name in ("category", "colour")} == pytest.approx(
        {"category": 1, "colour": 1}, abs=0.1
    )
    assert all(shares[name]["share"] > 0.75 for name in (*VISIBLE, "asked first"))


def test_the_same_photo_in_another_context_is_led_by_another_attribute(captioner: Loaded) -> None:
    photo = draw(View("vase", "blue", "striped", 2, "moon", "intact"), 11)
    asked = ("question: is the pack of four heavy?", "question: how bright is the dotted pattern?")
    contexts = [f"{text}\ntell what this photo shows for the question" for text in asked]
    count, pattern = captions_of(*captioner, [(photo, text) for text in contexts])
    assert words.facts_in(count.split(",")[0]) == {"count": 2}
    assert words.facts_in(pattern.split(",")[0]) == {"pattern": "striped"}


def test_it_cannot_read_the_truth(captioner: Loaded, tmp_path: Path) -> None:
    """Names, encodings and metadata change nothing; swapped pictures swap their captions."""
    views = (View("mug", "red", "plain", 1, "star", "intact"), View("boat", "green", "striped", 3, "bolt", "broken"))
    for name, view in zip(("mug-red.png", "boat-green.png"), views, strict=True):
        draw(view, 5).save(tmp_path / name)

    def captions(*paths: Path) -> list[str]:
        return captions_of(*captioner, [(Image.open(p).convert("RGB"), PLAIN) for p in paths])

    first, second = tmp_path / "mug-red.png", tmp_path / "boat-green.png"
    before = captions(first, second)
    assert before[0] != before[1]
    buffer = io.BytesIO()
    Image.open(first).save(buffer, "PNG", compress_level=0)
    renamed = tmp_path / "boat-green-copy.png"
    renamed.write_bytes(buffer.getvalue())
    assert renamed.read_bytes() != first.read_bytes()
    assert captions(renamed, second) == before
    mug, boat = first.read_bytes(), second.read_bytes()
    first.write_bytes(boat)
    second.write_bytes(mug)
    assert captions(first, second) == before[::-1]


def test_training_sees_the_tokens_that_the_processor_makes(captioner: Loaded) -> None:
    from lookwise.training.bundled.captioner import IMAGE_TOKENS, QUICK, _Teacher, new_processor
    from lookwise.training.bundled.tokens import build_tokenizer

    tokenizer = build_tokenizer()
    teacher = _Teacher(tokenizer, QUICK, evaluation_seed(3), workers=1)
    teacher.rng = random.Random(4)
    ids, targets = teacher.texts([0])
    context = draw_context(random.Random(4))
    for processor in (captioner[1], new_processor(tokenizer)):
        turns = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": context}]},
            {"role": "assistant", "content": words.caption(teacher.views[0], words.lead(context))},
        ]
        text = processor.apply_chat_template(turns, tokenize=False)
        made = processor(images=Image.new("RGB", (128, 128)), text=text, return_tensors="pt")["input_ids"]
        assert made.tolist() == ids.tolist()
    assert (ids == tokenizer.convert_tokens_to_ids("<image>")).sum() == IMAGE_TOKENS
    spoken = tokenizer.decode(targets[0][targets[0] != -100])
    assert spoken == f"{words.caption(teacher.views[0], words.lead(context))} <|end|>"


def test_quick_form_trains_a_loadable_captioner(tmp_path: Path) -> None:
    from lookwise.training.bundled.captioner import train_captioner

    first = train_captioner(tmp_path / "first", quick=True)
    second = train_captioner(tmp_path / "second", quick=True)
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    card = json.loads((first / "card.json").read_text("utf-8"))
    assert card["quick"]
    assert "not fit for use" in (first / "card.md").read_text("utf-8")
    captions = captions_of(*load(first), [(Image.new("RGB", (90, 128)), PLAIN)])
    assert len(captions) == 1
