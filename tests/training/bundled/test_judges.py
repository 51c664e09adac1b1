"""The bundled judges: honest lessons, a training that runs, and checkpoints that vote as their cards say."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from lookwise.bazaar import words
from lookwise.bazaar.cases import TASKS
from lookwise.bazaar.ceiling import Ceiling, utilities
from lookwise.bazaar.samples import make_split, split_world
from lookwise.bazaar.world import View
from lookwise.message import user
from lookwise.model import Rank, Request
from lookwise.models.open import open_model
from lookwise.training.bundled import judges
from lookwise.training.bundled.judge_lessons import Lesson, draw_lessons, misread
from lookwise.training.bundled.judges import JUDGES, balanced_accuracy, train_judge
from lookwise.training.bundled.seeds import EVALUATION, TRAINING, evaluation_seed, training_seed
from lookwise.training.bundled.tokens import build_tokenizer

BUNDLED = Path(judges.__file__).parents[2] / "models" / "tiny"
here = pytest.mark.skipif(
    not all((BUNDLED / name / "card.json").is_file() for name in JUDGES), reason="not trained yet"
)


def test_lessons_ask_the_tiny_prompts_and_say_what_the_truth_says() -> None:
    lessons = list(draw_lessons(training_seed(7), "train", 24, errors=0.0))
    counts = Counter(lesson.task for lesson in lessons)
    assert set(counts) == set(TASKS)
    assert all(lesson.text.endswith("answer yes or no") for lesson in lessons)
    assert all("photo: " in lesson.text for lesson in lessons)
    expected = []
    ceiling = Ceiling(split_world("train"))
    for made in make_split(training_seed(7), "train", 24, TASKS[:-1]):
        rows = utilities(ceiling, made.sample.id, made.drawn)
        expected += [row.label == "helpful" for row in rows if row.slot is not None]
    assert [lesson.helpful for lesson in lessons if lesson.task != TASKS[-1]] == expected
    assert 0 < sum(expected) < len(expected)


def test_misreading_changes_what_is_seen_at_the_stated_rate() -> None:
    view = View("mug", "red", "plain", 2, "star", "intact")
    rng = random.Random(1)
    assert misread(view, 0.0, rng) == view
    drawn = [misread(view, 0.2, rng) for _ in range(500)]
    wrong = sum(v.get(name) != view.get(name) for v in drawn for name in ("category", "colour", "pattern", "mark"))
    assert wrong / 2000 == pytest.approx(0.2, abs=0.04)
    assert misread(View("mug", "red"), 1.0, rng).pattern is None
    assert misread(View(), 1.0, rng) == View()


def test_relations_compare_each_value_with_those_before_it() -> None:
    tokenizer = build_tokenizer()
    text = "title: red cup by velkin\nquery: blue mug\nphoto: photo shows mug, red, star mark, striped"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = judges.relate(ids, judges.value_tokens(tokenizer))
    told = [(tokenizer.convert_ids_to_tokens(i), r) for i, r in zip(ids, found, strict=True) if r >= 0]
    assert told == [
        ("red", 0), ("cup", 0), ("velkin", 0), ("blue", 2), ("mug", 1), ("mug", 1), ("red", 3),
        ("star", 1), ("striped", 0),
    ]  # fmt: skip


def test_judges_differ_and_their_seeds_stay_in_range() -> None:
    assert len({plan.family for plan in JUDGES.values()}) >= 3
    assert len({(plan.width, plan.layers) for plan in JUDGES.values()}) == len(JUDGES)
    seeds = {training_seed(plan.number) for plan in JUDGES.values()}
    assert len(seeds) == len(JUDGES)
    assert seeds <= set(TRAINING)
    assert not set(TRAINING) & set(EVALUATION)


def test_balanced_accuracy_is_the_mean_of_both_recalls() -> None:
    assert (
        balanced_accuracy([True, True, False, False, False, False], [True, False, False, False, False, True]) == 0.625
    )
    assert balanced_accuracy([True, True], [True, True]) is None


@pytest.mark.parametrize(
    "name",
    [n if n == "judge-c" else pytest.param(n, marks=pytest.mark.slow) for n in JUDGES],  # the smallest is quick
)
def test_a_quick_training_writes_a_checkpoint_and_its_card_twice_the_same(name: str, tmp_path: Path) -> None:
    train_judge(name, tmp_path / "one", quick=True)
    train_judge(name, tmp_path / "two", quick=True)
    card = json.loads((tmp_path / "one" / "card.json").read_text())
    assert card["class"].casefold() == f"{JUDGES[name].family}ForCausalLM".casefold()
    assert card["quick"] is True
    assert card["training_seed"] in TRAINING
    assert card["evaluation_seed"] in EVALUATION
    prose = (tmp_path / "one" / "card.md").read_text()
    assert "| all |" in prose
    assert f"bundled {name} --out DIR" in prose
    for file in ("model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.fixture(scope="module")
def lessons() -> list[Lesson]:
    return list(draw_lessons(evaluation_seed(1), "test", 60, 0.04))


def _load(name: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = BUNDLED / name
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)


@here
def test_cards_say_that_every_judge_is_useful_and_none_is_an_oracle() -> None:
    families = set()
    for name in JUDGES:
        card = json.loads((BUNDLED / name / "card.json").read_text())
        assert not card["quick"]
        assert 0.65 <= card["unseen"]["all"] <= 0.95, name
        assert 50_000 <= card["parameters"] <= 400_000
        prose = (BUNDLED / name / "card.md").read_text(encoding="utf-8")
        assert prose == judges._card_text(card), "the words that its training writes, with the command"
        assert f"`python -m lookwise.training.bundled {name} --out DIR`" in prose
        families.add(card["class"])
    assert len(families) >= 3


@here
@pytest.mark.parametrize("name", list(JUDGES))
def test_a_judge_votes_on_unseen_shops_as_its_card_says(name: str, lessons: list[Lesson]) -> None:
    model, tokenizer = _load(name)
    found = judges.measure(model, tokenizer, judges.rows_of(lessons, tokenizer))
    assert 0.65 <= found["all"] <= 0.95


@here
@pytest.mark.parametrize("name", list(JUDGES))
def test_a_judge_opens_by_its_spec_and_votes_the_same(name: str) -> None:
    lessons = list(draw_lessons(evaluation_seed(4), "test", 2, 0.03))[:24]
    judge = open_model(f"tiny:{name}")
    talks = [Request((user(lesson.text),), Rank(("yes", "no"))) for lesson in lessons]
    replies = judge.answer(talks)
    judge.close()
    model, tokenizer = _load(name)
    votes = judges.votes_of(model, tokenizer, judges.rows_of(lessons, tokenizer))
    assert [reply.text for reply in replies] == ["yes" if vote else "no" for vote in votes]
    assert len(set(votes)) == 2


@here
def test_a_judge_answers_in_one_word_and_stops() -> None:
    model, tokenizer = _load("judge-a")
    lesson = next(iter(draw_lessons(evaluation_seed(2), "test", 1, 0.0)))
    talk = [{"role": "user", "content": lesson.text}]
    inputs = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    new = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert tokenizer.decode(new, skip_special_tokens=True).strip() in ("yes", "no")
    assert new[-1] == tokenizer.eos_token_id


@here
@pytest.mark.parametrize("name", list(JUDGES))
def test_nobody_votes_for_a_photo_of_nothing(name: str, lessons: list[Lesson]) -> None:
    model, tokenizer = _load(name)
    blank = [x for x in lessons if words.caption(View()) in x.text]
    assert not any(lesson.helpful for lesson in blank)
    votes = judges.votes_of(model, tokenizer, judges.rows_of(blank, tokenizer))
    assert len(votes) > 15
    assert sum(votes) <= len(votes) / 15
