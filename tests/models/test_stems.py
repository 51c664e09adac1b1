"""Prompts that begin alike share that beginning: what each says is what it says alone, and less is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from families import FAMILIES, Family

from lookwise.message import Media, Message, system, user
from lookwise.model import Generate, Model, Rank, Reply, Request
from lookwise.models.hf import network as network_room
from lookwise.models.hf.families import TEXT
from lookwise.models.hf.layout import Row, lay_out
from lookwise.models.hf.network import Network
from lookwise.models.hf.stems import groups, ordered
from lookwise.models.open import open_model

LABELS = ("yes", "no", "A: very positive", "A: positive", "B", "very negative")
WINDOWS: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 9},
    "phi3": {"sliding_window": 9},
    "qwen2": {"sliding_window": 9, "use_sliding_window": True, "max_window_layers": 1},
}
TASK = "Tell whether this picture helps to answer the question about the product, in one word and nothing else. " * 2
OTHER = "A customer looks for something; say what kind of thing the photo shows, with as few words as you can. " * 2
TEXTS = [f"{task}query: {'red kettle ' * n}" for n in (1, 9, 4) for task in (TASK, OTHER)] + ["helpful?"]
SEEING = [f for f in FAMILIES if f.most]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that each pass adds its tokens to, and its stems."""
    seen: list[tuple[int, int]] = []
    plain = Network.plan

    def plan(self: Network, pack: Any, *rest: Any) -> Any:
        seen.append((pack.ids.shape[1], len(pack.stems)))
        return plain(self, pack, *rest)

    monkeypatch.setattr(network_room.Network, "plan", plan)
    return seen


def asked(talks: list[Message], model: Model, computed: list[tuple[int, int]]) -> tuple[list[Reply], int]:
    """Ask everything in one batch and one by one; return the batch's replies and the share of tokens saved, percent."""
    requests = [Request((talk,), want) for want in (Rank(LABELS), Generate(10)) for talk in talks]
    alone = [model.answer([request])[0] for request in requests]
    whole = sum(tokens for tokens, _ in computed)
    computed.clear()
    together = model.answer(requests)
    for one, other in zip(together, alone, strict=True):
        assert (one.text, one.tokens_in) == (other.text, other.tokens_in)
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
    return list(together), round(100 * (1 - sum(tokens for tokens, _ in computed) / whole))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", TEXT)
