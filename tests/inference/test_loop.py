"""The loop on scripted models: merging, rounds, failures, resume at every batch, bounds, interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lookwise.errors import DataError, ModelError, ModelMemoryError
from lookwise.inference import Answered, Ask, ModelSource, run_stage
from lookwise.message import Media, user
from lookwise.model import Generate, Model, Rank, Reply, Request, Want
from lookwise.models.scripted import ScriptedModel, echo
from lookwise.runs.ledger import Calls, Ledger
from lookwise.runs.replies import Mark, ReplyStore
from lookwise.sample import Sample


@dataclass(frozen=True)
class Said:
    sample_id: str
    text: str | None
    model: str
    reason: str | None


@dataclass(frozen=True)
class Asking:
    """Ask `model` each sample's question, then `second` the reply, where one is named."""

    model: str = "m"
    second: str | None = None
    want: Want = Generate()
    name: str = "said"

    def ask(self, sample: Sample, rows: tuple[Said, ...]) -> list[Ask]:
        if not rows:
            return [Ask(self.model, Request((user(q),), self.want)) for q in sample.field("q")]
        if self.second and len(rows) == len(sample.field("q")):
            return [Ask(self.second, Request((user(f"again {row.text}"),), self.want)) for row in rows]
        return []

    def read(self, sample: Sample, answered: list[Answered]) -> list[Said]:
        return [Said(sample.id, a.reply.text, a.fingerprint, a.reply.failure) for a in answered]


class Watched(ScriptedModel):
    """A scripted model that records its batches, and can break: `before(n, batch)` runs ahead of the n-th batch."""

    def __init__(
        self, budget: int = 8, before: Callable[[int, Sequence[Request]], None] | None = None, name: str = "watched"
    ) -> None:
        super().__init__(name, echo, batch_tokens=budget)
        self.batches: list[list[str]] = []
        self.measured: list[int] = []
        self._before = before
        self.is_open = False

    def opened(self) -> Watched:
        """Open it, once more if need be: rounds close what they open."""
        assert not self.is_open
        self.is_open = True
        return self

    def close(self) -> None:
        assert self.is_open
        self.is_open = False

    def length(self, request: Request) -> int:
        self.measured.append(len(self.batches))
        return super().length(request)

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        assert self.is_open
        if self._before:
            self._before(len(self.batches), batch)
        replies = super().answer(batch)
        self.batches.append([r.conversation[0].text for r in batch])
        return replies


class Killed(BaseException):
    """Stands in for the end of the process."""


def sample(name: str, *questions: str) -> Sample:
    return Sample(name, "b", "t", "test", (("q", questions),))


def source(model: Model, known: bool = True) -> ModelSource:
    opened = model.opened if isinstance(model, Watched) else lambda: model
    return ModelSource(model.name, opened, (lambda: model.fingerprint) if known else None)


def go(model: Model, samples: Sequence[Sample], store: ReplyStore, ledger: Ledger | None = None, **more: object):  # type: ignore[no-untyped-def]
    stage = more.pop("stage", Asking())
    return run_stage(stage, samples, models={"m": source(model)}, replies=store, ledger=ledger or Ledger(), **more)


def counts(ledger: Ledger, model: str = "m") -> Calls:
    return replace(ledger.calls["said"][model], seconds=0.0)


def test_equal_requests_of_different_samples_are_one_call() -> None:
    model, ledger = Watched(), Ledger()
    samples = [sample("1", "a b", "c"), sample("2", "a b"), sample("3", "c", "c")]
    rows = go(model, samples, ReplyStore(None), ledger)
    assert model.batches == [["a b", "c"]]
    assert [[r.text for r in rows[s.id]] for s in samples] == [["a b", "c"], ["a b"], ["c", "c"]]
    assert counts(ledger) == Calls(asked=5, merged=3, sent=2, tokens_in=3, tokens_out=3)


