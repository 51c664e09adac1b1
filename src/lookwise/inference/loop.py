"""THE loop: rounds of ask and read, one model open at a time, every batch committed before the next.

In: a stage, samples, models, a reply store, a ledger.  Out: each sample's rows.  It knows no task, no prompt and no
kind of model.  Replies live in the store, asks are asked for again when needed (they are pure), so what it holds of a
round is a key for each ask, and the requests of one window.  docs/design/loop.md says why it is so.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from lookwise.errors import DataError, ModelError, RunError, nearest
from lookwise.inference.answering import Answerer
from lookwise.inference.contract import Answered, Ask, DecidesEarly, ModelSource, Prepares, Stage, Streams
from lookwise.inference.display import Display
from lookwise.inference.keys import Pictures, request_key
from lookwise.inference.plan import WINDOW, plan, windows
from lookwise.inference.tally import Tally
from lookwise.inference.team import Batch, Team
from lookwise.model import Generate, Model, Reply, Request, Want
from lookwise.runs.ledger import Calls, Ledger
from lookwise.runs.replies import Mark, ReplyStore
from lookwise.sample import Sample

__all__ = ["run_stage"]

_ASKS_HELD = 100_000
"""Asks that are kept within a round; those of further samples are asked for again."""
_WORTH_EXPECTING = 512
"""Requests for which copies are made ready while the model opens; whether they are used, the batches decide."""
_READ_AT_ONCE = 512
"""Samples whose replies are fetched together."""

R = TypeVar("R")
Keyed = tuple[str, Request]


def run_stage(
    stage: Stage[R],
    samples: Sequence[Sample],
    *,
    models: Mapping[str, ModelSource],
    replies: ReplyStore,
    ledger: Ledger,
    display: Display | None = None,
    window: int = WINDOW,
    pictures: Pictures | None = None,
    team: Team | None = None,
) -> dict[str, tuple[R, ...]]:
    """Run a stage to its end and return its rows by sample id, in the order of the samples.

    In a round every open sample asks; the asks go to the models in the order of `models`, each opened once, if at
    all; then every sample reads its replies.  Killed at any moment, the same call goes on: it repeats the rounds from
    the store.
    """
    rows: dict[str, tuple[R, ...]] = {sample.id: () for sample in samples}
    if len(rows) < len(samples):
        twice = next(name for name, count in Counter(s.id for s in samples).items() if count > 1)
        raise DataError(f"sample id {twice!r} occurs twice; ids must be unique within a stage")
    loop = _Loop(stage, models, replies, ledger, display, window, pictures or Pictures(), team)
    left = list(samples)
    while left:
        left = loop.round(left, rows)
    ledger.record(stage.name, loop.calls(samples, rows))
    return rows


class _Loop(Generic[R]):
    """One stage on its way: the tallies and what is remembered from round to round."""

    def __init__(
        self,
        stage: Stage[R],
        models: Mapping[str, ModelSource],
        replies: ReplyStore,
        ledger: Ledger,
        display: Display | None,
        window: int,
        pictures: Pictures,
        team: Team | None,
    ) -> None:
        self._stage, self._models, self._replies, self._ledger = stage, models, replies, ledger
        self._display, self._window = display, window
        self._pictures, self._team = pictures, team
        self._fingerprints: dict[str, str] = {}
        self._tallies: dict[str, Tally] = {}

    def round(self, samples: Sequence[Sample], rows: dict[str, tuple[R, ...]]) -> list[Sample]:
        """Ask and read once; return the samples that asked, which may have more to ask."""
        asks = _Asks(lambda i: self._stage.ask(samples[i], rows[samples[i].id]), _ASKS_HELD)
        asking: dict[str, dict[int, int]] = {name: {} for name in self._models}  # model -> sample -> asks
        asked: dict[int, list[str]] = {}  # sample -> the keys of its asks, filled in model by model
        for i in range(len(samples)):
            mine = asks(i)
            for ask in mine:
                if ask.model not in asking:
                    raise ModelError(f"stage {self._stage.name}: no model {ask.model!r}; {nearest(ask.model, asking)}")
                asking[ask.model][i] = asking[ask.model].get(i, 0) + 1
            if mine:
                asked[i] = [""] * len(mine)
        for name, counts in asking.items():
            if counts:
                self._ask_model(name, counts, asks, asked)
        for chunk in windows(asked, _READ_AT_ONCE):
            self._read([(samples[i], asks(i), asked[i]) for i in chunk], rows)
        return [samples[i] for i in asked]

    def calls(self, samples: Sequence[Sample], rows: Mapping[str, tuple[R, ...]]) -> dict[str, Calls]:
        """Return the ledger's entries.  What a stage saved without saying at which model stands under `*`."""
        saved: dict[str, int] = {}
        if isinstance(self._stage, DecidesEarly):
            for sample in samples:
                early = self._stage.decided_early(sample, rows[sample.id])
                for name, count in ({"*": early} if isinstance(early, int) else early).items():
                    saved[name] = saved.get(name, 0) + count
        for name in (n for n, count in saved.items() if count):
            self._tallies.setdefault(name, Tally())
        order = [n for n in (*self._models, *saved) if n in self._tallies]
        return {n: self._tallies[n].calls(self._replies.sent(self._mark(n)), saved.get(n, 0)) for n in order}

    def _mark(self, name: str) -> Mark:
        return Mark(self._ledger.run, self._stage.name, name)

    def _ask_model(
        self, name: str, counts: Mapping[int, int], asks: Callable[[int], list[Ask]], asked: Mapping[int, list[str]]
    ) -> None:
        """Bring every reply that one model owes this round into the store, window by window."""
        if self._display:
            self._display.begin(f"{self._stage.name} · {name}", sum(counts.values()))
        slot = _Slot(self._models[name], self._fingerprints.get(name))
        try:
            self._fingerprints[name] = slot.fingerprint
            for window in windows(self._unique(name, counts, asks, asked), self._window):
                stored = self._replies.known(key for key, _ in window)
                self._advance(stored=len(stored))
                if len(stored) < len(window):
                    self._fill(name, slot, window, stored)
        finally:
            slot.close()
            if self._display:
                self._display.end()

    def _unique(
        self, name: str, counts: Mapping[int, int], asks: Callable[[int], list[Ask]], asked: Mapping[int, list[str]]
    ) -> Iterator[Keyed]:
        """Yield the round's unique requests to a model in the order of the samples, and note every ask's key."""
        tally = self._tallies.setdefault(name, Tally())
        seen: set[str] = set()
        for i in counts:
            for j, ask in enumerate(asks(i)):
                if ask.model != name:
                    continue
                request, fault = self._pictures.resolve(ask.request)
                key = asked[i][j] = request_key(self._fingerprints[name], request)
                tally.asked += 1
                tally.unique.add(key)
                if fault:
                    tally.unread[key] = Reply(failure=fault)
                    self._advance(unread=1)
                elif key in seen:
                    self._advance(merged=1)
                else:
                    seen.add(key)
                    yield key, request

    def _fill(self, name: str, slot: _Slot, window: Sequence[Keyed], stored: set[str]) -> None:
        """Plan a whole window, then ask what is missing of each batch; while one is answered the next is prepared."""
        if len(window) - len(stored) >= _WORTH_EXPECTING:
            slot.expect(self._team)
        model = slot.model
        if isinstance(model, Streams):
            self._drain(name, model, [one for one in window if one[0] not in stored])
            return
        answerer = Answerer(model, self._replies.limit(self._ledger.run, slot.fingerprint), self._pictures.fault)
        lengths = [answerer.length(request) for _, request in window]
        planned = plan(lengths, model.batch_tokens, [_group(request.want) for _, request in window])
        missing = [[i for i in batch if window[i][0] not in stored] for batch in planned]
        work = deque(_Work([window[i] for i in batch], [lengths[i] for i in batch]) for batch in missing if batch)
        team, given = slot.enlist(self._team, len(work)), list[_Work]()
        for mine in _ahead(model, work):
            if team is not None:
                self._share(name, answerer, team, work, given)
            self._commit(name, answerer, mine)
        while team is not None and team.busy:
            self._share(name, answerer, team, work, given, wait=True)

    def _share(
        self, name: str, answerer: Answerer, team: Team, work: deque[_Work], given: list[_Work], wait: bool = False
    ) -> None:
        """Store what copies have answered, and give them more.  Time counts only while this process waits for them."""
        while work and team.offer(work[0].batch(len(given), answerer.limit)):
            given.append(work.popleft())
        began = time.perf_counter()
        for done in team.done(wait):
            seconds = time.perf_counter() - began if wait else 0.0
            if done.limit is not None and (answerer.limit is None or done.limit < answerer.limit):
                answerer.limit = done.limit
                self._replies.remember_limit(self._ledger.run, answerer.model.fingerprint, done.limit)
            self._settle(name, given[done.number].keyed(done.replies), seconds)
            began = time.perf_counter()

    def _drain(self, name: str, model: Streams, missing: Sequence[Keyed]) -> None:
        """Store replies as they arrive: whatever ends the run, what has been answered is not asked again."""
        began = time.perf_counter()
        with closing(model.stream([request for _, request in missing])) as groups:
            for group in groups:
                now = time.perf_counter()
                self._settle(name, [(missing[i][0], reply) for i, reply in group], now - began)
                began = now

    def _commit(self, name: str, answerer: Answerer, work: _Work) -> None:
        """Answer one batch and store it whole."""
        limit, began = answerer.limit, time.perf_counter()
        found = answerer.answer([request for _, request in work.requests], work.lengths)
        seconds = time.perf_counter() - began
        if answerer.limit is not None and answerer.limit != limit:
            self._replies.remember_limit(self._ledger.run, answerer.model.fingerprint, answerer.limit)
        self._settle(name, work.keyed(found), seconds)

    def _settle(self, name: str, found: Sequence[tuple[str, Reply]], seconds: float) -> None:
        """Store replies in one step; failures that the next run asks again are kept for this process only."""
        share = seconds / len(found)
        kept = [(key, reply) for key, reply in found if reply.kept]
        self._replies.put_many(self._mark(name), kept, share * len(kept))
        for key, reply in found:
            self._tallies[name].settle(key, reply, share)
        self._advance(sent=len(found))

    def _read(self, chunk: Sequence[tuple[Sample, list[Ask], list[str]]], rows: dict[str, tuple[R, ...]]) -> None:
        """Hand each sample its replies, from the store always: what a resumed run reads is what this one read."""
        found = self._replies.get_many(dict.fromkeys(key for _, _, keys in chunk for key in keys))
        for sample, asks, keys in chunk:
            for ask, key in zip(asks, keys, strict=True):
                if key in found and not found[key].ok:
                    self._tallies[ask.model].final.add(key)
            answered = [
                Answered(ask, found.get(key) or self._failure(ask.model, key), self._fingerprints[ask.model])
                for ask, key in zip(asks, keys, strict=True)
            ]
            more = self._stage.read(sample, answered)
            if not more:
                raise RuntimeError(
                    f"stage {self._stage.name}: sample {sample.id} asked, but read no rows; it would ask for ever"
                )
            rows[sample.id] += tuple(more)

    def _failure(self, name: str, key: str) -> Reply:
        reply = self._tallies[name].failure(key)
        if reply is None:
            raise RunError(f"reply store {self._replies.path}: a reply has vanished; was the file changed meanwhile?")
        return reply

    def _advance(self, sent: int = 0, stored: int = 0, merged: int = 0, unread: int = 0) -> None:
        if self._display:
            self._display.advance(sent, stored, merged, unread)


