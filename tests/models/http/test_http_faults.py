"""What a server's answer means: which faults pass, which end a run, which are outcomes."""

from __future__ import annotations

import json

import pytest

from lookwise.models.http.faults import Again, Failed, Refused, Stop, Unknown, of_status


def fault(status: int, text: str = "", **headers: str) -> Exception:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return of_status(status, named, text, "model 'm' on http://h/v1", "MY_KEY")


def error(message: str, code: str = "") -> str:
    return json.dumps({"error": {"message": message, "code": code, "type": "t"}})


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_passing_troubles_are_tried_again(status: int) -> None:
    found = fault(status, error("overloaded"), retry_after="7")
    assert isinstance(found, Again)
    assert found.wait == 7.0
    assert found.busy == (status != 500)


@pytest.mark.parametrize(
    ("status", "text", "kind", "says"),
    [
        (401, error("bad key"), Stop, "check the key in MY_KEY"),
        (403, "", Stop, "not let in"),
        (404, error("model `m` does not exist"), Stop, "the model's name"),
        (402, error("pay"), Stop, "no credit left"),
        (429, error("You exceeded", "insufficient_quota"), Stop, "no credit left"),
        (400, error("flagged", "content_filter"), Refused, "refused by the server"),
        (403, error("blocked by moderation"), Refused, "refused by the server"),
        (400, error("logprobs is not supported"), Unknown, "logprobs"),
        (422, json.dumps({"detail": "response_format: extra fields"}), Unknown, "response_format"),
        (400, error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'"), Unknown, "max_tokens"),
        (400, error("maximum context length is 4096, max_tokens is 100"), Failed, "context length"),
        (413, "<html>too large</html>", Failed, "too large"),
        (501, "", Failed, "501"),
    ],
)
def test_other_troubles_have_their_own_meaning(status: int, text: str, kind: type[Exception], says: str) -> None:
    found = fault(status, text)
    assert type(found) is kind
    assert says in str(found)


def test_a_redirect_is_not_followed_but_named() -> None:
    found = fault(307, "", location="https://elsewhere/v1")
    assert isinstance(found, Stop)
    assert "https://elsewhere/v1" in str(found)


def test_a_long_wait_ends_the_run() -> None:
    assert isinstance(fault(429, error("daily limit"), retry_after="3600"), Stop)


def test_what_a_server_says_is_one_short_line() -> None:
    found = fault(500, "<html>\n" + "x" * 10_000)
    assert "\n" not in str(found)
    assert len(str(found)) < 250
    assert str(fault(500, "[" * 100_000)).startswith("500: [[[")