def test_rounds_open_each_model_once_in_the_order_of_models() -> None:
    opened: list[str] = []

    def opening(name: str) -> ModelSource:
        def open_it() -> Model:
            opened.append(name)
            return ScriptedModel(name, echo)

        return ModelSource(name, open_it, lambda: f"scripted:{name}")

    samples = [sample("1", "x"), sample("2", "y")]
    rows = run_stage(
        Asking("late", "early"),
        samples,
        models={"early": opening("early"), "late": opening("late"), "idle": opening("idle")},
        replies=ReplyStore(None),
        ledger=Ledger(),
    )
    assert opened == ["late", "early"]
    assert [r.text for r in rows["1"]] == ["x", "again x"]
    assert [r.model for r in rows["2"]] == ["scripted:late", "scripted:early"]


def test_what_is_stored_needs_no_model_and_counts_as_stored_for_another_run() -> None:
    store, samples = ReplyStore(None), [sample("1", "x"), sample("2", "y")]
    first, second = Ledger(run="first"), Ledger(run="second")
    rows = go(Watched(), samples, store, first)
    unopenable = ModelSource("m", lambda: pytest.fail("opened"), lambda: "scripted:watched")
    again = run_stage(Asking(), samples, models={"m": unopenable}, replies=store, ledger=second)
    assert again == rows
    assert counts(second) == Calls(asked=2, stored=2)
    run_stage(Asking(), samples, models={"m": unopenable}, replies=store, ledger=first)
    assert counts(first) == Calls(asked=2, sent=2, tokens_in=2, tokens_out=2)


def test_a_source_that_cannot_tell_its_fingerprint_is_opened_once() -> None:
    model, times = Watched(), []

    def opened() -> Model:
        times.append(1)
        return model.opened()

    silent = ModelSource("m", opened)
    rows = run_stage(
        Asking(second="m"), [sample("1", "x")], models={"m": silent}, replies=ReplyStore(None), ledger=Ledger()
    )
    assert len(rows["1"]) == 2
    assert len(times) == 2  # one for each round


def test_a_model_that_changes_between_fingerprint_and_opening_is_refused() -> None:
    changed = ModelSource("m", Watched().opened, lambda: "another")
    with pytest.raises(ModelError, match="files changed"):
        run_stage(Asking(), [sample("1", "x")], models={"m": changed}, replies=ReplyStore(None), ledger=Ledger())


def test_unknown_model_and_repeated_sample_are_named() -> None:
    with pytest.raises(ModelError, match="no model 'n'"):
        go(Watched(), [sample("1", "x")], ReplyStore(None), stage=Asking("n"))
    with pytest.raises(DataError, match="'1' occurs twice"):
        go(Watched(), [sample("1", "x"), sample("1", "y")], ReplyStore(None))


def test_a_stage_that_reads_nothing_is_stopped() -> None:
    class Mute(Asking):
        def read(self, sample: Sample, answered: list[Answered]) -> list[Said]:
            return []

    with pytest.raises(RuntimeError, match="ask for ever"):
        go(Watched(), [sample("1", "x")], ReplyStore(None), stage=Mute())


@pytest.mark.parametrize("known", [True, False])
def test_a_killed_run_goes_on_with_the_same_batches_and_books(tmp_path: Path, known: bool) -> None:
    samples = [sample(str(i), *(f"{'w ' * (j % 4)}{i} {j}" for j in range(3))) for i in range(9)]
    samples.append(sample("double", "0 0", "w 1 1"))
    whole, ledger = Watched(), Ledger(run="r")
    expected = go(whole, samples, ReplyStore(tmp_path / "whole"), ledger, window=7)
    assert len(whole.batches) > 8
    for kill in range(len(whole.batches)):
        path = tmp_path / f"killed-{kill}"

        def die(n: int, batch: Sequence[Request], at: int = kill) -> None:
            if n == at:
                raise Killed

        killed, resumed, books = Watched(before=die), Watched(), Ledger(run="r")
        with pytest.raises(Killed), ReplyStore(path) as store:
            go(killed, samples, store, Ledger(run="r"), window=7)
        with ReplyStore(path) as store:
            rows = run_stage(
                Asking(), samples, models={"m": source(resumed, known)}, replies=store, ledger=books, window=7
            )
        assert rows == expected
        assert killed.batches + resumed.batches == whole.batches
        assert counts(books) == counts(ledger)