class _Asks:
    """The asks of samples by their place: the first ones are remembered, as many as may be held.

    Places are visited in order and several times, so forgetting the oldest first would forget each before its turn.
    """

    def __init__(self, ask: Callable[[int], list[Ask]], most: int) -> None:
        self._ask, self._left = ask, most
        self._held: dict[int, list[Ask]] = {}

    def __call__(self, i: int) -> list[Ask]:
        found = self._held.get(i)
        if found is None:
            found = self._ask(i)
            if len(found) <= self._left:
                self._left -= len(found)
                self._held[i] = found
        return found


@dataclass(frozen=True, slots=True)
class _Work:
    """A planned batch: what it asks, and how long each request is."""

    requests: list[Keyed]
    lengths: list[int]

    def batch(self, number: int, limit: int | None) -> Batch:
        """Return it as a copy in another process is given it."""
        return Batch(number, tuple(request for _, request in self.requests), tuple(self.lengths), limit)

    def keyed(self, replies: Sequence[Reply]) -> list[tuple[str, Reply]]:
        """Return its replies by their keys."""
        return [(key, reply) for (key, _), reply in zip(self.requests, replies, strict=True)]


def _ahead(model: Model, work: deque[_Work]) -> Iterator[_Work]:
    """Yield what is left of the work, batch by batch; the pictures of the next are opened while one is answered."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare") as worker:
        ready: Future[None] | None = None
        mine = work.popleft() if work else None
        while mine is not None:
            following = work.popleft() if work else None
            if ready is not None:
                ready.exception()  # waits; a picture that could not be prepared fails again, with its reason, later
            if isinstance(model, Prepares) and following is not None:
                ready = worker.submit(model.prepare, [request for _, request in following.requests])
            yield mine
            mine = following


class _Slot:
    """A model that is opened when it is first needed and closed when its round is over."""

    def __init__(self, source: ModelSource, known: str | None) -> None:
        self._source = source
        self._known = known or (source.fingerprint() if source.fingerprint else None)
        self._open: Model | None = None
        self._team: Team | None = None

    @property
    def fingerprint(self) -> str:
        """The model's fingerprint; it is opened for it only where its source cannot tell."""
        return self._known or self.model.fingerprint

    @property
    def model(self) -> Model:
        """The open model."""
        if self._open is None:
            self._open = self._source.open()
            found = self._open.fingerprint
            if self._known not in (None, found):
                raise ModelError(
                    f"model {self._source.name!r}: fingerprint {found} once opened, {self._known} before; "
                    "its files changed meanwhile: give the command again"
                )
        return self._open

    def expect(self, team: Team | None) -> None:
        """Say that copies will be wanted, before the first is opened here."""
        if self._open is None and team is not None and self._source.copy is not None and self._source.copies > 1:
            team.expect()

    def enlist(self, team: Team | None, batches: int) -> Team | None:
        """Return the team with copies of this model, if it has any to offer and the work is worth it."""
        copy, further = self._source.copy, self._source.copies - 1
        if self._team is None and team is not None and copy is not None and further > 0 and team.worth(batches):
            team.open(copy, further)
            self._team = team
        return self._team

    def close(self) -> None:
        """Free the model and its copies, if they were opened."""
        if self._open is not None:
            self._open.close()
        if self._team is not None:
            self._team.close_model()


def _group(want: Want) -> tuple[object, ...]:
    """Requests that one call can answer together: ranking apart from writing, and writing by its settings."""
    if isinstance(want, Generate):
        return ("generate", want.max_new_tokens, want.temperature, want.top_p)
    return ("rank",)
