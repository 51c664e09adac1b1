"""The bundled tokenizer: shop words are whole tokens, any text encodes, the template is the agreed one."""

import re
from pathlib import Path

import pytest
import transformers

from lookwise.bazaar import words
from lookwise.benchmarks.mmecinstruct import MMECINSTRUCT
from lookwise.training.bundled.tokens import _USES, SPECIALS, build_tokenizer, save_tokenizer, vocabulary

PROMPTS = Path(words.__file__).parents[1] / "benchmarks" / "prompts" / "tiny"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    save_tokenizer(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_vocabulary_has_no_doubles_and_starts_with_the_specials() -> None:
    tokens = vocabulary()
    assert len(tokens) == len(set(tokens)) < 700
    assert tuple(tokens[: len(SPECIALS)]) == SPECIALS


def test_words_letters_and_ordinals_are_single_tokens(tokenizer) -> None:
    for word in (*words.lexicon(), *"ABCDEFGHIJKLMNOPQRST", "1st", "20th", "yes", "no"):
        assert len(ids(tokenizer, word)) == 1, word
    made_for = [t.short for t in MMECINSTRUCT.tasks]
    paths = [path for use in _USES for path in (PROMPTS / use).iterdir() if path.stem in made_for]
    assert len(paths) == 28
    for path in paths:
        for word in re.findall("[a-z]+", re.sub(r"\{[^}]*\}", " ", path.read_text())):
            assert len(ids(tokenizer, word)) == 1, (path.name, word)


@pytest.mark.parametrize("name", ["captioner", "looker", "judge-a", "reader-s", "reader-m", "reader-l"])
def test_the_checkpoints_have_this_very_vocabulary(tokenizer, name: str) -> None:
    bundled = transformers.AutoTokenizer.from_pretrained(PROMPTS.parents[2] / "models" / "tiny" / name)
    assert bundled.get_vocab() == tokenizer.get_vocab()


def test_any_text_encodes_and_comes_back(tokenizer) -> None:
    for text in ("quizzical zebra 4711", "21st: red mug, velkin!", "{x} [y] <z> ~^"):
        back = tokenizer.decode(ids(tokenizer, text)).replace(" ", "")
        assert back == text.replace(" ", "").lower()
    assert ids(tokenizer, "Ünïcode RED") == ids(tokenizer, "unicode red")
    assert tokenizer.unk_token_id in ids(tokenizer, "茶")
    assert tokenizer.unk_token_id not in ids(tokenizer, "tea | pot\n\n?")


def test_line_ends_are_seen(tokenizer) -> None:
    assert ids(tokenizer, "red\nmug") == ids(tokenizer, "red | mug") != ids(tokenizer, "red mug")


def test_the_chat_template_is_the_agreed_one(tokenizer) -> None:
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "red?"}]},
        {"role": "assistant", "content": "Yes"},
    ]
    shown = tokenizer.apply_chat_template(turns, tokenize=False)
    assert shown.split() == ["<|user|>", "<image>", "red?", "<|end|><|assistant|>", "Yes<|end|>"]
    asked = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    assert asked.endswith("<|end|><|assistant|>")
    found = tokenizer.convert_ids_to_tokens(ids(tokenizer, shown))
    assert found == ["<|user|>", "<image>", "red", "?", "<|end|>", "<|assistant|>", "yes", "<|end|>"]


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    save_tokenizer(tmp_path / "one")
    build_tokenizer().save_pretrained(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
