"""The reply store: whole batches, several processes, forms old and new."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lookwise.errors import RunError
from lookwise.model import Reply
from lookwise.runs.replies import Mark, ReplyStore, Sent

MARK = Mark("run", "captions", "captioner")


def test_replies_come_back_as_they_were(tmp_path: Path) -> None:
    replies = [
        ("a", Reply("text \ud800 “q”\x00", (), (), None, 3, 4)),
        ("b", Reply("yes", (-0.1, -math.inf, 1e-300, 0.1 + 0.2), (1, 2, 3, 4), None, 5, 0)),
        ("c", Reply("")),
    ]
    with ReplyStore(tmp_path / "new" / "r.sqlite") as store:
        store.put_many(MARK, replies, 6.0)
    with ReplyStore(tmp_path / "new" / "r.sqlite") as store:
        assert store.get_many(["c", "b", "a", "x"]) == dict(replies)
        assert store.known(["x", "b"]) == {"b"}
        assert list(store.sent(MARK)) == [Sent("a", 3, 4, 2.0), Sent("b", 5, 0, 2.0), Sent("c", 0, 0, 2.0)]
        assert list(store.sent(Mark("run", "captions", "other"))) == []


def test_many_keys_are_found() -> None:
    store = ReplyStore(None)
    store.put_many(MARK, [(str(i), Reply(str(i))) for i in range(2345)])
    assert len(store.get_many(str(i) for i in range(0, 5000, 2))) == 1173


def test_the_first_reply_to_a_key_stays_and_each_sender_is_marked() -> None:
    store, other = ReplyStore(None), Mark("other", "captions", "captioner")
    store.put_many(MARK, [("a", Reply("first"))])
    store.put_many(other, [("a", Reply("second"))])
    assert store.get_many(["a"])["a"].text == "first"
    assert [len(list(store.sent(mark))) for mark in (MARK, other)] == [1, 1]


def test_a_failure_is_no_answer_and_a_batch_is_whole_or_not_at_all() -> None:
    store = ReplyStore(None)
    with pytest.raises(ValueError, match="out of reach"):
        store.put_many(MARK, [("a", Reply("x")), ("b", Reply(failure="out of reach"))])
    with pytest.raises(RunError, match="in memory"):
        store.put_many(MARK, [("a", Reply("x")), ("b", Reply(tokens_in=None))])  # type: ignore[arg-type]
    assert store.known(["a", "b"]) == set()
    assert list(store.sent(MARK)) == []
    store.put_many(MARK, [("a", Reply("x"))])
    assert store.known(["a"]) == {"a"}


def test_limits_are_kept_by_run_and_model() -> None:
    store = ReplyStore(None)
    store.remember_limit("run", "m", 64)
    store.remember_limit("run", "m", 32)
    assert (store.limit("run", "m"), store.limit("run", "n"), store.limit("other", "m")) == (32, None, None)


def test_a_store_of_the_first_form_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO replies VALUES ('a', '[\"kept\",[],[],1,2]')")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    with ReplyStore(path) as store:
        assert store.get_many(["a"])["a"] == Reply("kept", tokens_in=1, tokens_out=2)
        store.put_many(MARK, [("b", Reply("new"))])
        store.remember_limit("run", "m", 3)


def test_a_later_form_and_a_file_that_is_no_store_are_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "later.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(RunError, match="update lookwise"):
        ReplyStore(tmp_path / "later.sqlite")
    (tmp_path / "text").write_text("this is a letter, no database " * 9)
    with pytest.raises(RunError, match=r"text: file is not a database; .* another file"):
        ReplyStore(tmp_path / "text")


WRITER = """
import sys
from pathlib import Path
from lookwise.model import Reply
from lookwise.runs.replies import Mark, ReplyStore
name = sys.argv[2]
print("go", flush=True)
sys.stdin.readline()
with ReplyStore(Path(sys.argv[1])) as store:
    for i in range(40):
        store.put_many(Mark(name, "s", "m"), [(f"{name}{i}-{j}", Reply("x")) for j in range(5)])
"""


OPENER = """
import sys
from pathlib import Path
from lookwise.model import Reply
from lookwise.runs.replies import Mark, ReplyStore
print("go", flush=True)
for round_ in range(40):
    sys.stdin.readline()
    with ReplyStore(Path(sys.argv[1]) / str(round_)) as store:
        store.put_many(Mark(sys.argv[2], "s", "m"), [(sys.argv[2], Reply("x"))])
    print("done", flush=True)
"""


def test_processes_that_make_a_store_at_once_wait_for_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENER, str(tmp_path)]
    pipe = subprocess.PIPE
    openers = [subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True, bufsize=1) for name in "abc"]

    def say(word: str) -> None:
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write(word)

    def hear() -> list[str]:
        return [opener.stdout.readline() if opener.stdout else "" for opener in openers]

    assert hear() == ["go\n"] * 3
    for round_ in range(40):
        say("\n")
        assert hear() == ["done\n"] * 3
        with ReplyStore(tmp_path / str(round_)) as store:
            assert store.known("abc") == set("abc")
    for opener in openers:
        opener.communicate()
        assert opener.returncode == 0


def test_processes_share_a_store_and_see_whole_batches_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True) for name in "ab"]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "go\n"
    for writer in writers:  # all at once, on a file that nobody has made yet
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    with ReplyStore(path) as reader:
        while any(writer.poll() is None for writer in writers):
            assert len(list(reader.sent(Mark("a", "s", "m")))) % 5 == 0
        assert [len(list(reader.sent(Mark(name, "s", "m")))) for name in "ab"] == [200, 200]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