class Drifting(Watched):
    """Answers depend on the batch, as those of real models do in the last bits."""

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        shape = len(batch) * max(self.length(r) for r in batch)
        return [replace(r, scores=(shape / 7,)) for r in super().answer(batch)]


questions = st.lists(st.lists(st.text("ab ", max_size=9), max_size=4), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions, st.integers(1, 9), st.integers(1, 12), st.lists(st.integers(0, 5), max_size=3))
def test_resumed_equals_unkilled(asked: list[list[str]], window: int, budget: int, kills: list[int]) -> None:
    samples = [sample(str(i), *qs) for i, qs in enumerate(asked) if qs]
    stage = Asking(second="m")
    whole, ledger, store = Drifting(budget), Ledger(run="r"), ReplyStore(None)
    expected = go(whole, samples, store, ledger, stage=stage, window=window)
    resumed_store, books, batches = ReplyStore(None), Ledger(run="r"), []
    for kill in (*kills, None):

        def die(n: int, batch: Sequence[Request], at: int | None = kill) -> None:
            if n == at:
                raise Killed

        model = Drifting(budget, die)
        try:
            rows = go(model, samples, resumed_store, books, stage=stage, window=window)
        except Killed:
            continue
        finally:
            batches += model.batches
    assert rows == expected
    assert batches == whole.batches
    keys = [s.key for s in store.sent(Mark("r", "said", "m"))]
    assert resumed_store.get_many(keys) == store.get_many(keys)
    assert books.calls.keys() == ledger.calls.keys()
    if samples:
        assert counts(books) == counts(ledger)
        c = counts(books)
        assert c.asked == c.merged + c.stored + c.sent


def test_a_partly_stored_batch_asks_only_what_is_missing_in_the_same_order() -> None:
    store = ReplyStore(None)
    go(Watched(), [sample("0", "b b b", "e")], store)
    model = Watched(budget=12)
    go(model, [sample("1", "a a a", "b b b", "c c c", "d d d", "e", "f")], store)
    assert model.batches == [["a a a", "c c c", "d d d"], ["f"]]


def test_no_more_than_a_window_is_measured_ahead_of_its_answers() -> None:
    model = Watched(budget=4)
    go(model, [sample(str(i), f"{i}") for i in range(40)], ReplyStore(None), window=10)
    assert [model.measured.count(n) for n in sorted(set(model.measured))] == [10, 10, 10, 10]
    assert max(len(b) for b in model.batches) == 4


def test_ranking_and_writing_never_share_a_batch() -> None:
    class Mixed(Asking):
        def ask(self, sample: Sample, rows: tuple[Said, ...]) -> list[Ask]:
            wants: list[Want] = [Generate(), Rank(("x", "y")), Generate(draw=1), Generate(max_new_tokens=3)]
            return [] if rows else [Ask("m", Request((user(sample.id),), want)) for want in wants]

    kinds: list[list[str]] = []
    model = Watched(80, lambda n, batch: kinds.append([type(r.want).__name__ for r in batch]))
    go(model, [sample("1"), sample("2")], ReplyStore(None), stage=Mixed())
    assert kinds == [["Generate"] * 4, ["Rank"] * 2, ["Generate"] * 2]


def test_memory_is_halved_until_it_fits_and_remembered(tmp_path: Path) -> None:
    tried: list[int] = []

    def small(n: int, batch: Sequence[Request]) -> None:
        tried.append(len(batch))
        if len(batch) > 3:
            raise ModelMemoryError("no room")

    samples = [sample(str(i), f"q{i:02}") for i in range(16)]
    with ReplyStore(tmp_path / "s") as store:
        rows = go(Watched(8, small), samples, store, Ledger(run="r"))
        assert [rows[s.id][0].text for s in samples] == [f"q{i:02}" for i in range(16)]
        assert tried == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]
    tried.clear()
    with ReplyStore(tmp_path / "s") as store:
        go(Watched(8, small), [sample(str(i), f"r{i}") for i in range(8)], store, Ledger(run="r"))
        go(Watched(8, small), [sample("z", "z")], store, Ledger(run="other"))
    assert tried == [2, 2, 2, 2, 1]


