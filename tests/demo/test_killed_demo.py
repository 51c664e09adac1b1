"""`lookwise run demo-quick`, killed at drawn moments, goes on and ends in the same bytes, with no call paid for twice.

Moments are drawn: what is being done, and how often it has been done (of as often as a run does it that nobody kills).
Asked twice is told by what models were really asked, batch by batch, not by the run's books, which hold a request once.
Ctrl-C at such a moment ends the same run with status 130 and a line that says so.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import killed
import pytest
from killed import DONE

pytestmark = pytest.mark.slow

KILLER = Path(killed.__file__)
SEED = 7
ALWAYS = ("captioning", "balloting", "tuning", "manifest")
MOMENTS = 10


def drawn() -> list[tuple[str, float]]:
    """Return what is done when the run is killed, and what share of it has been done by then."""
    rng = random.Random(SEED)
    what = [*ALWAYS, *rng.choices(list(DONE), k=MOMENTS - len(ALWAYS))]
    return [(one, rng.random()) for one in what]


def begin(out: Path, log: Path, what: str = "nothing", nth: int = 0, threads: int = 1) -> subprocess.Popen[str]:
    """Start the demo in a session of its own, as a terminal does; what it says is in a file beside its log."""
    line = [sys.executable, str(KILLER), str(log), what, str(nth), "run", "demo-quick", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with said(log).open("a", encoding="utf-8") as file:
        return subprocess.Popen(line, stdout=file, stderr=file, env=environment, start_new_session=True, text=True)


def said(log: Path) -> Path:
    return log.with_suffix(".said")


def demo(out: Path, log: Path, what: str = "nothing", nth: int = 0, threads: int = 1) -> int:
    return begin(out, log, what, nth, threads).wait(timeout=900)


def calls(out: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((out / "calls.json").read_text(encoding="utf-8"))
    return {s: {m: {k: v for k, v in c.items() if k != "seconds"} for m, c in ms.items()} for s, ms in table.items()}


def lines(log: Path) -> list[dict[str, Any]]:
    whole = log.read_text(encoding="utf-8").rpartition("\n")[0] if log.is_file() else ""  # one may be half written
    return [json.loads(line) for line in whole.splitlines()]


def asked(log: Path) -> Counter[str]:
    """Return how often a model was asked each request, by its key."""
    return Counter(key for line in lines(log) for key in line.get("asked", ()))


def stored(out: Path) -> set[str]:
    if not (out / "replies.sqlite").is_file():
        return set()
    with closing(sqlite3.connect(out / "replies.sqlite")) as db:
        return {key for (key,) in db.execute("SELECT key FROM replies")}


def straight(folder: Path, threads: int) -> Path:
    """Return a run that nobody kills; its log stands beside it."""
    out = folder / "demo"
    assert demo(out, folder / "log", threads=threads) == 0
    found = asked(folder / "log")
    assert set(found) == stored(out), "what was asked is what was stored, so the log sees every request"
    assert set(found.values()) == {1}
    return out


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return straight(tmp_path_factory.mktemp("unkilled"), threads=1)


@pytest.fixture(scope="module")
def unkilled_on_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return straight(tmp_path_factory.mktemp("unkilled-on-two"), threads=2)


def kill_and_go_on(whole: Path, tmp_path: Path, what: str, nth: int, threads: int = 1) -> None:
    out, before, after = tmp_path / "demo", tmp_path / "before", tmp_path / "after"
    out.mkdir()
    shutil.copytree(whole / "data", out / "data")  # drawing the pictures is not what is tested here
    assert demo(out, before, what, nth, threads) == -signal.SIGKILL, f"{what} {nth}"
    committed = stored(out)
    assert committed <= set(asked(before))
    assert demo(out, after, threads=threads) == 0
    assert (out / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()
    assert calls(out) == calls(whole)
    again = asked(after)
    assert not committed & set(again), f"{what} {nth}: a reply that was stored has been paid for again"
    assert set(again) == stored(whole) - committed, "and all others were asked"
    assert set(again.values()) <= {1}


@pytest.mark.parametrize(("what", "share"), drawn(), ids=[f"{what}-{share:.2f}" for what, share in drawn()])
def test_killed_here_it_goes_on_to_the_same_end(what: str, share: float, unkilled: Path, tmp_path: Path) -> None:
    often = sum(line.get("did") == what for line in lines(unkilled.with_name("log")))
    assert often, f"a whole run does no {what}"
    kill_and_go_on(unkilled, tmp_path, what, 1 + int(share * often))


def test_killed_while_two_readers_are_tuned_at_a_time_it_goes_on_too(unkilled_on_two: Path, tmp_path: Path) -> None:
    steps = sum(line.get("did") == "tuning" for line in lines(unkilled_on_two.with_name("log")))
    kill_and_go_on(
        unkilled_on_two, tmp_path, "tuning", steps // 2 + 2, threads=2
    )  # more than one reader's share of them
    assert "tuning, 2 at a time" in said(tmp_path / "before").read_text(encoding="utf-8")


def interrupt(out: Path, log: Path, threads: int, reached: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Press Ctrl-C once the run's log says that it is so far: every process in its session is told."""
    process = begin(out, log, threads=threads)
    try:
        until = time.monotonic() + 600
        while not reached(lines(log)):
            assert process.poll() is None, "it ended before that"
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
    words = said(log).read_text(encoding="utf-8")
    assert words.endswith("lookwise: interrupted; the same command goes on from here\n")
    assert "Traceback" not in words


@pytest.mark.parametrize("threads", [1, 2])
def test_interrupted_while_captions_are_written_and_readers_tuned_it_goes_on(
    threads: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole: Path = request.getfixturevalue("unkilled" if threads == 1 else "unkilled_on_two")
    out = tmp_path / "demo"
    out.mkdir()
    shutil.copytree(whole / "data", out / "data")
    interrupt(out, tmp_path / "captions", threads, lambda log: any("asked" in line for line in log))
    assert not (out / "rows" / "captions" / "manifest.json").exists()
    interrupt(out, tmp_path / "tuning", threads, lambda log: sum(line.get("did") == "tuning" for line in log) >= 3)
    assert (out / "rows" / "evidence" / "manifest.json").is_file()
    assert not list((out / "adapters").rglob("card.json")), "no reader was ready yet"
    assert demo(out, tmp_path / "rest", threads=threads) == 0
    assert (out / "scores.json").read_bytes() == (whole / "scores.json").read_bytes()
    assert calls(out) == calls(whole)
