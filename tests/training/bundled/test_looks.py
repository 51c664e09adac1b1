"""What the looker is taught: true answers about photos and lines, known words only, and no task's question."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import VALUE_WORDS
from lookwise.bazaar.world import VISIBLE, View, draw_product
from lookwise.benchmarks.utility import JUDGEMENTS
from lookwise.training.bundled.captioner import new_processor
from lookwise.training.bundled.contexts import ATTRIBUTES, Line, all_worlds
from lookwise.training.bundled.instructions import Episode, Turn
from lookwise.training.bundled.looks import Look, LookRows, _worth, draw_look, photo_names
from lookwise.training.bundled.rows import IGNORED
from lookwise.training.bundled.seeds import evaluation_seed
from lookwise.training.bundled.shots import PLACES, Album, draw_shot_view, shots, slot_words
from lookwise.training.bundled.tokens import NAMED_PHOTOS, build_tokenizer

PROMPTS = Path(words.__file__).parents[1] / "benchmarks" / "prompts" / "tiny"


@pytest.fixture(scope="module")
def album() -> Album:
    rng = random.Random(evaluation_seed(3))
    return Album([draw_shot_view(rng) for _ in range(400)])


@pytest.fixture(scope="module")
def looks(album: Album) -> list[Look]:
    rng = random.Random(5)
    return [draw_look(album, rng, (2, 5)) for _ in range(400)]


def test_the_words_of_a_view_stand_in_their_places() -> None:
    whole = View("mug", "red", "striped", 2, "star", "intact")
    assert slot_words(whole)[:7] == ["red", "striped", "two", "star", "striped", "mug", "mug"]
    assert set(slot_words(whole)) == {"red", "striped", "two", "star", "mug", "intact", "shown"}
    close = slot_words(View(colour="red", pattern="plain", damage="broken"))
    assert set(close) == {"red", "plain", "broken", "hidden"}
    assert slot_words(View())[-1] == "blank"
    assert set(slot_words(View())[:-1]) == {"hidden"}
    assert len(slot_words(whole)) == PLACES == 16
    tokenizer = build_tokenizer()
    known = {word for _ in range(300) for word in slot_words(draw_shot_view(random.Random(_)))}
    assert all(len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1 for word in known)


def test_shots_are_of_all_kinds_and_the_same_for_any_number_of_workers(album: Album) -> None:
    kinds = {tuple(name for name in VISIBLE if view.get(name) is not None) for view in album.views}
    assert kinds == {VISIBLE, ("colour", "pattern", "damage"), ("count", "mark"), ("category", "colour"), ()}
    raw, views = shots(6, "looks/test")
    again, same = shots(6, "looks/test", workers=2)
    assert views == same
    assert np.array_equal(raw, again)
    assert raw.shape == (6, 64, 64, 3)


def test_a_like_photo_shares_something(album: Album) -> None:
    rng = random.Random(1)
    for number, view in enumerate(album.views):
        if view != View():
            other = album.views[album.like(number, rng)]
            assert any(view.get(name) is not None and view.get(name) == other.get(name) for name in VISIBLE)


def test_photos_are_lines_that_are_not_written(looks: list[Look], album: Album) -> None:
    assert {len(look.photos) for look in looks} == {1, 2, 3, 4, 5, 6}
    for look in looks:
        assert [line.name for line in look.seen] == list(photo_names(len(look.photos)))
        for line, number in zip(look.seen, look.photos, strict=True):
            view = album.views[number]
            assert dict(line.facts) == {name: view.get(name) for name in VISIBLE if view.get(name) is not None}
            assert line.text not in look.episode.context


def test_answers_follow_from_photos_and_lines(looks: list[Look]) -> None:
    seen = set()
    for look in looks:
        facts = {line.name: line.facts for line in (*look.seen, *look.episode.lines)}
        for turn in look.episode.turns:
            seen.add(turn.kind)
            if turn.kind == "list":
                name = max((n for n in facts if n in turn.question), key=len)
                told = dict(zip(turn.answer.split()[::2], turn.answer.split()[1::2], strict=True))
                expected = {a: VALUE_WORDS[a][v][0] for a, v in facts[name].items() if a in ATTRIBUTES}
                if "mark" in facts[name]:
                    expected["mark"] = str(facts[name]["mark"])
                assert {a: v for a, v in told.items() if v != "unknown"} == expected
            if turn.kind == "where":
                asked, photo, line = re.fullmatch(
                    r"where is the (\w+): (.+) or (.+) or both or neither\?", turn.question
                ).groups()
                attribute = {"brand": "mark", "logo": "mark", "pack": "count"}.get(asked, asked)
                tells = (attribute in facts[photo], attribute in facts[line])
                assert turn.answer == {(1, 1): "both", (0, 0): "neither", (1, 0): photo, (0, 1): line}[tells]
    assert {"find", "compare", "agree", "list", "table", "says", "where", "where all", "worth"} <= seen


def test_a_photo_is_worth_what_it_does_to_the_answer_of_one_who_believes_it() -> None:
    """Every label that a question can get, from the product, what the text tells and what the photo shows."""
    product = draw_product(all_worlds(), random.Random(1), colour="red")
    shows = {value: Line("photo", "", {"colour": value} if value else {}) for value in ("red", "blue", None)}
    tells = {value: Line("title", "", {"colour": value} if value else {}) for value in ("red", None)}
    found = set()
    for (seen, photo), (told, line) in itertools.product(shows.items(), tells.items()):
        for seed in range(60):
            turn = _worth(photo, line, product, random.Random(seed))
            asked = turn.question.split("\n")[0]
            if asked == "question: tell the colour":
                text, both = told == "red", (seen or told) == "red"
            elif word := re.fullmatch(r"question: is (red|blue) so\?", asked):
                text, both = ((one == word[1]) == (word[1] == "red") for one in (told, seen or told))
            else:
                continue
            label = {(0, 1): "A: helpful", (0, 0): "B: ineffective", (1, 1): "C: redundant", (1, 0): "D: misleading"}
            assert turn.answer == label[text, both], (seen, told, asked)
            found.add(turn.answer)
    assert found == set(JUDGEMENTS)


def test_rows_are_what_the_processor_writes(looks: list[Look]) -> None:
    tokenizer = build_tokenizer()
    tokenizer.chat_template = NAMED_PHOTOS
    processor = new_processor(tokenizer)
    rows = LookRows(tokenizer)
    for look in looks[:40]:
        context = f"{look.episode.context}\n" if look.episode.lines else ""
        talk = []
        for turn in look.episode.turns:
            photos = () if talk else look.photos
            text = f"\n{context}{turn.question}" if photos else turn.question
            talk.append(
                {"role": "user", "content": [*({"type": "image"} for _ in photos), {"type": "text", "text": text}]}
            )
            talk.append({"role": "assistant", "content": turn.answer})
        written = processor.apply_chat_template(talk, tokenize=False)
        photo = Image.new("RGB", (80, 60))
        ids = processor(images=[photo] * len(look.photos), text=written, return_tensors="np")["input_ids"][0]
        assert rows.look(look).ids == ids.tolist()


def test_photos_weigh_nothing_and_only_answers_weigh_fully(looks: list[Look]) -> None:
    tokenizer = build_tokenizer()
    rows = LookRows(tokenizer)
    image = tokenizer.convert_tokens_to_ids("<image>")
    told = set()
    for look in looks[:100]:
        row = rows.look(look)
        assert len(row.ids) == len(row.weights) == len(row.agrees) == len(row.names)
        places = [i for i, token in enumerate(row.ids) if token == image]
        assert len(places) == PLACES * len(look.photos)
        assert {row.weights[i] for i in places} == {0.0}
        assert {row.agrees[i] for i in places[:PLACES]} == {IGNORED}
        told |= {row.agrees[i] for i in places[PLACES:]}
        spoken = tokenizer.decode([i for i, w in zip(row.ids, row.weights, strict=True) if w == 1.0])
        answers = " ".join(f"{turn.answer} <|end|>" for turn in look.episode.turns)
        assert spoken.replace(" ", "") == answers.replace("\n", "|").replace(" ", "").lower()
        assert tokenizer.unk_token_id not in row.ids
    assert told == {IGNORED, 0, 1, 2}


def test_a_place_agrees_with_the_photos_before_it_and_knows_its_photos_name() -> None:
    tokenizer = build_tokenizer()
    views = [View("mug", "red", "striped", 2, "star", "intact"), View("mug", "blue", None, None, None, None)]
    album = Album(views)
    lines = tuple(
        Line(name, "", {a: v for a in VISIBLE if (v := view.get(a)) is not None})
        for name, view in zip(photo_names(2), views, strict=True)
    )
    row = LookRows(tokenizer).look(Look((0, 1), lines, Episode((), (Turn("find", "photo two: colour?", "blue"),))))
    image = tokenizer.convert_tokens_to_ids("<image>")
    second = [a for a, token in zip(row.agrees, row.ids, strict=True) if token == image][PLACES:]
    meant = dict(zip(slot_words(album.views[1]), second, strict=True))
    assert meant == {"blue": 2, "mug": 1, "hidden": IGNORED}
    named = [n for n, token in zip(row.names, row.ids, strict=True) if token == image]
    assert tokenizer.convert_ids_to_tokens(named) == ["one"] * PLACES + ["two"] * PLACES


def test_questions_have_known_words_and_are_no_tasks(looks: list[Look]) -> None:
    tokenizer = build_tokenizer()
    task_questions = {f.read_text().strip().split("\n")[-1] for f in (PROMPTS / "answer").glob("*.txt")}
    telling = re.compile(r"substitute|replace|irrelevant|also buy|also view|related|feel|positive|answered|buy next")
    for look in looks:
        for turn in look.episode.turns:
            assert turn.question not in task_questions
            assert not telling.search(turn.question)
            for word in re.findall("[a-z]{2,}", f"{turn.question} {turn.answer}".lower()):
                assert len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1, word
