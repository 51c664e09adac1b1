"""A provider's batch service: handed in once, found again after a kill, and never paid for twice."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from chat_server import Answer, Asked, ChatServer, alternatives, says

from lookwise.errors import BudgetError
from lookwise.message import Media, user
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.http.budget import Budget
from lookwise.models.http.model import HttpModel

Opened = Callable[..., HttpModel]
BATCH = {"query": "mode=batch", "polls": (0.01, 0.02)}


class Provider:
    """Files and jobs in memory; `result` makes the answer to one request, `looks` is how often a job is still busy."""

    def __init__(self, result: Callable[[Any], Answer | None], looks: int = 2) -> None:
        self.result, self.looks = result, looks
        self.files: dict[str, bytes] = {}
        self.jobs: list[dict[str, Any]] = []
        self.ends = "completed"
        self.lose_start = False

    def __call__(self, asked: Asked) -> Answer:
        path = asked.path.removeprefix("/v1").partition("?")[0]
        if asked.method == "POST" and path == "/files":
            name = f"file-{len(self.files)}"
            content = re.search(rb'name="file".*?\r\n\r\n(.*?)\r\n--', asked.raw, re.DOTALL)
            assert content
            assert b"batch" in asked.raw
            self.files[name] = content.group(1)
            return Answer({"id": name})
        if asked.method == "POST":
            return self._start(json.loads(asked.raw))
        if path == "/batches":
            return Answer({"data": list(reversed(self.jobs)), "has_more": False})
        if path.startswith("/files/"):
            return Answer(self.files[path.split("/")[2]])
        return Answer(self._look(path.split("/")[2]))

    def _start(self, order: dict[str, Any]) -> Answer:
        job = {"id": f"batch-{len(self.jobs)}", "status": "validating", "looks": self.looks, **order}
        self.jobs.append(job)
        if self.lose_start:
            self.lose_start = False
            return Answer(drop=True)
        return Answer(job)

    def _look(self, name: str) -> dict[str, Any]:
        job = next(job for job in self.jobs if job["id"] == name)
        job["looks"] -= 1
        if job["looks"] <= 0 and job["status"] != self.ends:
            self._finish(job)
        return job

    def _finish(self, job: dict[str, Any]) -> None:
        good, bad = [], []
        for line in self.files[job["input_file_id"]].splitlines():
            row = json.loads(line)
            answer = self.result(row["body"])
            if answer is not None:
                response = {"status_code": answer.status, "body": answer.body}
                (good if answer.status == 200 else bad).append({"custom_id": row["custom_id"], "response": response})
        job["status"] = self.ends
        job["request_counts"] = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad)}
        for name, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                job[name] = f"{name}-{job['id']}"
                self.files[job[name]] = b"not json\n" + b"".join(json.dumps(r).encode() + b"\n" for r in rows)


def text_of(body: Any) -> str:
    return str(body["messages"][-1]["content"])


def answers(body: Any) -> Answer | None:
    if "logprobs" in body:
        return says("yes", logprobs=alternatives(yes=-0.1, no=-2.0))
    return says(f"reply to {text_of(body)}")


def questions(count: int) -> list[Request]:
    return [Request((user(f"q{i}"),), Generate(max_new_tokens=8)) for i in range(count)]


def starts(server: ChatServer) -> int:
    return len([a for a in server.asked if a.method == "POST" and a.path == "/v1/batches"])


def test_a_batch_is_one_job_in_the_words_of_a_chat(server: ChatServer, opened: Opened) -> None:
    server.script = provider = Provider(answers)
    asked = [*questions(3), Request((user("?"),), Rank(("yes", "no"))), Request((user(Media("gone.png")),), Generate())]
    groups = list(opened(**BATCH).stream(asked))
    found = {i: reply for group in groups for i, reply in group}
    assert [found[i].text for i in range(3)] == ["reply to q0", "reply to q1", "reply to q2"]
    assert (found[3].text, found[3].scores) == ("yes", (-0.1, -2.0))
    assert found[4].failure == "no such file"
    assert max(len(group) for group in groups) >= 4  # a job is stored whole
    lines = [json.loads(line) for line in provider.files["file-0"].splitlines()]
    assert {line["url"] for line in lines} == {"/v1/chat/completions"}
    assert lines[0]["body"]["max_tokens"] == 8
    assert len({line["custom_id"] for line in lines}) == len(lines) == 4
    assert starts(server) == 1


def test_a_run_that_was_killed_while_it_waited_takes_up_its_job(server: ChatServer, opened: Opened) -> None:
    server.script = provider = Provider(answers, looks=10**6)
    first = opened(**BATCH)
    stream = first.stream(questions(5))
    waiting = threading.Thread(target=lambda: list(_quietly(stream)))
    waiting.start()
    until = time.monotonic() + 10
    while not provider.jobs and time.monotonic() < until:
        time.sleep(0.01)
    first.close()  # everything it knew is gone
    waiting.join()
    provider.looks = 1
    provider.jobs[0]["looks"] = 1
    replies = opened(**BATCH).answer(questions(5))
    assert [r.text for r in replies] == [f"reply to q{i}" for i in range(5)]
    assert starts(server) == 1
    assert (
        opened(**BATCH).answer(questions(5)) == replies
    )  # killed before it stored them: fetched again, not paid again
    assert starts(server) == 1
    opened(**BATCH).answer(questions(4))
    assert starts(server) == 2  # another batch is another job


def _quietly(stream: Any) -> Any:
    with contextlib.suppress(concurrent.futures.CancelledError):
        yield from stream


def test_a_start_whose_answer_was_lost_is_not_repeated(server: ChatServer, opened: Opened) -> None:
    server.script = provider = Provider(answers)
    provider.lose_start = True
    assert all(r.ok for r in opened(**BATCH).answer(questions(2)))
    assert starts(server) == len(provider.jobs) == 1


def test_a_job_that_ran_out_of_time_brings_what_it_has_and_leaves_the_rest_open(
    server: ChatServer, opened: Opened
) -> None:
    server.script = provider = Provider(lambda body: None if text_of(body) == "q1" else answers(body))
    provider.ends = "expired"
    replies = opened(**BATCH).answer(questions(3))
    assert [r.ok for r in replies] == [True, False, True]
    assert replies[1] == Reply(failure="the provider's job ended (expired) without this request")
    provider.ends, provider.result = "completed", answers
    assert opened(**BATCH).answer(questions(3)[1:2])[0].ok


def test_requests_that_failed_inside_a_job_have_their_own_reasons(server: ChatServer, opened: Opened) -> None:
    flaws = {
        "q0": Answer({"error": {"message": "flagged", "code": "content_filter"}}, 400),
        "q1": Answer({"error": {"message": "boom"}}, 500),
        "q2": Answer({"choices": 3}),
    }
    server.script = Provider(lambda body: flaws.get(text_of(body)) or answers(body))
    replies = opened(**BATCH).answer(questions(4))
    assert [(r.ok, r.final) for r in replies] == [(False, True), (False, False), (False, False), (True, False)]
    assert "500: boom" in str(replies[1].failure)


def test_a_job_beyond_the_budget_is_not_handed_in(server: ChatServer, opened: Opened) -> None:
    server.script = Provider(answers)
    budget = Budget(requests=3)
    with pytest.raises(BudgetError):
        opened(**BATCH, budget=budget).answer(questions(4))
    assert starts(server) == 0
    assert len(opened(**BATCH, budget=budget).answer(questions(3))) == 3
    assert (budget.spent.requests, budget.spent.tokens) == (3, 45)


def test_a_list_of_jobs_that_is_none_is_an_empty_one(server: ChatServer, opened: Opened) -> None:
    provider = Provider(lambda order: says("yes"))
    server.script = lambda asked: (
        Answer({"data": 5, "has_more": False}) if asked.path.startswith("/v1/batches?") else provider(asked)
    )
    (reply,) = opened(**BATCH).answer([Request((user("?"),), Generate())])
    assert reply.text == "yes"
