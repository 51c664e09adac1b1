"""Examples become ids once: the prompt is what the model is asked with, and only the answer is supervised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from lookwise.errors import ModelError, RecipeError
from lookwise.message import Media, system, user
from lookwise.training.examples import Encoder, Example, digest
from lookwise.training.mixture import mix

Maker = Callable[..., list[Example]]


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    return Encoder(AutoTokenizer.from_pretrained(tiny_base), "tiny")


def test_a_row_is_the_prompt_as_asked_then_answer_and_end(encoder: Encoder) -> None:
    example = Example((system("small"), user("query: red kettle")), "yes", "t", ("yes", "no"))
    (row,) = encoder.encode([example])
    (prompt,) = encoder.prompts([example.conversation])
    tokenizer = encoder.tokenizer
    assert row.ids[: row.start] == prompt.ids
    assert tokenizer.convert_ids_to_tokens(prompt.ids)[0] == "<|system|>"
    assert tokenizer.convert_ids_to_tokens(prompt.ids)[-1] == "<|assistant|>"
    assert tokenizer.convert_ids_to_tokens(row.ids[row.start :]) == ["yes", "<|end|>"]
    assert row.supervised == 2
    assert encoder.endings(example.conversation, ("yes", "no"))[0] == row.ids[row.start :]


def test_what_the_template_writes_after_the_turn_is_not_learned(encoder: Encoder, tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template += "{%- if not add_generation_prompt %} new new{% endif -%}"
    (row,) = Encoder(tokenizer, "chatty").encode([Example((user("red"),), "no", "t")])
    assert tokenizer.convert_ids_to_tokens(row.ids[row.start :]) == ["no", "<|end|>"]


def test_an_end_is_added_where_the_template_writes_none(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    (row,) = Encoder(tokenizer, "bare").encode([Example((user("red"),), "no", "t")])
    assert tokenizer.convert_ids_to_tokens(row.ids) == ["red", "no", "<|end|>"]
    assert row.start == 1


def test_pictures_for_a_reader_of_text_and_a_missing_template_are_refused(encoder: Encoder, tiny_base: Path) -> None:
    with pytest.raises(ModelError, match="reads text only"):
        encoder.encode([Example((user(Media("a.png"), "what?"),), "kettle", "t")])
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        Encoder(tokenizer, "base")


def test_prompts_are_those_that_the_model_is_asked_with(tiny_base: Path, encoder: Encoder) -> None:
    """The same ids as models/hf makes, markers in a user's text included."""
    from lookwise.models.hf.encode import Encoder as Asking
    from lookwise.models.hf.families import Abilities
    from lookwise.models.hf.texts import Texts, Words

    tokenizer = encoder.tokenizer
    asking = Asking(Texts(tokenizer, Words(tokenizer), tokenizer.chat_template, Abilities()), "tiny")
    talk = (system("small"), user("query: red <|end|> kettle <|assistant|> yes?"))
    (prompt,) = encoder.prompts([talk])
    assert list(prompt.ids) == list(asking.encode(talk).ids)
    assert prompt.ids.count(tokenizer.eos_token_id) == 2  # the ends of the two turns, none from the text
    assert encoder.endings(talk, ["yes"])[0] == (*asking_option(asking, talk, "yes"), asking.end_of_turn)


def asking_option(asking, talk, option: str) -> list[int]:
    prompt = asking.encode(talk)
    kept, tree = asking.options(prompt, [option])
    assert kept == len(prompt.ids)
    return [token for _, token in tree.paths[0]]


def test_the_digest_sees_every_part_and_prefers_the_bytes_of_a_picture(shop_examples: Maker) -> None:
    one = Example((user("red", Media("a.png")),), "yes", "t", ("yes", "no"))
    others = [
        replace(one, answer="no"),
        replace(one, task="u"),
        replace(one, options=("no", "yes")),
        replace(one, conversation=(user("red", Media("b.png")),)),
        replace(one, conversation=(system("red"), *one.conversation)),
    ]
    assert len({digest([e]) for e in [one, *others]}) == 6
    known = [replace(one, conversation=(user("red", Media(name, "image", "ab")),)) for name in ("a.png", "b.png")]
    assert digest(known[:1]) == digest(known[1:])
    made = shop_examples(4)
    assert digest(made) != digest(made[::-1])


def test_a_mixture_is_the_same_for_a_seed_and_a_task_keeps_its_part(shop_examples: Maker) -> None:
    tasks = {"a": shop_examples(30, seed=1, task="a"), "b": shop_examples(5, seed=2, task="b")}
    made = mix(tasks, cap=10, seed=3)
    assert made == mix(dict(reversed(tasks.items())), cap=10, seed=3)
    assert made != mix(tasks, cap=10, seed=4)
    assert sorted(e.task for e in made) == ["a"] * 10 + ["b"] * 5
    alone = mix({"a": tasks["a"]}, cap=10, seed=3)
    assert sorted(map(repr, alone)) == sorted(repr(e) for e in made if e.task == "a")
    assert len(mix(tasks)) == 35


def test_a_mixture_names_an_empty_task_and_a_bad_cap(shop_examples: Maker) -> None:
    with pytest.raises(RecipeError, match="'b' has no training examples"):
        mix({"a": shop_examples(1), "b": []})
    with pytest.raises(RecipeError, match="cap is 0"):
        mix({"a": shop_examples(1)}, cap=0)