def test_a_single_request_that_does_not_fit_is_a_failure() -> None:
    def small(n: int, batch: Sequence[Request]) -> None:
        if any("huge" in r.conversation[0].text for r in batch):
            raise MemoryError

    rows = go(Watched(80, small), [sample("1", "huge one"), sample("2", "x")], ReplyStore(None))
    assert rows["1"][0].reason == "out of memory on one request of 2 tokens"
    assert rows["2"][0].text == "x"


def test_one_bad_request_spoils_nothing_and_is_tried_again_by_the_next_run() -> None:
    def picky(n: int, batch: Sequence[Request]) -> None:
        if any("bad" in r.conversation[0].text for r in batch):
            raise ZeroDivisionError("by bad luck")

    store, ledger = ReplyStore(None), Ledger(run="r")
    samples = [sample("1", "good"), sample("2", "bad"), sample("3", "fine", "bad")]
    rows = go(Watched(8, picky), samples, store, ledger)
    assert rows["2"][0] == Said("2", None, "scripted:watched", "ZeroDivisionError: by bad luck")
    assert [r.text for r in (*rows["1"], *rows["3"])] == ["good", "fine", None]
    assert counts(ledger) == Calls(asked=4, merged=1, sent=3, failed=1, tokens_in=2, tokens_out=2)
    mended = Watched()
    assert go(mended, samples, store, ledger)["2"][0].text == "bad"
    assert mended.batches == [["bad"]]
    assert counts(ledger) == Calls(asked=4, merged=1, sent=3, tokens_in=3, tokens_out=3)


def test_failed_replies_are_rows_with_their_reason_and_tokens() -> None:
    model = ScriptedModel("f", lambda request: Reply(failure="too long", tokens_in=9))
    ledger, store = Ledger(), ReplyStore(None)
    rows = go(model, [sample("1", "x")], store, ledger)
    assert rows["1"][0].reason == "too long"
    assert counts(ledger) == Calls(asked=1, sent=1, failed=1, tokens_in=9)
    assert list(store.sent(Mark("", "said", "m"))) == []


def test_a_broken_model_stops_the_run() -> None:
    def dead(n: int, batch: Sequence[Request]) -> None:
        raise OSError("device lost")

    with pytest.raises(ModelError, match=r"32 requests in a row.*OSError: device lost"):
        go(Watched(80, dead), [sample(str(i), str(i)) for i in range(50)], ReplyStore(None))


def test_too_few_replies_are_refused() -> None:
    class Short(ScriptedModel):
        def answer(self, batch: Sequence[Request]) -> list[Reply]:
            return super().answer(batch)[1:]

    with pytest.raises(ModelError, match="gave 1 replies to 2 requests"):
        go(Short("s", echo), [sample("1", "x", "y")], ReplyStore(None))


def test_a_request_that_cannot_be_measured_goes_alone() -> None:
    class Immeasurable(Watched):
        def length(self, request: Request) -> int:
            if "odd" in request.conversation[0].text:
                raise UnicodeError("odd")
            return super().length(request)

    model = Immeasurable(8)
    go(model, [sample("1", "a", "odd", "b")], ReplyStore(None))
    assert model.batches == [["odd"], ["a", "b"]]


def test_interruption_keeps_what_is_committed_and_closes_the_model() -> None:
    def stop(n: int, batch: Sequence[Request]) -> None:
        if n == 2:
            raise KeyboardInterrupt

    model, store = Watched(1, stop), ReplyStore(None)
    samples = [sample(str(i), f"{i}") for i in range(5)]
    with pytest.raises(KeyboardInterrupt):
        go(model, samples, store, Ledger(run="r"))
    assert len(list(store.sent(Mark("r", "said", "m")))) == 2
    assert not model.is_open
    rest = Watched(1)
    go(rest, samples, store, Ledger(run="r"))
    assert rest.batches == [["2"], ["3"], ["4"]]


class Seeing(Asking):
    """Ask about each sample's pictures."""

    def ask(self, sample: Sample, rows: tuple[Said, ...]) -> list[Ask]:
        pictures = [Media(str(path)) for path in sample.field("q")]
        return [] if rows else [Ask("m", Request((user(p, "what?"),), Generate())) for p in pictures]


