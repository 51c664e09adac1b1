"""A model on a server that behaves, and on one with every fault: what is sent, tried again, stored, given up."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Asked, ChatServer, alternatives, says, sensible
from PIL import Image

from lookwise.errors import BudgetError, ModelError
from lookwise.message import Media, system, user
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.http.budget import Budget
from lookwise.models.http.client import GIVE_UP
from lookwise.models.http.model import HttpModel
from lookwise.models.http.spec import parse
from lookwise.models.open import ModelOptions, open_model
from lookwise.patience import Patience

Opened = Callable[..., HttpModel]
GREEDY = Generate(max_new_tokens=30)
OK = says("fine")


def ask(*texts: str) -> list[Request]:
    return [Request((user(text),), GREEDY) for text in texts]


def many(count: int) -> list[Request]:
    return ask(*(f"question {i}" for i in range(count)))


def collect(model: HttpModel, batch: list[Request], got: list[int]) -> None:
    """Note the place of every answer as it comes."""
    for group in model.stream(batch):
        got += [i for i, reply in group if reply.ok]


def test_text_is_asked_as_the_protocol_has_it(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: says("  an answer ")
    drawn = Generate(max_new_tokens=5, temperature=0.7, top_p=0.9, seed=3, draw=1)
    model = opened()
    replies = model.answer([Request((system("be brief"), user("why?")), GREEDY), Request((user("draw"),), drawn)])
    assert replies == [Reply("  an answer ", (), (), None, 10, 5)] * 2
    first, second = sorted(server.asked, key=lambda a: a.text == "draw")
    assert first.path == "/v1/chat/completions"
    assert first.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "why?"}],
        "max_tokens": 30,
        "temperature": 0.0,
        "stream": False,
    }
    assert (second.body["top_p"], second.body["temperature"]) == (0.9, 0.7)
    assert isinstance(second.body["seed"], int)
    assert "authorization" not in first.headers
    assert model.length(Request((user("x" * 300),), GREEDY)) > 90


def test_pictures_go_in_their_place_shrunk_and_upright(server: ChatServer, opened: Opened, tmp_path: Path) -> None:
    Image.new("RGBA", (400, 200), (255, 0, 0, 0)).save(tmp_path / "a.png")
    first = Media(str(tmp_path / "a.png"))
    linked = Media("https://shop.example/b.jpg", digest="0" * 64)
    opened("longest=100").answer([Request((user("one", first, "two", linked, "three"),), GREEDY)])
    parts = server.asked[0].body["messages"][0]["content"]
    assert [p["type"] for p in parts] == ["text", "image_url", "text", "image_url", "text"]
    sent = Image.open(io.BytesIO(base64.b64decode(server.asked[0].pictures[0].partition(",")[2])))
    assert (sent.size, sent.getpixel((5, 5))) == ((100, 50), (255, 255, 255))
    assert server.asked[0].pictures[1] == "https://shop.example/b.jpg"


def test_a_clip_goes_as_frames_spread_over_it(server: ChatServer, opened: Opened, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (20 * i, 0, 0)) for i in range(10)]
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:], duration=50)
    opened("frames=5").answer([Request((user(Media(str(tmp_path / "clip.gif"), "video"), "?"),), GREEDY)])
    shown = [Image.open(io.BytesIO(base64.b64decode(u.partition(",")[2]))) for u in server.asked[0].pictures]
    reds = [image.getpixel((16, 16))[0] for image in shown]  # type: ignore[index]
    assert [round(red / 20) for red in reds] == [1, 3, 5, 7, 9]


def test_a_video_goes_as_frames(server: ChatServer, opened: Opened, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for i in range(12):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 64), (20 * i, 20 * i, 20 * i)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    opened("frames=3").answer([Request((user(Media(str(tmp_path / "clip.mp4"), "video"), "?"),), GREEDY)])
    shown = [Image.open(io.BytesIO(base64.b64decode(u.partition(",")[2]))) for u in server.asked[0].pictures]
    assert [round(image.convert("L").getpixel((32, 32)) / 20) for image in shown] == [2, 6, 10]  # type: ignore[operator]


def test_a_picture_that_cannot_be_used_fails_alone(server: ChatServer, opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    broken = [Media(str(tmp_path / "broken.jpg")), Media(str(tmp_path / "clip.mp4"), "video"), Media("gone.jpg")]
    replies = opened().answer([*ask("x"), *(Request((user(m),), GREEDY) for m in broken)])
    assert [r.ok for r in replies] == [True, False, False, False]
    assert len(server.asked) == 1
    assert not any(r.final or str(tmp_path) in str(r.failure) for r in replies)


def test_connections_are_kept_and_the_pace_rises(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: Answer(OK.body, delay=0.05)
    replies = opened(concurrency=16).answer(many(120))
    assert all(r.text == "fine" for r in replies)
    assert 8 <= server.most_under_way <= 16
    assert server.connections <= 16


def test_replies_are_yielded_as_they_come_and_each_once(server: ChatServer, opened: Opened) -> None:
    late = threading.Event()

    def script(asked: Asked) -> Answer:
        if asked.text == "question 0":
            late.wait(5)
        return says(asked.text)

    server.script = script
    seen: dict[int, str | None] = {}
    for group in opened().stream(many(20)):
        seen |= {i: reply.text for i, reply in group}
        if len(seen) == 19:
            assert 0 not in seen
            late.set()
    assert seen == {i: f"question {i}" for i in range(20)}


def test_a_busy_server_is_asked_more_slowly_and_obeyed(server: ChatServer, opened: Opened) -> None:
    times: list[float] = []

    def script(asked: Asked) -> Answer:
        times.append(time.monotonic())
        busy = server.under_way > 3
        return (
            Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.1"})
            if busy
            else Answer(OK.body, delay=0.01)
        )

    server.script = script
    model = opened(concurrency=32)
    assert all(r.ok for r in model.answer(many(60)))
    refused = len(server.asked) - 60
    assert 1 <= refused <= 30
    assert max(b - a for a, b in itertools.pairwise(times)) >= 0.09  # everybody waited


FLAWS: dict[str, Callable[[], Answer]] = {
    "429": lambda: Answer({"error": "busy"}, 429),
    "500": lambda: Answer({"error": {"message": "oops"}}, 500),
    "503 as html": lambda: Answer(b"<html>maintenance</html>", 503),
    "dropped": lambda: Answer(drop=True),
    "half a body": lambda: Answer(OK.body, part=0.5),
    "slow": lambda: Answer(OK.body, delay=0.6),
    "garbage": lambda: Answer(b"\xff\xfe\x00 not json"),
    "wrong schema": lambda: Answer({"choices": "none"}),
    "a list": lambda: Answer([1, 2]),
    "deep": lambda: Answer(b"[" * 50_000),
    "packed": lambda: Answer(OK.body, headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_passing_fault_is_tried_again(server: ChatServer, opened: Opened, flaw: str) -> None:
    server.script = lambda asked: FLAWS[flaw]() if asked.number == 0 else OK
    replies = opened("timeout=0.3" if flaw == "slow" else "timeout=20").answer(ask("one"))
    assert replies == [Reply("fine", (), (), None, 10, 5)]
    assert len(server.asked) == 2


@pytest.mark.parametrize("flaw", [*FLAWS, "endless"])
def test_a_fault_that_stays_is_a_failure_with_its_reason_to_be_asked_again(
    server: ChatServer, opened: Opened, flaw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookwise.models.http.client.MAX_BODY", 2**20)
    wrong = FLAWS.get(flaw, lambda: Answer(endless=True))
    server.script = lambda asked: wrong() if asked.text == "bad" else OK
    replies = opened("timeout=0.3" if flaw == "slow" else "timeout=20").answer(ask("good 1", "bad", "good 2"))
    assert [r.ok for r in replies] == [True, False, True]
    assert not replies[1].final
    assert replies[1].failure
    assert "attempts" in replies[1].failure
    paid = flaw in ("garbage", "wrong schema", "a list", "deep", "packed", "endless")
    assert len([a for a in server.asked if a.text == "bad"]) == (2 if paid else 4)


def test_a_server_that_is_not_there_ends_the_run_and_names_the_cure() -> None:
    made = ChatServer()
    spec = made.spec()
    made.close()
    model = HttpModel(parse(spec), patience=Patience(attempts=2, first=0.01))
    try:
        with pytest.raises(ModelError, match=r"cannot be reached.*start it, or mend the address"):
            model.answer(many(100))
    finally:
        model.close()


@pytest.mark.parametrize("status", [500, 400])
def test_a_server_that_only_fails_ends_the_run(server: ChatServer, opened: Opened, status: int) -> None:
    server.script = lambda asked: Answer({"error": "broken"}, status) if asked.number > 20 else OK
    got: list[int] = []
    with pytest.raises(ModelError, match=f"{GIVE_UP} requests in a row.*{status}: broken.*same command again"):
        collect(opened(patience=Patience(attempts=2, first=0.01)), many(200), got)
    assert len(got) == 21
    assert len({asked.text for asked in server.asked}) < 100


def test_an_address_that_is_none_ends_the_run() -> None:
    model = HttpModel(parse("http://shop..example/v1#m"), patience=Patience(attempts=2, first=0.01))
    try:
        with pytest.raises(ModelError, match=r"model on http://shop\.\.example/v1"):
            model.answer(many(3))
    finally:
        model.close()


def test_a_server_that_goes_away_for_a_moment_is_waited_for(server: ChatServer, opened: Opened) -> None:
    model = opened()
    assert model.answer(many(1))[0].ok
    port, script = server.port, server.script
    server.close()
    returned: list[ChatServer] = []
    back = threading.Timer(0.02, lambda: returned.append(ChatServer(script, port)))
    back.start()
    try:
        assert all(r.ok for r in model.answer(many(3)))
    finally:
        back.join()  # it answers before its name is noted
        returned[0].close()


def test_a_wrong_key_or_model_ends_the_run_at_once_after_what_came_is_out(server: ChatServer, opened: Opened) -> None:
    def script(asked: Asked) -> Answer:
        return (
            Answer({"error": {"message": "no such model"}}, 404) if asked.number == 12 else Answer(OK.body, delay=0.02)
        )

    server.script = script
    got: list[int] = []
    with pytest.raises(ModelError, match=r"up to /v1.*the model's name"):
        collect(opened(concurrency=4), many(100), got)
    assert len(got) == len(server.asked) - 1  # whatever was under way was awaited
    assert len(server.asked) < 30


def test_a_budget_ends_the_run_after_what_came_is_out(server: ChatServer, opened: Opened) -> None:
    budget = Budget(requests=25)
    got: list[int] = []
    with pytest.raises(BudgetError, match="25 of 25 requests"):
        collect(opened(budget=budget), many(100), got)
    assert len(got) == len(server.asked) == 25
    assert budget.spent.tokens == 25 * 15


def test_a_model_may_be_asked_again_after_a_budget_is_raised(server: ChatServer, opened: Opened) -> None:
    budget = Budget(requests=3)
    model = opened(budget=budget)
    with pytest.raises(BudgetError):
        model.answer(many(5))
    budget.requests = 100
    assert all(r.ok for r in model.answer(many(5)))


def test_refusals_are_outcomes(server: ChatServer, opened: Opened) -> None:
    answers = {
        "filtered before": Answer({"error": {"message": "flagged", "code": "content_filter"}}, 400),
        "filtered after": says("", finish_reason="content_filter"),
        "declined": says(None, message={"role": "assistant", "content": None, "refusal": "I would rather not."}),
        "all thought": says("", finish_reason="length"),
        "too long": Answer({"error": {"message": "maximum context length is 10"}}, 400),
        "empty": says(""),
    }
    server.script = lambda asked: answers[asked.text]
    replies = dict(zip(answers, opened().answer(ask(*answers)), strict=True))
    assert [name for name, reply in replies.items() if reply.final] == list(answers)[:4]
    assert "I would rather not." in str(replies["declined"].failure)
    assert replies["filtered after"].tokens_in == 10
    assert not replies["too long"].kept
    assert replies["empty"] == Reply("", (), (), None, 10, 5)
    assert len(server.asked) == 6


def test_options_are_ranked_by_first_tokens(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: says("no", logprobs=alternatives(no=-0.2, yes=-1.8))
    (reply,) = opened().answer([Request((user("?"),), Rank(("yes", "no")))])
    assert (reply.text, reply.scores, reply.tokens) == ("no", (-1.8, -0.2), (1, 1))
    assert (server.asked[0].body["logprobs"], server.asked[0].body["max_tokens"]) == (True, 1)


def test_a_server_without_alternatives_is_asked_within_a_schema_then_in_plain_text(
    server: ChatServer, opened: Opened
) -> None:
    def script(asked: Asked) -> Answer:
        if "logprobs" in asked.body:
            return Answer({"error": {"message": "logprobs: not supported"}}, 400)
        if "response_format" in asked.body:
            return Answer({"detail": "response_format is unknown"}, 422)
        return says("I would say neutral.")

    server.script = script
    model = opened()
    request = Request((user("?"),), Rank(("positive", "neutral")))
    assert [model.answer([request])[0].text for _ in range(2)] == ["neutral"] * 2
    assert len(server.asked) == 3 + 1  # what the server does not know is remembered
    server.script = sensible
    (reply,) = opened("rank=constrained").answer([request])
    assert (reply.text, reply.scores) == ("positive", ())


def test_a_ranking_that_needs_two_requests_counts_both(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: says("hm") if "logprobs" in asked.body else says('{"answer": "no"}')
    (reply,) = opened().answer([Request((user("?"),), Rank(("yes", "no")))])
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("no", 20, 10)


def test_the_other_name_of_the_length_is_learnt(server: ChatServer, opened: Opened) -> None:
    def script(asked: Asked) -> Answer:
        if "max_tokens" in asked.body:
            message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return Answer({"error": {"message": message}}, 400)
        return OK

    server.script = script
    model = opened()
    assert [model.answer(ask("x"))[0].text for _ in range(3)] == ["fine"] * 3
    assert len(server.asked) == 4
    assert server.asked[-1].body["max_completion_tokens"] == 30


def test_a_key_is_sent_and_never_said_again(
    server: ChatServer, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "sk-do-not-tell-42"
    monkeypatch.setenv("SHOP_KEY", secret)
    caplog.set_level(logging.DEBUG)
    told = {"error": {"message": f"bad request from {secret}"}}
    answers = {
        "echo": says(f"your key is {secret}"),
        "refuse": Answer(told, 400),
        "stop": Answer(told, 401),
    }
    server.script = lambda asked: answers[asked.text]
    model = opened("key=SHOP_KEY")
    replies = model.answer(ask("echo", "refuse"))
    with pytest.raises(ModelError, match="SHOP_KEY") as caught:
        model.answer(ask("stop"))
    assert all(a.headers["authorization"] == f"Bearer {secret}" for a in server.asked)
    assert replies[0].text == "your key is ***"
    assert secret not in f"{replies} {caught.value!r} {model.name} {model.fingerprint} {caplog.text} {model.__dict__}"


# anyio warns of a connection that was cancelled before its first step; there is nothing to await there.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <coroutine object connect_tcp:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.filterwarnings("ignore:coroutine 'connect_tcp:RuntimeWarning")
def test_closing_drops_what_is_under_way(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: Answer(OK.body, delay=0.0 if asked.number < 3 else 1.0)
    model = opened()
    stream = model.stream(many(20))
    next(stream)
    stream.close()
    began = time.monotonic()
    model.close()
    assert time.monotonic() - began < 0.8
    assert len(server.asked) < 20
    with pytest.raises(ModelError, match="closed"):
        model.answer(many(1))
    assert not [t for t in threading.enumerate() if t.name == "lookwise-http"]
    gc.collect()


def test_no_more_is_sent_than_the_store_keeps_up_with(server: ChatServer, opened: Opened) -> None:
    stored = 0
    with closing(opened(concurrency=3).stream(many(20))) as groups:
        for group in groups:
            time.sleep(0.05)  # a slow disk: the server answers at once
            assert len(server.asked) - stored <= 3
            stored += len(group)
    assert stored == len(server.asked) == 20


def test_a_stop_ends_a_stream_of_one_at_a_time(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: Answer({"error": "no such key"}, 401)
    with pytest.raises(ModelError, match="401"):
        opened(concurrency=1).answer(many(4))
    assert len(server.asked) == 1


def test_it_works_inside_a_running_event_loop(server: ChatServer, opened: Opened) -> None:
    async def notebook() -> list[Reply]:
        return opened().answer(many(3))

    assert [r.ok for r in asyncio.run(notebook())] == [True] * 3


def test_a_spec_opens(server: ChatServer) -> None:
    model: Any = open_model(server.spec(), ModelOptions(concurrency=2))
    try:
        assert json.dumps([r.text for r in model.answer(many(2))]) == '["so it is: 10", "so it is: 10"]'
    finally:
        model.close()


def test_a_proxy_that_cannot_be_used_is_one_sentence_and_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:secret@nowhere:1")
    before = set(threading.enumerate())
    with pytest.raises(ModelError, match="a proxy that the environment names cannot be used") as caught:
        HttpModel(parse("https://models.example/v1#m"))
    assert "secret" not in str(caught.value)
    assert set(threading.enumerate()) == before


def test_a_run_that_stops_gives_every_place_back(server: ChatServer, opened: Opened) -> None:
    server.script = lambda asked: Answer({"error": "no such key"}, status=401)
    model: Any = opened()
    for _ in range(6):  # more often than requests may be under way: a lost place each time would wait for ever
        with pytest.raises(ModelError, match="not let in"):
            model.answer(many(9))
        assert model._client.pace._under_way == 0
