"""Fetching pictures from a real server on loopback: what is got, what is refused and why, and going on."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from picture_server import Page, PictureServer, picture

from lookwise.errors import DataError, RunError
from lookwise.fetching import Limits, Shelf, address, fetch
from lookwise.patience import Patience

LIMITS = Limits(private=True, seconds=5, patience=Patience(attempts=3, first=0.01, longest=0.02))
Script = Callable[[str, int], Page]
Serve = Callable[[Script], PictureServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return script -> a server; closed when the test is over."""
    servers: list[PictureServer] = []

    def start(script: Script) -> PictureServer:
        servers.append(PictureServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def reason(server: PictureServer, tmp_path: Path, path: str = "/x.png", limits: Limits = LIMITS) -> str | None:
    url = server.base + path
    return fetch([url], Shelf(tmp_path / "shelf"), limits)[url].reason


def test_each_address_is_fetched_once_into_a_file_named_by_its_content(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture("blue" if path == "/b.png" else "red")))
    urls = [server.base + path for path in ("/a.png", "/b.png", "/a.png", "/same-as-a.png")]
    shelf = Shelf(tmp_path / "shelf")
    got = fetch(urls, shelf, LIMITS)
    assert list(got) == list(dict.fromkeys(urls))
    assert [got[u].digest for u in urls] == [
        hashlib.sha256(picture(c)).hexdigest() for c in ("red", "blue", "red", "red")
    ]
    for outcome in got.values():
        assert outcome.digest is not None
        assert hashlib.sha256(shelf.path(outcome.digest).read_bytes()).hexdigest() == outcome.digest
    assert len([p for p in (shelf.folder / "pictures").rglob("*") if p.is_file()]) == 2
    again = fetch(urls, Shelf(tmp_path / "shelf"), LIMITS)
    assert again == got
    assert set(server.visits.values()) == {1}
    assert list((shelf.folder / "drafts").iterdir()) == []


def test_a_call_goes_on_where_one_was_killed(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture()))
    urls = [f"{server.base}/{i}.png" for i in range(4)]
    fetch(urls[:2], Shelf(tmp_path), LIMITS)
    journal = tmp_path / "fetched.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text(lines[0] + "\n" + lines[1][:30])  # killed while it wrote the second line
    (tmp_path / "drafts" / "7").write_bytes(b"half a pict")
    got = fetch(urls, Shelf(tmp_path), LIMITS)
    assert all(f.reason is None for f in got.values())
    assert server.visits == {"/0.png": 1, "/1.png": 2, "/2.png": 1, "/3.png": 1} or server.visits == {
        "/0.png": 2,
        "/1.png": 1,
        "/2.png": 1,
        "/3.png": 1,
    }
    assert Shelf(tmp_path).known == got
    assert list((tmp_path / "drafts").iterdir()) == []


def test_a_lost_file_is_fetched_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture()))
    url, shelf = server.base + "/x.png", Shelf(tmp_path)
    digest = fetch([url], shelf, LIMITS)[url].digest
    assert digest is not None
    shelf.path(digest).write_bytes(b"cut")
    assert fetch([url], shelf, LIMITS)[url].digest == digest
    assert shelf.path(digest).read_bytes() == picture()


def test_passing_trouble_is_tried_again_and_retry_after_is_honoured(serve: Serve, tmp_path: Path) -> None:
    def script(path: str, visit: int) -> Page:
        if visit == 1:
            return Page(status=503, headers={"Retry-After": "0.4"})
        return Page(picture(), cut=visit == 2)

    server = serve(script)
    began = time.monotonic()
    assert reason(server, tmp_path) is None
    assert time.monotonic() - began >= 0.4
    assert server.visits["/x.png"] == 3


