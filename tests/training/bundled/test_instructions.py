"""Pretraining questions have true answers, are drawn by seed alone, and are no task's questions."""

import random
import re
from collections.abc import Mapping
from pathlib import Path

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import VALUE_WORDS
from lookwise.training.bundled.contexts import ATTRIBUTES, LETTERS, agreement
from lookwise.training.bundled.instructions import draw_episode, draw_finds, plain_text

PROMPTS = Path(words.__file__).parents[1] / "benchmarks" / "prompts" / "tiny"
ANY = (2, 4)


def test_lines_state_the_facts_they_are_asked_about() -> None:
    rng = random.Random(1)
    for _ in range(300):
        for line in draw_episode(rng, (1, 1)).lines:
            assert words.facts_in(line.text) == dict(line.facts)


def test_answers_follow_from_the_lines() -> None:
    rng = random.Random(2)
    seen = set()
    for _ in range(400):
        episode = draw_episode(rng, (3, 5))
        facts = {line.name: words.facts_in(line.text) for line in episode.lines}
        for turn in episode.turns:
            seen.add(turn.kind)
            if turn.kind == "copy":
                assert any(line.text == turn.answer for line in episode.lines)
            if turn.kind == "table":
                told = dict(zip(turn.answer.split()[::2], turn.answer.split()[1::2], strict=True))
                one, two = [facts[n] for n in facts if re.search(rf"\b{n}\b", turn.question)]
                for name in ATTRIBUTES:
                    both = name in one and name in two
                    assert told[name] == ("unknown" if not both else "same" if one[name] == two[name] else "differ")
            if turn.kind == "list":
                name = next(n for n in facts if n in turn.question)
                told = dict(zip(turn.answer.split()[::2], turn.answer.split()[1::2], strict=True))
                expected = {a: VALUE_WORDS[a][v][0] for a, v in facts[name].items() if a in ATTRIBUTES}
                if "mark" in facts[name]:
                    expected["mark"] = str(facts[name]["mark"])
                assert {a: v for a, v in told.items() if v != "unknown"} == expected
            if turn.kind == "option" and turn.answer != "none":
                assert turn.answer in facts
    assert {"find", "compare", "agree", "copy", "table", "list", "option", "says"} <= seen


def test_a_value_is_the_named_lines_own() -> None:
    """Where several lines tell an attribute they mostly differ in it, so that any line will not do."""
    rng = random.Random(6)
    names, differing, told = set(), 0, 0
    for _ in range(200):
        episode = draw_finds(rng, (6, 9))
        lines = {line.name: line for line in episode.lines}
        names |= set(lines)
        assert 2 <= len(lines) == len(episode.lines) <= 6
        for line in episode.lines:
            assert words.facts_in(line.text) == dict(line.facts)
        for turn in episode.turns:
            if turn.kind == "find":
                name = max((n for n in lines if re.search(rf"\b{n}\b", turn.question)), key=len)
                word = "unknown" if turn.answer == "unknown" else turn.answer
                own = words.facts_in(lines[name].text).items()
                said = {VALUE_WORDS[a][v][0] for a, v in own if a in ATTRIBUTES} | {
                    str(v) for a, v in own if a == "mark"
                }
                assert word == "unknown" or word in said, turn
                others = {w for n, line in lines.items() if n != name for w in _first_words(line.facts)}
                told += word != "unknown"
                differing += word != "unknown" and word not in others
            elif turn.answer != "none":
                assert turn.kind in ("who", "option")
                assert turn.answer in lines
    assert differing / told > 0.6
    assert {"photo one", "item two", "1st", "title", "review", "a"} <= names


def _first_words(facts: Mapping[str, str | int]) -> set[str]:
    return {VALUE_WORDS[a][v][0] for a, v in facts.items() if a in ATTRIBUTES}


def test_letters_are_options_in_their_order() -> None:
    rng = random.Random(7)
    lettered = [e for e in (draw_finds(rng, (1, 2)) for _ in range(100)) if e.lines[0].name == "a"]
    assert 25 < len(lettered) < 55
    assert all([line.name for line in e.lines] == list(LETTERS[: len(e.lines)]) for e in lettered)


def test_no_episode_asks_a_task_question() -> None:
    task_questions = {(f.read_text().strip().split("\n")[-1]) for f in (PROMPTS / "answer").glob("*.txt")}
    assert len(task_questions) >= 7
    telling = re.compile(r"substitute|replace|irrelevant|also buy|also view|related|feel|positive|answered|buy next")
    rng = random.Random(3)
    for _ in range(500):
        for turn in (*draw_episode(rng, ANY).turns, *draw_finds(rng, ANY).turns):
            assert turn.question not in task_questions
            assert not telling.search(turn.question)
            assert not re.search(r"option (has|with) the (same )?category", turn.question)


def test_agreement_is_told_word_by_word() -> None:
    rng = random.Random(4)
    counted = {0: 0, 1: 0, 2: 0}
    for _ in range(200):
        lines = draw_episode(rng, (1, 1)).lines[:2]
        if len(lines) < 2 or lines[1].name == "a":
            continue
        first, second = (words.facts_in(line.text) for line in lines)
        for word in words._WORDS.findall(lines[1].text):
            value = agreement(lines[:1], lines[1], word)
            stated = words.facts_in(word)
            if value is None:
                assert not stated
                continue
            counted[value] += 1
            ((attribute, said),) = stated.items()
            if attribute not in ("category", "department"):
                assert value == (0 if attribute not in first else 1 if first[attribute] == said else 2)
            assert second[attribute] == said
    assert min(counted.values()) > 50


def test_the_same_seed_draws_the_same() -> None:
    assert draw_episode(random.Random(9), ANY) == draw_episode(random.Random(9), ANY)
    assert plain_text(random.Random(9)) == plain_text(random.Random(9))
    assert draw_episode(random.Random(9), ANY) != draw_episode(random.Random(10), ANY)
