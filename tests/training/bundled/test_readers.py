"""Readers: the quick form is deterministic and loads through Auto classes; stored ones can do what their cards say."""

import json
import random
from pathlib import Path

import pytest
import torch

import lookwise
from lookwise.bazaar.lexicon import FAMILIES, HELD_OUT
from lookwise.training.bundled import seeds
from lookwise.training.bundled.contexts import Line
from lookwise.training.bundled.instructions import Episode, Turn, draw_episode
from lookwise.training.bundled.muon import Muon, orthogonalise
from lookwise.training.bundled.reader_card import load, measure, measure_named
from lookwise.training.bundled.readers import SIZES, train_reader
from lookwise.training.bundled.rows import IGNORED, Rows, pad
from lookwise.training.bundled.tokens import build_tokenizer

TINY = Path(lookwise.__file__).parent / "models" / "tiny"
STORED = [name for name in SIZES if (TINY / name / "card.json").is_file()]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_reader("reader-s", tmp_path_factory.mktemp("quick"), quick=True)


def test_seed_ranges_never_meet() -> None:
    ranges = (seeds.DATASETS, seeds.TRAINING, seeds.EVALUATION)
    for i, one in enumerate(ranges):
        for other in ranges[i + 1 :]:
            assert one.stop <= other.start or other.stop <= one.start
    assert seeds.training_seed(0) in seeds.TRAINING
    assert seeds.evaluation_seed(99) in seeds.EVALUATION
    with pytest.raises(ValueError, match="outside"):
        seeds.training_seed(len(seeds.TRAINING))


def test_the_quick_form_gives_the_same_bytes_and_loads(quick: Path, tmp_path: Path) -> None:
    again = train_reader("reader-s", tmp_path / "again", quick=True)
    assert (quick / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()
    other = train_reader("reader-s", tmp_path / "other", quick=True, seed=1)
    assert (quick / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()
    model, tokenizer = load(quick)
    assert model.config.vocab_size == len(tokenizer)
    assert model.get_input_embeddings().weight is model.lm_head.weight
    card = json.loads((quick / "card.json").read_text())
    assert card["quick"] is True
    assert card["seed"] in seeds.TRAINING
    assert card["evaluation_seed"] in seeds.EVALUATION
    assert "learned nothing" in (quick / "card.md").read_text()


def test_only_answers_weigh_fully_and_agreement_marks_stating_words() -> None:
    tokenizer = build_tokenizer()
    rows = Rows(tokenizer)
    rng = random.Random(5)
    for _ in range(50):
        episode = draw_episode(rng, (2, 3))
        row = rows.episode(episode)
        assert len(row.ids) == len(row.weights) == len(row.agrees) == len(row.names)
        spoken = tokenizer.decode([i for i, w in zip(row.ids, row.weights, strict=True) if w == 1.0])
        answers = " ".join(f"{turn.answer} <|end|>" for turn in episode.turns)
        assert spoken.replace(" ", "") == answers.replace("\n", "|").replace(" ", "")
        asked = row.ids.index(tokenizer.convert_tokens_to_ids("<|assistant|>"))
        assert all(a == IGNORED for a in row.agrees[asked:])
    repeated = rows.repeated(rng)
    half = (len(repeated.ids) - 2) // 2
    assert repeated.ids[1 : half + 1] == repeated.ids[half + 1 : -1]
    ids, weights, agrees, names = pad([repeated, rows.told(rng)])
    assert ids.shape == weights.shape == agrees.shape == names.shape


def test_a_word_is_told_the_name_of_its_line_and_an_answer_that_of_the_line_asked_about() -> None:
    tokenizer = build_tokenizer()
    lines = (Line("photo one", "red mug", {}), Line("photo two", "blue mug", {}), Line("title", "mug", {}))
    row = Rows(tokenizer).episode(
        Episode(
            lines,
            (Turn("find", "photo two: colour?", "blue", "photo two"), Turn("who", "where is red said?", "photo one")),
        )
    )
    named = [(tokenizer.decode([i]), tokenizer.decode([n])) for i, n in zip(row.ids, row.names, strict=True) if n >= 0]
    assert [pair for pair in named if pair[0] not in "|"] == [
        ("red", "one"), ("mug", "one"), ("blue", "two"), ("mug", "two"), ("mug", "title"),
        ("<|assistant|>", "two"),
    ]  # fmt: skip


def test_a_second_thread_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved() -> list[torch.Tensor]:
        torch.manual_seed(0)
        matrices = [torch.nn.Parameter(torch.randn(shape)) for shape in ((24, 10), (10, 24), (24, 10), (10, 10))]
        optimizer = Muon(matrices, lr=0.1)
        for _ in range(3):
            sum((p**3).sum() for p in matrices).backward()  # type: ignore[union-attr]
            optimizer.step()
        return [p.detach() for p in matrices]

    alone = moved()
    monkeypatch.setattr("lookwise.training.bundled.muon._WORTH_TWO", 1)
    assert all(torch.equal(one, two) for one, two in zip(alone, moved(), strict=True))


def test_orthogonalise_brings_singular_values_near_one() -> None:
    stack = torch.randn(3, 24, 10, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(stack))
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("name", STORED)
def test_a_stored_reader_is_what_its_card_says(name: str) -> None:
    card = json.loads((TINY / name / "card.json").read_text())
    assert card["quick"] is False
    assert card["seed"] in seeds.TRAINING
    model, tokenizer = load(TINY / name)
    assert sum(p.numel() for p in model.parameters()) == card["parameters"]
    for families, key in ((FAMILIES, "unseen"), ((HELD_OUT,), "held_out_wording")):
        found = measure(model, tokenizer, 160, families, seeds.evaluation_seed(7), (1, 1))
        for kind in ("agree", "find"):
            share, n = card[key][kind]
            assert n > 100
            assert found[kind][0] == pytest.approx(share, abs=0.2), (kind, found[kind])
    named = measure_named(model, tokenizer, seeds.evaluation_seed(7), 60)
    assert {asked: share for asked, (share, _) in named.items()} == pytest.approx(
        {asked: share for asked, (share, _) in card["named"].items()}, abs=0.2
    )
    if name == "reader-s":
        assert min(share for share, _ in named.values()) > 0.7, "one of four lines, for the most part the named one"