def test_equal_pictures_merge_and_unreadable_ones_never_reach_the_model(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "empty.png").write_bytes(b"")
    seen: list[str | None] = []
    model = Watched(999, lambda n, batch: seen.extend(r.conversation[0].media[0].digest for r in batch))
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "empty.png", "none.png")]
    ledger = Ledger()
    rows = go(model, [sample("1", *paths)], ReplyStore(None), ledger, stage=Seeing())
    assert len(seen) == 1
    assert len(seen[0] or "") == 64
    assert [r.text for r in rows["1"]] == ["what?", "what?", None, None]
    assert rows["1"][3].reason == "no such file"
    assert rows["1"][2].reason
    assert str(tmp_path) not in rows["1"][2].reason
    assert counts(ledger) == Calls(asked=4, merged=1, sent=1, failed=2, tokens_in=1, tokens_out=1)


def test_a_picture_that_breaks_its_batch_is_put_aside_and_the_rest_stay_a_batch(tmp_path: Path) -> None:
    paths = []
    for i in range(4):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.new("RGB", (4, 4), (i, 0, 0)).save(paths[-1])

    class Opening(Seeing):
        """The digests are known beforehand, so that nobody has looked into the files yet."""

        def ask(self, sample: Sample, rows: tuple[Said, ...]) -> list[Ask]:
            media = [Media(path, digest=f"{n:064}") for n, path in enumerate(sample.field("q"))]
            return [] if rows else [Ask("m", Request((user(m),), Generate())) for m in media]

    (tmp_path / "2.png").write_bytes(b"\x89PNG broken")
    sizes: list[int] = []

    def opening(n: int, batch: Sequence[Request]) -> None:
        for request in batch:
            Image.open(request.conversation[0].media[0].source).load()
        sizes.append(len(batch))

    rows = go(Watched(999, opening), [sample("1", *paths)], ReplyStore(None), stage=Opening())
    assert sizes == [3]
    assert [r.reason is None for r in rows["1"]] == [True, True, False, True]


def test_the_next_batch_is_prepared_in_a_worker_while_one_is_answered() -> None:
    class Ready(Watched):
        def __init__(self) -> None:
            super().__init__(2)
            self.prepared: list[tuple[list[str], bool]] = []
            self.ready = threading.Event()

        def prepare(self, batch: Sequence[Request]) -> None:
            main = threading.current_thread() is threading.main_thread()
            self.prepared.append(([r.conversation[0].text for r in batch], main))
            self.ready.set()
            if "c" in self.prepared[-1][0]:
                raise OSError("the model's own business")

        def answer(self, batch: Sequence[Request]) -> list[Reply]:
            if len(self.batches) < 2:
                assert self.ready.wait(10)  # prepared while this batch is in flight, not before it
                self.ready.clear()
            return super().answer(batch)

    model = Ready()
    rows = go(model, [sample("1", "a", "b", "c", "d", "e")], ReplyStore(None))
    assert model.prepared == [(["c", "d"], False), (["e"], False)]
    assert [r.text for r in rows["1"]] == ["a", "b", "c", "d", "e"]


def test_early_decisions_are_counted_by_model_or_for_the_stage() -> None:
    class Deciding(Asking):
        def decided_early(self, sample: Sample, rows: tuple[object, ...]) -> int:
            return len(rows) + 1

    class Telling(Asking):
        def decided_early(self, sample: Sample, rows: tuple[object, ...]) -> dict[str, int]:
            return {"m": 2, "spared": 1}

    ledger = Ledger()
    go(Watched(), [sample("1", "x"), sample("2", "y")], ReplyStore(None), ledger, stage=Deciding())
    assert ledger.calls["said"]["*"] == Calls(decided_early=4)
    assert counts(ledger).decided_early == 0
    go(Watched(), [sample("1", "x"), sample("2", "y")], ReplyStore(None), ledger, stage=Telling())
    assert {name: c.decided_early for name, c in ledger.calls["said"].items()} == {"m": 4, "spared": 2}