def test_prompts_of_two_tasks(
    family: str, padded: bool, saved: Callable[..., Path], computed: list[tuple[int, int]], monkeypatch: Any
) -> None:
    monkeypatch.setattr(Network, "padded", property(lambda _: padded))
    replies, saving = asked([user(text) for text in TEXTS], open_model(f"hf:{saved(family)}"), computed)
    assert len({reply.scores for reply in replies[: len(TEXTS)]}) == len(TEXTS)
    assert saving > 40
    assert max(stems for _, stems in computed) == 2


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", WINDOWS)
def test_layers_that_see_a_window_only(
    family: str, padded: bool, saved: Callable[..., Path], computed: list[tuple[int, int]], monkeypatch: Any
) -> None:
    """The window ends within the stem for some tokens, and before it for others."""
    monkeypatch.setattr(Network, "padded", property(lambda _: padded))
    folder = saved(family, **WINDOWS[family])
    saving = asked([user(text) for text in TEXTS], open_model(f"hf:{folder}"), computed)[1]
    assert saving > 40


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", SEEING, ids=[f.name for f in SEEING])
def test_questions_about_the_same_pictures(
    family: Family,
    padded: bool,
    photos: list[Media],
    computed: list[tuple[int, int]],
    monkeypatch: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Where a picture stands first, its tokens are shared, too; a look from the side shares nothing."""
    monkeypatch.setattr(Network, "padded", property(lambda _: padded))
    model = open_model(f"hf:{families.save(family, tmp_path_factory.mktemp('stems') / 'checkpoint')}")
    words = ("what is it?", "which colour has it, and who made it?", "say nothing")
    replies, saving = asked([user(photo, text) for text in words for photo in photos[:2]], model, computed)
    assert len({reply.scores for reply in replies[:6]}) == 6, "pictures and questions matter"
    if family.name.startswith("Llama 3.2"):
        assert saving == 0
    elif family.name != "BLIP-2-OPT":
        assert saving > 20


def test_a_system_turn_is_shared_before_pictures_that_differ(
    photos: list[Media], computed: list[tuple[int, int]], tmp_path: Path
) -> None:
    family = next(f for f in SEEING if f.name.startswith("Qwen2-VL"))
    model = open_model(f"hf:{families.save(family, tmp_path / 'checkpoint')}")
    requests = [Request((system(TASK * 3), user(photo, "what is it?")), Rank(LABELS)) for photo in photos]
    alone = [model.answer([request])[0] for request in requests]
    computed.clear()
    together = model.answer(requests)
    assert [one.scores for one in together] == [pytest.approx(other.scores, abs=1e-4) for other in alone]
    assert {stems for _, stems in computed} == {1}


# -- groups ------------------------------------------------------------------------------------------------------------


def row(*ids: int, features: tuple[tuple[int, torch.Tensor], ...] = ()) -> Row:
    return Row(ids, None, features)


BEGIN = tuple(range(100, 130))


def test_rows_join_a_group_while_that_saves_more() -> None:
    short, long = row(*BEGIN[:17], 1, 2), [row(*BEGIN, i, i) for i in range(4)]
    assert groups([*long, short]) == [(range(4), 30), (range(4, 5), 0)], "it would leave the others 17 to share"
    assert groups([long[0], short]) == [(range(2), 17)]
    assert groups([row(1, 2, 3), *long]) == [(range(1), 0), (range(1, 5), 30)]


def test_no_row_is_shared_whole_since_its_last_token_is_asked() -> None:
    assert groups([row(*BEGIN), row(*BEGIN), row(*BEGIN, 1)]) == [(range(3), 29)]


def test_little_to_share_is_not_shared_and_rows_go_by_length() -> None:
    rows = [row(*BEGIN[:18], *range(i, i + 200 + i)) for i in (1, 3, 2)]
    assert groups(rows) == [(range(i, i + 1), 0) for i in range(3)]
    assert ordered(rows, lambda one: len(one.ids)) == [1, 2, 0]
    assert groups([]) == []
    assert ordered([], lambda one: 0) == []


def test_neighbours_are_those_that_begin_alike() -> None:
    tail = (7,) * 5
    rows = [row(*BEGIN, *tail), row(*BEGIN[::-1], 1), row(*BEGIN, 3), row(*BEGIN[::-1], *tail)]
    order = ordered(rows, lambda one: len(one.ids))
    assert sorted(map(frozenset, (order[:2], order[2:])), key=min) == [{0, 2}, {1, 3}]


def test_a_picture_is_shared_whole_or_not_at_all() -> None:
    """Places of two pictures hold the same token; that they are not the same, their features tell."""
    one, other, longer = torch.zeros(20, 4), torch.zeros(20, 4), torch.zeros(25, 4)
    start = BEGIN[:18]

    def of(tensor: torch.Tensor, *more: int) -> Row:
        return row(*start, *(0,) * len(tensor), *more, features=((18, tensor),))

    assert groups([of(one, 1, 1), of(one, 2, 2)]) == [(range(2), 38)]
    assert groups([of(one, 1, 1), of(other, 1, 2)]) == [(range(2), 18)]
    assert groups([of(one, 1, 1), of(longer, 1, 2)]) == [(range(2), 18)]
    assert groups([of(one), of(one)]) == [(range(2), 18)], "its last token is asked, so it cannot all be shared"
    pack = lay_out([of(one, 1, 1), of(one, 2, 2)], torch.device("cpu"))
    assert [at for at, _ in pack.features] == [18], "it is put down once"