def test_a_host_that_asks_to_wait_is_left_alone_by_all(serve: Serve, tmp_path: Path) -> None:
    times: list[float] = []

    def script(path: str, visit: int) -> Page:
        times.append(time.monotonic())
        if len(times) == 1:
            return Page(status=429, headers={"Retry-After": "0.4"})
        return Page(picture())

    server = serve(script)
    urls = [f"{server.base}/{i}.png" for i in range(3)]
    got = fetch(urls, Shelf(tmp_path), replace(LIMITS, per_host=1))
    assert all(f.reason is None for f in got.values())
    assert times[1] - times[0] >= 0.4


def test_what_is_gone_is_not_asked_again_but_a_busy_server_is(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(status=404 if path == "/gone" else 500))
    urls = [server.base + "/gone", server.base + "/busy"]
    for _ in range(2):
        got = fetch(urls, Shelf(tmp_path), LIMITS)
        assert [f.reason for f in got.values()] == ["404 not found", "500 internal server error"]
    assert server.visits == {"/gone": 1, "/busy": 6}
    missing = json.loads((tmp_path / "missing.json").read_text())
    assert missing["addresses"] == missing["missing"] == 2
    assert missing["reasons"] == {"404 not found": 1, "500 internal server error": 1}
    assert missing["list"][0] == {"url": urls[0], "reason": "404 not found", "final": True}


def test_a_wait_longer_than_allowed_is_left_for_a_later_call(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(status=429, headers={"Retry-After": "3600"}))
    assert reason(server, tmp_path) == "429 too many requests; its server asks to wait 3600 s"
    assert server.visits["/x.png"] == 1


def test_few_at_a_time_from_one_host(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture(), delay=0.03))
    fetch([f"{server.base}/{i}.png" for i in range(12)], Shelf(tmp_path / "a"), replace(LIMITS, per_host=3))
    assert server.most_at_once == 3


def test_at_once_bounds_all_hosts(serve: Serve, tmp_path: Path) -> None:
    gate, now, most = threading.Lock(), [0], [0]

    def script(path: str, visit: int) -> Page:
        with gate:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with gate:
            now[0] -= 1
        return Page(picture())

    one, two = serve(script), serve(script)
    urls = [f"http://{h}:{s.port}/{i}.png" for h, s in (("127.0.0.1", one), ("localhost", two)) for i in range(4)]
    got = fetch(urls, Shelf(tmp_path), replace(LIMITS, at_once=1))
    assert all(f.reason is None for f in got.values())
    assert most[0] == 1


def test_a_redirect_is_followed(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda p, v: Page(picture()) if p == "/y" else Page(status=302, headers={"Location": "y"}))
    assert reason(server, tmp_path) is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("file:///etc/passwd", "a redirect to an address of scheme 'file', not http or https"),
        ("data:image/png;base64,AAAA", "a redirect to an address of scheme 'data', not http or https"),
        ("http://who:secret@127.0.0.1/", "a redirect to an address with a name or password in it"),
        ("http://127.0.0.1:99999/", "a redirect to "),
        ("/x.png", "more than 5 redirects"),
    ],
)
def test_a_redirect_elsewhere_is_refused(serve: Serve, tmp_path: Path, target: str, expected: str) -> None:
    server = serve(lambda path, visit: Page(status=301, headers={"Location": target}))
    found = reason(server, tmp_path)
    assert found is not None
    assert found.startswith(expected)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[::1]"])
def test_private_addresses_need_permission(serve: Serve, tmp_path: Path, host: str) -> None:
    server = serve(lambda path, visit: Page(picture()))
    url = f"http://{host}:{server.port}/x.png"
    got = fetch([url], Shelf(tmp_path), replace(LIMITS, private=False))[url]
    assert got.reason == "it leads to a private address, which needs permission"
    assert not got.final  # permission may come
    assert not server.visits


