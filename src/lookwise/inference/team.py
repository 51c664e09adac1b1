"""Copies of the model that is being asked, each in a process of its own: they answer batches beside this process.

In: batches of requests.  Out: their replies, in whatever order they come.  Processes start when they are first needed
and stay until the run ends, so that libraries load once; a copy is given work only when its model is open, so nobody
waits for it.  A process ends with the one that started it, however that ends.  It knows neither the store nor samples.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import TracebackType

from lookwise.errors import LookwiseError, ModelError
from lookwise.inference.answering import Answerer
from lookwise.inference.contract import Prepares
from lookwise.inference.keys import Pictures
from lookwise.model import Model, Reply, Request
from lookwise.runs.company import begin_loading, end_with_parent, new_processes, undisturbed

__all__ = ["Batch", "Done", "Team"]

_AHEAD = 2
"""Batches that a copy is given at a time: it opens the pictures of one while it answers the other."""
_WORTH_STARTING = 8
"""Batches from which processes are started; fewer are answered before they would be ready."""
_SECONDS_TO_END = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests with their lengths in tokens, longest first, and the `limit` of a padded batch that is known so far."""

    number: int
    requests: tuple[Request, ...]
    lengths: tuple[int, ...]
    limit: int | None


@dataclass(frozen=True, slots=True)
class Done:
    """The replies to a batch, and the limit that its copy has found."""

    number: int
    replies: tuple[Reply, ...]
    limit: int | None


@dataclass(frozen=True, slots=True)
class _Open:
    turn: int
    copy: Callable[[], Model]


@dataclass(frozen=True, slots=True)
class _Ready:
    turn: int


_Word = _Open | Batch | None
"""What a process is told: open a model, answer, or (None) close the model."""
_Answer = _Ready | Done | LookwiseError


@dataclass
class _Member:
    """One process: its line, the turn whose model it has open, and the batches that it owes."""

    process: BaseProcess
    line: Connection
    ready: int = -1
    owes: set[int] = field(default_factory=set)


class Team:
    """Processes beside this one, none at first.  A context manager; leaving it ends them."""

    def __init__(self) -> None:
        self._members: list[_Member] = []
        self._turn = 0

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self._members:
            member.line.close()
            if error is not None:
                member.process.kill()
        for member in self._members:
            member.process.join(_SECONDS_TO_END)
            member.process.kill()
            member.process.join()
        self._members = []

    def worth(self, batches: int) -> bool:
        """Return whether to share out so many batches."""
        return batches >= (2 if self._members else _WORTH_STARTING)

    def expect(self) -> None:
        """Have libraries loaded elsewhere while the first copy of a model is being opened here."""
        if not self._members:
            begin_loading()

    def open(self, copy: Callable[[int], Model], copies: int) -> None:
        """Have so many processes open a copy of a model; `copy` is given the place of each, 1 for the first."""
        while len(self._members) < copies:
            with undisturbed():
                self._members.append(self._start())
        self._turn += 1
        for place, member in enumerate(self._members[:copies], start=1):
            self._tell(member, _Open(self._turn, partial(copy, place)))

    def offer(self, batch: Batch) -> bool:
        """Give a batch to a copy that has room; return False where none has."""
        free = [m for m in self._members if m.ready == self._turn and len(m.owes) < _AHEAD]
        if not free:
            return False
        member = min(free, key=lambda m: len(m.owes))
        self._tell(member, batch)
        member.owes.add(batch.number)
        return True

    @property
    def ready(self) -> bool:
        """Whether a copy of the model that was opened last can be given work."""
        return any(member.ready == self._turn for member in self._members)

    @property
    def members(self) -> tuple[BaseProcess, ...]:
        """The processes that have been started."""
        return tuple(member.process for member in self._members)

    @property
    def busy(self) -> bool:
        """Whether batches are under way."""
        return any(member.owes for member in self._members)

    def done(self, wait: bool) -> Iterator[Done]:
        """Yield what has been answered since; with `wait`, at least one batch if any is under way."""
        while True:
            lines: list[Connection | int] = [m.line for m in self._members]
            found = connection.wait([*lines, *(m.process.sentinel for m in self._members)], None if wait else 0)
            heard = [m for m in self._members if m.line in found or m.process.sentinel in found]
            for member in heard:
                word = self._hear(member)
                if isinstance(word, Done):
                    member.owes.discard(word.number)
                    wait = False
                    yield word
                elif isinstance(word, _Ready):
                    member.ready = word.turn
            if not heard:
                return

    def close_model(self) -> None:
        """Have every process free its model's memory.  One that has ended is told of when it is next needed."""
        for member in self._members:
            with suppress(BrokenPipeError, ConnectionResetError):
                member.line.send(None)

    def _start(self) -> _Member:
        context = new_processes()
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return _Member(process, ours)

    def _tell(self, member: _Member, word: _Word) -> None:
        try:
            member.line.send(word)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._lost(member) from error

    def _hear(self, member: _Member) -> _Answer:
        try:
            word = member.line.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._lost(member) from error
        if isinstance(word, LookwiseError):
            raise word
        if not isinstance(word, _Ready | Done):
            raise TypeError(f"a copy said {word!r}")
        return word

    def _lost(self, member: _Member) -> LookwiseError:
        """Return why a copy has ended: what it said last, if that was an error, which nobody has heard yet."""
        with suppress(EOFError, OSError):
            while member.line.poll():
                word = member.line.recv()
                if isinstance(word, LookwiseError):
                    return word
        member.process.join(_SECONDS_TO_END)
        return ModelError(
            f"a copy of the model ended with exit code {member.process.exitcode}; "
            "give the same command again, it goes on from here (copies: 1 keeps to one process)"
        )


