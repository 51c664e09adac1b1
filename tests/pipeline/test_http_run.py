"""A whole run whose models are all behind a server: stopped by its budget, killed, resumed, and nothing paid twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Asked, ChatServer, sensible

from lookwise.cli import main
from lookwise.rows import Ballot, Caption, Prediction
from lookwise.runs.store import read_rows

SECRET = "sk-never-to-be-written-7"
RECIPE = """
name: remote
tasks: [category_classification, product_relation_prediction]
samples_test: 6
samples_ood: 4
prompts: tiny
captioner: {base}?key=SHOP_KEY&price=1/2#eye
judges: {{a: "{base}?price=1/2#a", b: "{base}?price=1/2#b", c: "{base}?price=1/2#c"}}
reader: {base}?price=1/2#reader
readers: zero-shot
tune_on: []
policies: [none, captions:always, captions:vote]
resamples: 50
"""


@pytest.fixture
def server() -> Iterator[ChatServer]:
    made = ChatServer()
    yield made
    made.close()


@pytest.fixture
def recipe(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_KEY", SECRET)
    path = tmp_path / "remote.yaml"
    path.write_text(RECIPE.format(base=server.base), encoding="utf-8")
    return path


def bodies(server: ChatServer) -> Counter[bytes]:
    return Counter(asked.raw for asked in server.asked)


def books(out: Path) -> Any:
    calls = json.loads((out / "calls.json").read_text(encoding="utf-8"))
    return {s: {m: {k: v for k, v in c.items() if k != "seconds"} for m, c in ms.items()} for s, ms in calls.items()}


def test_a_run_stops_at_its_budget_and_goes_on_without_paying_twice(
    server: ChatServer, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run = ["run", str(recipe), "--until", "predictions", "--out", str(out)]
    assert main([*run, "--set", "budget_requests=9"]) == 130
    assert len(server.asked) == 9
    said = capsys.readouterr().err
    assert "9 of 9 requests" in said
    assert "--set budget_requests=MORE" in said
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["state"].startswith("failed: the budget is spent")
    assert main([*run, "--set", "budget_requests=9"]) == 130  # the budget is the run's, not the process's
    assert len(server.asked) == 9
    assert main([*run, "--set", "budget_tokens=300"]) == 130
    assert 9 <= len(server.asked) <= 20
    assert main([*run, "--set", "budget_money=100"]) == 0
    assert set(bodies(server).values()) == {1}
    captions, ballots = read_rows(out / "rows" / "captions", Caption), read_rows(out / "rows" / "ballots", Ballot)
    predictions = read_rows(out / "rows" / "predictions", Prediction)
    assert captions
    assert all(row.text and row.text.startswith("a picture of") for row in captions)
    assert {row.verdict for row in ballots} == {"yes"}
    assert len(predictions) == 20 * 3
    assert not any(row.reason for row in (*captions, *ballots, *predictions))
    straight = tmp_path / "straight"
    assert main(["run", str(recipe), "--until", "predictions", "--out", str(straight)]) == 0
    assert books(out) == books(straight)
    assert (out / "rows" / "predictions" / "part-00000.parquet").read_bytes() == (
        straight / "rows" / "predictions" / "part-00000.parquet"
    ).read_bytes()
    told = {a.headers.get("authorization") for a in server.asked if a.body["model"] == "eye"}
    assert told == {f"Bearer {SECRET}"}
    assert not any("authorization" in a.headers for a in server.asked if a.body["model"] != "eye")
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == []


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_killed_run_asks_again_only_what_was_not_stored(
    server: ChatServer, recipe: Path, tmp_path: Path, how: signal.Signals, status: int
) -> None:
    def slow(asked: Asked) -> Answer:
        answer = sensible(asked)
        answer.delay = 0.03
        return answer

    server.script = slow
    out = tmp_path / "out"
    command = [sys.executable, "-m", "lookwise", "run", str(recipe), "--out", str(out), "--set", "http_concurrency=3"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ.copy())
    until = time.monotonic() + 60
    while len(server.asked) < 25 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(how)
    process.wait(60)
    assert process.returncode == status
    time.sleep(0.1)
    before = bodies(server)
    with sqlite3.connect(out / "replies.sqlite") as db:
        (stored,) = db.execute("SELECT COUNT(*) FROM replies").fetchone()
    db.close()
    assert stored >= 15
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    twice = [body for body, count in bodies(server).items() if count > 1]
    assert len(twice) == len(before) - stored <= 3


@pytest.mark.slow
def test_faults_become_rows_with_reasons(server: ChatServer, recipe: Path, tmp_path: Path) -> None:
    refused = {"error": {"message": "flagged", "code": "content_filter"}}
    server.script = lambda asked: Answer(refused, 400) if len(asked.raw) % 3 == 0 else sensible(asked)
    out = tmp_path / "out"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    captions = read_rows(out / "rows" / "captions", Caption)
    assert {row.reason is None for row in captions} == {True, False}
    assert all((row.text is None) == (row.reason is not None) for row in captions)
    assert (out / "report.html").is_file()
    asked = len(server.asked)
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["readers=tuned", "tune_on=[none]"], "cannot be tuned"),
        (["captioner=http://h/v1"], "no model is named"),
        (["budget_requests=-1"], "0 (no limit) or positive"),
        (["captioner=http://h/v1#eye", "budget_money=1"], "?price=IN/OUT"),
        (["verifier=http://h/v1#eye", "budget_money=1"], "'eye' on http://h/v1 costs"),
        (["captioner=http://h/v1?key=NO_SUCH_VARIABLE#eye"], "NO_SUCH_VARIABLE is not set"),
    ],
)
def test_a_broken_set_up_stops_before_anything(
    change: list[str], says: str, server: ChatServer, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [word for one in change for word in ("--set", one)]
    assert main(["run", str(recipe), "--out", str(tmp_path / "no"), *settings]) == 1
    assert says in capsys.readouterr().err
    assert server.asked == []
    assert not (tmp_path / "no").exists()


def test_doctor_asks_once_and_says_how_options_are_ranked(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", f"{server.base}#m", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["model"]
    assert (found["answer"], found["ranks_by"]) == ("yes", "log-probabilities of the first token")
    assert len(server.asked) == 1