def test_a_redirect_to_a_private_address_is_refused(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = serve(lambda path, visit: Page(picture()))
    outer = serve(lambda path, visit: Page(status=302, headers={"Location": f"http://127.0.0.1:{inner.port}/secret"}))

    async def resolve(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    # The outer server stands for a public one: only its own name counts as public.
    monkeypatch.setattr(address, "_resolve", resolve)
    judged: list[str] = []

    def is_public(found: str) -> bool:
        judged.append(found)
        return len(judged) == 1

    monkeypatch.setattr(address, "is_public", is_public)
    url = f"http://shop.example:{outer.port}/x.png"
    got = fetch([url], Shelf(tmp_path), replace(LIMITS, private=False))[url]
    assert got.reason == "it leads to a private address, which needs permission"
    assert outer.headers[0]["host"] == f"shop.example:{outer.port}"
    assert not inner.visits


def test_a_name_is_looked_up_once_and_the_judged_address_is_asked(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda path, visit: Page(picture()))
    looked: list[str] = []

    async def resolve(name: str, port: int) -> list[str]:
        looked.append(name)
        return ["127.0.0.1"]

    monkeypatch.setattr(address, "_resolve", resolve)
    urls = [f"http://shop.example:{server.port}/{i}.png" for i in range(5)]
    assert all(f.reason is None for f in fetch(urls, Shelf(tmp_path), LIMITS).values())
    assert looked == ["shop.example"]


@pytest.mark.parametrize(
    "private",
    [
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_public(private: str) -> None:
    assert not address.is_public(private)


@pytest.mark.parametrize("public", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are_public(public: str) -> None:
    assert address.is_public(public)


def test_a_web_page_is_no_picture_whatever_it_is_called(serve: Serve, tmp_path: Path) -> None:
    kinds = {"/a": "text/html", "/b": "image/png"}
    server = serve(lambda p, v: Page(b"\n <!DOCTYPE html><html>robot?</html>", headers={"Content-Type": kinds[p]}))
    assert {reason(server, tmp_path, path) for path in kinds} == {"a web page instead of an image"}


def test_a_picture_is_one_whatever_it_is_called(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture(), headers={"Content-Type": "text/html"}))
    assert reason(server, tmp_path) is None


def test_an_endless_body_is_cut(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture() + b"\0" * 4096, endless=True))
    assert reason(server, tmp_path, limits=replace(LIMITS, bytes=50_000)) == "more than 50,000 bytes"
    slow = replace(LIMITS, seconds=0.2, patience=Patience(attempts=1))
    assert reason(server, tmp_path, limits=slow) == "not there within 0.2 s"


def test_a_silent_server_is_given_up(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture(), delay=30))
    limits = replace(LIMITS, seconds=0.1, patience=Patience(attempts=2, first=0.01))
    began = time.monotonic()
    assert reason(server, tmp_path, limits=limits) == "not there within 0.1 s"
    assert time.monotonic() - began < 3
    assert server.visits["/x.png"] == 2


def test_a_small_file_of_many_pixels_is_not_decoded(serve: Serve, tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    server = serve(lambda path, visit: Page(bomb if path == "/bomb" else picture(size=(200, 200))))
    found = reason(server, tmp_path, "/bomb")
    assert found is not None
    assert "limit" in found
    small = reason(server, tmp_path, limits=replace(LIMITS, pixels=100))
    assert small == "200 x 200 pixels, more than the limit of 100"


def test_a_packed_body_is_not_unpacked(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(gzip.compress(picture()), headers={"Content-Encoding": "gzip"}))
    assert reason(server, tmp_path) == "a packed body, though none was asked for"
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(("body", "expected"), [(b"", "zero bytes"), (b"GIF89a nonsense", None)])
def test_damaged_bodies(serve: Serve, tmp_path: Path, body: bytes, expected: str | None) -> None:
    server = serve(lambda path, visit: Page(body))
    found = reason(server, tmp_path)
    assert found is not None
    assert expected is None or found == expected
    assert "/" not in found


def test_a_cookie_is_not_carried_on(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture(), headers={"Set-Cookie": "who=me"}))
    fetch([f"{server.base}/{i}.png" for i in range(3)], Shelf(tmp_path), replace(LIMITS, per_host=1))
    assert not [h for h in server.headers if "cookie" in h]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x.png",
        "http://",
        "http://u:p@a.example/x",
        "http://[::1/x",
        "no address",
        "http://a\ud800/",
        "",
    ],
)
def test_unusable_addresses_have_a_reason_and_stop_nothing(serve: Serve, tmp_path: Path, url: str) -> None:
    server = serve(lambda path, visit: Page(picture()))
    good = server.base + "/x.png"
    got = fetch([url, good], Shelf(tmp_path), LIMITS)
    assert got[url].reason
    assert "p@" not in str(got[url].reason)
    assert got[good].reason is None