def _serve(line: Connection) -> None:
    """Answer what comes over the line, until it is closed at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one says when to stop
    end_with_parent()  # a long batch would otherwise be answered for nobody
    words: SimpleQueue[_Word | EOFError] = SimpleQueue()
    threading.Thread(target=_listen, args=(line, words), daemon=True).start()
    try:
        for answer in _answers(words):
            line.send(answer)
    except (BrokenPipeError, ConnectionResetError):
        return
    except LookwiseError as error:
        line.send(error)


def _listen(line: Connection, words: SimpleQueue[_Word | EOFError]) -> None:
    """Take every word off the line at once: whoever sends one never waits for a batch to be answered."""
    try:
        while True:
            words.put(line.recv())
    except (EOFError, ConnectionResetError, OSError):
        words.put(EOFError())


def _answers(words: SimpleQueue[_Word | EOFError]) -> Iterator[_Answer]:
    """Yield an answer to every word that asks for one; a batch's pictures are opened while that before is answered."""
    answerer: Answerer | None = None
    waiting: list[_Word | EOFError] = []
    ready: Future[None] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prepare") as worker:
        while not isinstance(word := waiting.pop() if waiting else words.get(), EOFError):
            if isinstance(word, Batch):
                if answerer is None:
                    raise RuntimeError("a batch came before its model")
                if ready is not None:
                    ready.exception()  # waits; a picture that could not be prepared fails again, with its reason, now
                    ready = None
                if not words.empty():
                    waiting.append(following := words.get())
                    if isinstance(following, Batch) and isinstance(answerer.model, Prepares):
                        ready = worker.submit(answerer.model.prepare, following.requests)
                yield _answered(answerer, word)
                continue
            if answerer is not None:
                answerer.model.close()
            answerer = None if word is None else Answerer(word.copy(), None, Pictures().fault)
            if word is not None:
                yield _Ready(word.turn)


def _answered(answerer: Answerer, batch: Batch) -> Done:
    limits = [limit for limit in (batch.limit, answerer.limit) if limit is not None]
    answerer.limit = min(limits, default=None)
    replies = answerer.answer(batch.requests, batch.lengths)
    return Done(batch.number, tuple(replies), answerer.limit)
