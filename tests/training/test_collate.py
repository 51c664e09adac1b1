"""Batches: padding on the right, answers marked, epochs that are a function of the seed, pictures kept in memory."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookwise.message import Media
from lookwise.training.collate import EpochOrder, Pictures, collate, split
from lookwise.training.examples import Encoded

CPU = torch.device("cpu")


def test_picks_predict_exactly_the_supervised_tokens() -> None:
    batch = collate([Encoded((7, 8, 9), 1), Encoded((4, 5, 6, 3, 2), 4)], pad_id=0, device=CPU, pixels={})
    assert batch.ids.tolist() == [[7, 8, 9, 0, 0], [4, 5, 6, 3, 2]]
    assert batch.picks.tolist() == [0, 1, 8]
    assert batch.targets.tolist() == [8, 9, 2]


def test_a_row_that_is_all_answer_starts_with_its_second_token() -> None:
    batch = collate([Encoded((7, 8), 0)], pad_id=0, device=CPU, pixels={})
    assert (batch.picks.tolist(), batch.targets.tolist()) == ([0], [8])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_micro_batches_hold_every_row_once_within_the_budget(lengths: list[int], tokens: int) -> None:
    rows = [Encoded(tuple(range(n)), 0) for n in lengths]
    chunks = split(rows, tokens)
    assert sorted(len(r.ids) for c in chunks for r in c) == sorted(lengths)
    for chunk in chunks:
        assert len(chunk) == 1 or len(chunk) * max(len(r.ids) for r in chunk) <= tokens


def test_a_long_row_goes_alone_where_padding_costs_more_than_a_pass() -> None:
    rows = [Encoded(tuple(range(n)), 0) for n in (10, 11, 200, 9, 10)]
    assert [[len(r.ids) for r in c] for c in split(rows, 4096, call=50)] == [[200], [11, 10, 10, 9]]
    assert len(split(rows, 4096, call=5000)) == 1
    assert [len(c) for c in split(rows, 22, call=5000)] == [1, 2, 2]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(1, 90), st.integers(0, 60))
def test_no_cut_of_the_sorted_rows_is_cheaper(lengths: list[int], tokens: int, call: int) -> None:
    lengths = sorted(lengths, reverse=True)

    def cheapest(rest: list[int]) -> int:
        if not rest:
            return 0
        fits = [n for n in range(1, len(rest) + 1) if n == 1 or n * rest[0] <= tokens]
        return min(n * rest[0] + call + cheapest(rest[n:]) for n in fits)

    chunks = split([Encoded(tuple(range(n)), 0) for n in lengths], tokens, call)
    assert sum(len(c) * len(c[0].ids) + call for c in chunks) == cheapest(lengths)


@given(st.integers(1, 100), st.integers(1, 9), st.integers(0, 5), st.booleans())
def test_an_epoch_visits_every_row_once_in_an_order_of_its_own(n: int, batch: int, seed: int, grouped: bool) -> None:
    lengths = [(i * 37) % 50 for i in range(n)]
    order = EpochOrder(lengths, batch, seed, grouped)
    first, again = list(order), list(order)
    assert first == again
    assert sorted(i for b in first for i in b) == list(range(n))
    assert len(first) == len(order)
    later = []
    for epoch in range(1, 20):  # of three batches, one epoch in six has the order of the first
        order.set_epoch(epoch)
        later.append(list(order))
    assert n < 20 or any(other != first for other in later)


def test_grouping_saves_padding() -> None:
    lengths = torch.randint(10, 200, (600,), generator=torch.Generator().manual_seed(0)).tolist()

    def padded(grouped: bool) -> int:
        return sum(max(lengths[i] for i in b) * len(b) for b in EpochOrder(lengths, 16, 0, grouped))

    assert padded(True) < 1.1 * sum(lengths) < padded(False)


class Preparing:
    """Stands for an image processor; counts what it is given."""

    def __init__(self) -> None:
        self.size = {"height": 4, "width": 4}
        self.seen = 0

    def __call__(self, images: list[Image.Image], return_tensors: str) -> dict[str, torch.Tensor]:
        self.seen += len(images)
        values = [float(i.convert("L").getpixel((0, 0))) for i in images]
        return {"pixel_values": torch.tensor(values)[:, None, None, None].expand(-1, 3, 4, 4)}


def test_a_picture_is_prepared_once_and_augmented_anew(tmp_path) -> None:
    for name, grey in (("a.png", 10), ("b.png", 200)):
        Image.new("L", (8, 8), grey).save(tmp_path / name)
    shown = [Media(str(tmp_path / "a.png")), Media(str(tmp_path / "b.png"))]
    prepare = Preparing()
    pictures = Pictures(SimpleNamespace(image_processor=prepare))
    for order in (shown, shown[::-1]):
        grey = [round(float(v)) for v in pictures.tensors(order, training=True)["pixel_values"][:, 0, 0, 0]]
        assert grey == ([10, 200] if order is shown else [200, 10])
    assert prepare.seen == 2
    assert pictures.tensors([], training=True) == {}
    altered = Pictures(
        SimpleNamespace(image_processor=prepare), augment=lambda image, rng: image.point(lambda v: v + 1)
    )
    assert float(altered.tensors(shown[:1], training=True)["pixel_values"][0, 0, 0, 0]) == 11
    assert float(altered.tensors(shown[:1], training=False)["pixel_values"][0, 0, 0, 0]) == 10


def test_memory_for_pictures_is_bounded(tmp_path) -> None:
    for i in range(4):
        Image.new("L", (8, 8), i).save(tmp_path / f"{i}.png")
    prepare = Preparing()
    one = 3 * 4 * 4 * 4
    pictures = Pictures(SimpleNamespace(image_processor=prepare), keep_bytes=2 * one)
    for i in (0, 1, 2, 3, 3, 2, 0):
        pictures.tensors([Media(str(tmp_path / f"{i}.png"))], training=True)
    assert prepare.seen == 5  # 3 and 2 were still there