def test_a_dead_host_is_given_up_after_some_requests(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page())
    dead, port = server.base, server.port
    server.close()
    limits = replace(LIMITS, lost=3, per_host=1, patience=Patience(attempts=2, first=0.01))
    got = fetch([f"{dead}/{i}.png" for i in range(6)], Shelf(tmp_path), limits)
    assert port
    assert [f.reason for f in got.values()] == ["no connection", *["its host does not answer"] * 5]
    assert not any(f.final for f in got.values())


Resolve = Callable[[Callable[[int], list[str]]], list[str]]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Return a function that has names resolved by another one, given how often it was asked; and keeps the names."""

    def use(answer: Callable[[int], list[str]]) -> list[str]:
        looked: list[str] = []

        def getaddrinfo(name: str, port: int, *kind: object) -> list[tuple[object, ...]]:
            looked.append(name)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port)) for found in answer(len(looked))]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return looked

    return use


def fails(code: int) -> list[str]:
    raise socket.gaierror(code, "no")


def test_an_unknown_name_has_a_reason_and_is_looked_up_once_by_a_crowd(
    tmp_path: Path, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "_FORGET", 60.0)
    looked = resolve(lambda visit: fails(socket.EAI_NONAME))
    urls = [f"http://nowhere.example/{i}.png" for i in range(5)]
    got = fetch(urls, Shelf(tmp_path), LIMITS)
    assert {f.reason for f in got.values()} == {"the name of its host is not known"}
    assert looked == ["nowhere.example"]


def test_a_name_that_could_not_be_looked_up_is_tried_again(
    serve: Serve, tmp_path: Path, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda path, visit: Page(picture()))
    url = f"http://shop.example:{server.port}/x.png"
    monkeypatch.setattr(address, "_FORGET", 60.0)
    looked = resolve(lambda visit: fails(socket.EAI_AGAIN))
    assert fetch([url], Shelf(tmp_path), LIMITS)[url].reason == "the name of its host could not be looked up"
    assert len(looked) == 1, "a failed look-up counts for a while"
    monkeypatch.setattr(address, "_FORGET", 0.0)
    looked = resolve(lambda visit: ["127.0.0.1"] if visit == 3 else fails(socket.EAI_AGAIN))
    assert fetch([url], Shelf(tmp_path), LIMITS)[url].reason is None
    assert len(looked) == 3


def test_a_name_that_was_not_known_is_looked_up_anew_for_a_later_picture(
    serve: Serve, tmp_path: Path, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "_FORGET", 0.0)
    server = serve(lambda path, visit: Page(picture()))
    looked = resolve(lambda visit: fails(socket.EAI_NONAME) if visit == 1 else ["127.0.0.1"])
    urls = [f"http://shop.example:{server.port}/{i}.png" for i in range(3)]
    got = fetch(urls, Shelf(tmp_path), replace(LIMITS, per_host=1))
    assert [f.reason for f in got.values()] == ["the name of its host is not known", None, None]
    assert len(looked) == 2, "once it was found, that address is asked"


def test_a_shelf_that_cannot_be_written_is_one_error(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda path, visit: Page(picture()))
    (tmp_path / "pictures").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        fetch([f"{server.base}/{i}.png" for i in range(3)], Shelf(tmp_path), LIMITS)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Shelf(tmp_path).open(), pytest.raises(RunError, match="in use"):
        fetch(["http://127.0.0.1:9/x"], Shelf(tmp_path), LIMITS)
