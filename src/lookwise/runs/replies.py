"""Replies by content key, in one SQLite file that several runs may share.

In: keys (inference/keys.py), replies, and the mark of who asked.  Out: the replies that are there, and what a run has
sent.  A failure is tried again by the next run and never stored, save a final one (model.Reply).  It knows neither
samples nor models nor what a key is made of.

`put_many` is one transaction, so a batch is there whole or not at all, whenever the process is killed; other processes
read meanwhile.  `calls` says which run's stage sent each key: the ledger counts those marks, not its own steps, so the
count of a run that was killed and went on cannot drift from that of one that ran through.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lookwise.errors import RunError
from lookwise.model import Reply

__all__ = ["Mark", "ReplyStore", "Sent"]

_COMPACT = json.JSONEncoder(separators=(",", ":"))
_CHUNK = 500
"""Keys per query; SQLite allowed 999 variables for most of its life."""
_PATIENCE, _AGAIN = 60.0, 0.01
"""Seconds to wait for another process's transaction, and before asking again where SQLite does not wait."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Who sent a request: the run's id, the stage, the stage's name for the model."""

    run: str
    stage: str
    model: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that was sent and answered: its key, its tokens, and its share of its batch's seconds."""

    key: str
    tokens_in: int
    tokens_out: int
    seconds: float


class ReplyStore:
    """Replies on disk, or in memory when `path` is None.  For one thread; processes may share a file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._db = sqlite3.connect(path or ":memory:", timeout=_PATIENCE, isolation_level=None)
            try:
                self._prepare()
            except (sqlite3.Error, RunError):
                self._db.close()
                raise

    def get_many(self, keys: Iterable[str]) -> dict[str, Reply]:
        """Return the stored replies among the keys."""
        found = self._select("SELECT key, reply FROM replies WHERE key IN", keys)
        return {str(key): _decode(str(reply)) for key, reply in found}

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys are stored."""
        return {str(key) for (key,) in self._select("SELECT key FROM replies WHERE key IN", keys)}

    def put_many(self, mark: Mark, replies: Sequence[tuple[str, Reply]], seconds: float = 0.0) -> None:
        """Store a batch of answers and who sent them, whole or not at all; `seconds` is the batch's.

        A key that another process has stored meanwhile keeps that first reply.
        """
        for key, reply in replies:
            if not reply.kept:
                raise ValueError(f"reply {key} is a failure ({reply.failure}); only answers are stored")
        share = seconds / len(replies) if replies else 0.0
        who = (mark.run, mark.stage, mark.model)
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO replies VALUES (?, ?) ON CONFLICT DO NOTHING", [(k, _encode(r)) for k, r in replies]
            )
            db.executemany(
                "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(*who, k, r.tokens_in, r.tokens_out, share) for k, r in replies],
            )

    def sent(self, mark: Mark) -> Iterator[Sent]:
        """Yield what has been stored under a mark, in the order of the keys."""
        query = "SELECT key, tokens_in, tokens_out, seconds FROM calls WHERE run = ? AND stage = ? AND model = ?"
        with self._named():
            for row in self._db.execute(f"{query} ORDER BY key", (mark.run, mark.stage, mark.model)):
                yield Sent(*row)

    def spent(self, run: str) -> dict[str, tuple[int, int, int]]:
        """Return what a run has sent so far, by the stage's name for the model: requests, tokens in, tokens out."""
        query = "SELECT model, COUNT(*), SUM(tokens_in), SUM(tokens_out) FROM calls WHERE run = ? GROUP BY model"
        with self._named():
            return {str(model): (int(n), int(i), int(o)) for model, n, i, o in self._db.execute(query, (run,))}

    def limit(self, run: str, fingerprint: str) -> int | None:
        """Return the batch size in tokens that a run has learned to keep to, if it ever ran out of memory."""
        query = "SELECT tokens FROM limits WHERE run = ? AND model = ?"
        with self._named():
            row = self._db.execute(query, (run, fingerprint)).fetchone()
        return int(row[0]) if row else None

    def remember_limit(self, run: str, fingerprint: str, tokens: int) -> None:
        """Keep that batch size, so that the run cuts its batches alike when it is resumed."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?, ?)", (run, fingerprint, tokens))

    def close(self) -> None:
        """Close the file; the store is not used again."""
        self._db.close()

    def __enter__(self) -> ReplyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        # With WAL, NORMAL loses nothing to a killed process; a power cut may cost the last batches, never the file.
        self._write_ahead()
        self._db.execute("PRAGMA synchronous = NORMAL")
        if self._version() == len(_MIGRATIONS):
            return
        with self._transaction() as db:
            for number in range(self._version(), len(_MIGRATIONS)):  # asked again: another process may have been first
                _MIGRATIONS[number](db)
                db.execute(f"PRAGMA user_version = {number + 1}")

    def _write_ahead(self) -> None:
        """Turn the file to WAL.  While another process turns a new one, SQLite refuses at once, without waiting."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_AGAIN)

    def _version(self) -> int:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > len(_MIGRATIONS):
            raise RunError(
                f"reply store {self.path}: its form is {version}, this version of lookwise knows up to "
                f"{len(_MIGRATIONS)}; update lookwise or name another file"
            )
        return version

    def _select(self, query: str, keys: Iterable[str]) -> Iterator[tuple[object, ...]]:
        wanted = list(keys)
        for start in range(0, len(wanted), _CHUNK):
            some = wanted[start : start + _CHUNK]
            with self._named():
                yield from self._db.execute(f"{query} ({','.join('?' * len(some))})", some).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            cure = "free disk space, wait for the process that holds it, or name another file"
            raise RunError(f"reply store {self.path or 'in memory'}: {error}; {cure}") from error


def _m001_replies(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID")


def _m002_calls(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE calls (run TEXT, stage TEXT, model TEXT, key TEXT, tokens_in INTEGER NOT NULL, "
        "tokens_out INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (run, stage, model, key)) WITHOUT ROWID"
    )


def _m003_limits(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE limits (run TEXT, model TEXT, tokens INTEGER NOT NULL, PRIMARY KEY (run, model)) WITHOUT ROWID"
    )


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_m001_replies, _m002_calls, _m003_limits)


def _encode(reply: Reply) -> str:
    fields = [reply.text, reply.scores, reply.tokens, reply.tokens_in, reply.tokens_out]
    return _COMPACT.encode(fields if reply.ok else [*fields, reply.failure])


def _decode(stored: str) -> Reply:
    text, scores, tokens, tokens_in, tokens_out, *failure = json.loads(stored)
    why = failure[0] if failure else None
    return Reply(text, tuple(scores), tuple(tokens), why, tokens_in, tokens_out, final=bool(failure))
