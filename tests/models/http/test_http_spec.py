"""What a user may write for a model behind a server, and that no message ever repeats a secret."""

from __future__ import annotations

import pytest

from lookwise.errors import ModelError
from lookwise.models.http.spec import parse, read_key
from lookwise.models.open import check_spec, fingerprint, is_remote, takes_pictures

SECRET = "sk-very-secret-123"


def test_a_spec_is_read() -> None:
    found = parse(
        "https://API.example.com:8443/v1/?key=MY_KEY&longest=512&rank=text&price=0.5/2&mode=batch#org/name:7b"
    )
    assert (found.base, found.model, found.key) == ("https://api.example.com:8443/v1", "org/name:7b", "MY_KEY")
    assert (found.longest, found.rank, found.mode) == (512, "text", "batch")
    assert found.cost(1_000_000, 500_000) == pytest.approx(1.5)
    plain = parse("http://127.0.0.1:8000/v1#m")
    assert (plain.key, plain.rank, plain.longest, plain.cost(9, 9), plain.local) == (None, "auto", 1024, 0.0, True)
    assert parse("http://[::1]:80/v1#m").base == "http://[::1]:80/v1"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("http://host/v1", "no model is named"),
        ("http:///v1#m", "one of http or https"),
        ("http://host:99999/v1#m", "a bad port"),
        ("http://host /v1#m", "without spaces"),
        (f"http://user:{SECRET}@host/v1#m", "a name or password in the address"),
        (f"http://host/v1?key={SECRET}#m", "takes the name of an environment variable"),
        (f"http://host/v1?api_key={SECRET}#m", "unknown option 'api_key'; did you mean 'key'?"),
        ("http://host/v1?longest=5&longest=6#m", "given twice"),
        ("http://host/v1?longest=0#m", "expected a number from 16 to 8192"),
        ("http://host/v1?longest=nan#m", "expected a number from 16 to 8192"),
        ("http://host/v1?rank=logprob#m", "did you mean 'logprobs'?"),
        ("http://host/v1?longest#m", "expected name=value"),
        ("http://host/v1?price=1/x#m", "price='x'"),
    ],
)
def test_a_spec_that_cannot_be_used_is_refused_without_repeating_secrets(spec: str, says: str) -> None:
    for refuse in (check_spec, fingerprint):
        with pytest.raises(ModelError) as caught:
            refuse(spec)
        assert says in str(caught.value)
        assert SECRET not in str(caught.value)


def test_a_fingerprint_depends_on_what_changes_answers_and_on_no_key_pace_or_price() -> None:
    base = "http://h/v1#m"
    same = ["http://H/v1/#m", "http://h/v1?key=A#m", "http://h/v1?price=1/2&timeout=5&mode=batch#m"]
    other = ["http://h/v2#m", "https://h/v1#m", "http://h/v1#n", "http://h/v1?longest=64#m", "http://h/v1?rank=text#m"]
    assert {fingerprint(spec) for spec in same} == {fingerprint(base)}
    assert len({fingerprint(spec) for spec in [base, *other]}) == 6


def test_a_key_comes_from_the_environment_and_a_missing_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = parse("http://h/v1?key=LOOKWISE_TEST_KEY#m")
    monkeypatch.delenv("LOOKWISE_TEST_KEY", raising=False)
    with pytest.raises(ModelError, match="LOOKWISE_TEST_KEY is not set"):
        check_spec(endpoint.spec)
    monkeypatch.setenv("LOOKWISE_TEST_KEY", f"{SECRET}\n")
    assert read_key(endpoint) == SECRET
    monkeypatch.setenv("LOOKWISE_TEST_KEY", f"{SECRET}\r\nX-Evil: 1")
    with pytest.raises(ModelError) as caught:
        read_key(endpoint)
    assert SECRET not in str(caught.value)
    assert read_key(parse("http://h/v1#m")) is None


def test_what_is_remote() -> None:
    assert is_remote("http://h/v1#m")
    assert is_remote("https://h/v1#m")
    assert not is_remote("hf:org/name")
    assert takes_pictures("http://h/v1#m") is None
