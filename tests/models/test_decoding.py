"""A checkpoint's own wishes about writing: the penalty is heeded as transformers does, the rest is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from alone import Alone
from families import FAMILIES, Family
from transformers import AutoModelForCausalLM, GenerationConfig, RepetitionPenaltyLogitsProcessor

from lookwise.errors import ModelError
from lookwise.message import Media, user
from lookwise.model import Generate, Rank, Request
from lookwise.models.hf.decoding import Decoding, decoding_in, decoding_of
from lookwise.models.hf.generate import _Seen
from lookwise.models.hf.layout import Row
from lookwise.models.open import Needs, check_spec, open_model

TALK = (user("red kettle " * 6),)


@pytest.fixture
def wishing(tmp_path: Path, saved: Callable[..., Path]) -> Callable[..., Path]:
    """Return settings -> a checkpoint whose generation_config.json has them."""

    def get(**settings: Any) -> Path:
        folder = tmp_path / f"m{len(list(tmp_path.iterdir()))}"
        shutil.copytree(saved("llama"), folder)
        path = folder / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
        return folder

    return get


def test_what_is_not_done_is_refused_by_name_when_text_is_to_be_written(wishing: Callable[..., Path]) -> None:
    spec = f"hf:{wishing(no_repeat_ngram_size=2, suppress_tokens=[3, 4], repetition_penalty=1.2)}"
    model = open_model(spec)
    (ranked,) = model.answer([Request(TALK, Rank(("yes", "no")))])
    assert ranked.ok
    with pytest.raises(ModelError, match="sets no_repeat_ngram_size, suppress_tokens, which changes what it writes"):
        model.answer([Request(TALK, Rank(("yes", "no"))), Request(TALK, Generate(4))])
    check_spec(spec)
    check_spec(spec, needs=Needs())
    with pytest.raises(ModelError, match=f"^model {spec!r}: .* no_repeat_ngram_size"):
        check_spec(spec, needs=Needs(writes=True))


def test_what_changes_nothing_is_not_refused(wishing: Callable[..., Path]) -> None:
    defaults = GenerationConfig._get_default_generation_params()  # type: ignore[no-untyped-call]
    assert decoding_of(defaults, "m") == Decoding()
    assert decoding_of(GenerationConfig().to_dict(), "m") == Decoding()
    folder = wishing(temperature=0.1, top_p=0.001, top_k=1, do_sample=True, num_beams=1, min_length=0)
    assert decoding_in(folder, "m") == Decoding()
    assert open_model(f"hf:{folder}").answer([Request(TALK, Generate(4))])[0].ok


@pytest.mark.parametrize("value", [0, -1.5, "1.2", True, [1.1], float("nan"), float("inf")])
def test_a_penalty_that_is_no_positive_number_is_named(value: Any, wishing: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match=r"repetition_penalty of .*; give a number above 0"):
        decoding_in(wishing(repetition_penalty=value), "m")


def test_a_file_that_does_not_read_wishes_nothing_before_it_is_loaded(tmp_path: Path) -> None:
    assert decoding_in(tmp_path, "m") == Decoding()
    for content in (b"{", b"[1]", b"\xff\xfe"):
        (tmp_path / "generation_config.json").write_bytes(content)
        assert decoding_in(tmp_path, "m") == Decoding()


@pytest.mark.parametrize("penalty", [0.7, 1.05, 1.3])
def test_the_penalty_is_that_of_transformers_row_by_row(penalty: float) -> None:
    chance = torch.Generator().manual_seed(0)
    rows = [Row([1, 2, 2, 9]), Row([0, 0, 0], said=[5, 99, 50]), Row([7])]  # 50 and 99 lie beyond the head
    seen = _Seen(rows, penalty)
    said = [[*(row.ids if row.said is None else row.said)] for row in rows]
    plain = RepetitionPenaltyLogitsProcessor(penalty)
    for step in range(4):
        logits = torch.randn(3, 50, generator=chance) * 4
        expected = [plain(torch.tensor([ids]), line[None])[0] for ids, line in zip(said, logits, strict=True)]
        assert torch.equal(seen.penalised(logits), torch.stack(expected))
        seen.add([step + 20, 5, 7])
        said = [[*ids, token] for ids, token in zip(said, [step + 20, 5, 7], strict=True)]
    seen.keep(torch.tensor([2, 0]))
    logits = torch.randn(2, 50, generator=chance)
    expected = [plain(torch.tensor([said[i]]), line[None])[0] for i, line in zip((2, 0), logits, strict=True)]
    assert torch.equal(seen.penalised(logits), torch.stack(expected))


def test_rows_of_many_lengths_in_one_batch_write_what_generate_writes_alone(wishing: Callable[..., Path]) -> None:
    folder = wishing(repetition_penalty=1.4)
    model = open_model(f"hf:{folder}")
    alone = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    requests = [Request((user("kettle " * n),), Generate(6 + 5 * n)) for n in (1, 7, 3, 5)]
    texts = [reply.text for reply in model.answer(requests)]
    for request, text in zip(requests, texts, strict=True):
        ids = torch.tensor([list(model._encoder.encode(request.conversation).ids)])  # type: ignore[attr-defined]
        with torch.inference_mode():
            found = alone.generate(ids, max_new_tokens=request.want.max_new_tokens, do_sample=False)  # type: ignore[union-attr]
        assert text == model._encoder.decode(found[0, ids.shape[1] :].tolist())  # type: ignore[attr-defined]
    drawn = [Request(TALK, Generate(8, temperature=1.0, seed=2))]
    assert model.answer(drawn)[0].text != open_model(f"hf:{wishing()}").answer(drawn)[0].text


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Family], tuple[Alone, Any]]:
    """Return family -> its checkpoint, alone as transformers has it and opened here, each once."""
    made: dict[str, tuple[Alone, Any]] = {}

    def get(family: Family) -> tuple[Alone, Any]:
        if family.name not in made:
            folder = families.save(family, tmp_path_factory.mktemp("family") / "checkpoint")
            made[family.name] = Alone(family, folder), open_model(f"hf:{folder}")
        return made[family.name]

    return get


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.penalty is not None], ids=lambda f: str(f.name))
def test_the_suites_penalties_are_felt_as_the_models_themselves_feel_them(
    family: Family, seen: Callable[[Family], tuple[Alone, Any]], photos: list[Media]
) -> None:
    """The suite compares what is written; here it is seen that the penalty changes it."""
    alone, model = seen(family)
    talk = user(photos[0], "what is it?") if family.most else user("red kettle " * 9)
    inputs = alone.inputs(talk)
    with torch.inference_mode():
        free = alone.model.generate(**inputs, max_new_tokens=30, do_sample=False, repetition_penalty=1.0)
    plain = str(alone.words.decode(free[0].tolist()[-30:], skip_special_tokens=True)).strip()
    (reply,) = model.answer([Request((talk,), Generate(30))])
    assert reply.text == str(alone.words.decode(alone.tokens(inputs, 30), skip_special_tokens=True)).strip()
    felt = family.name != "BLIP-2-OPT"  # whose generate hands over to its decoder's, and not the penalty
    assert (not plain.endswith(reply.text)) == felt


def test_a_row_at_the_last_position_does_not_take_the_others_along(
    seen: Callable[[Family], tuple[Alone, Any]], photos: list[Media]
) -> None:
    """OPT's positions are a table with an end: a row that has ended must not step beyond it while others go on."""
    _, model = seen(next(f for f in FAMILIES if f.most == 1))
    most = model._network.most_tokens
    talks = (user(photos[0], "x" * n) for n in range(most, 0, -1))
    long = next(talk for talk in talks if model.answer([Request((talk,), Generate(1))])[0].ok)
    batch = [Request((talk,), Generate(30)) for talk in (long, *(user(photo, "what is it?") for photo in photos))]
    together = model.answer(batch)
    assert all(reply.ok for reply in together)
    assert together[0].tokens_in > most - 9
    assert [r.text for r in together] == [model.answer([request])[0].text for request in batch]
