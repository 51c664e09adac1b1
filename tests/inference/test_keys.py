"""Reply keys: what must tell two requests apart, and what must not."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image

from lookwise import media
from lookwise.inference import keys
from lookwise.inference.keys import Pictures, request_key
from lookwise.message import Media, Message, TextPart, system, user
from lookwise.model import Generate, Rank, Request


def test_everything_that_changes_an_answer_changes_the_key() -> None:
    digest, other = "a" * 64, "b" * 64
    talk = (user("see", Media("p", digest=digest)),)
    requests = [
        Request(talk, Generate()),
        Request((user("see", Media("p", digest=other)),), Generate()),
        Request((user("see", Media("p", "video", digest)),), Generate()),
        Request((user(Media("p", digest=digest), "see"),), Generate()),
        Request((user("see"), user(Media("p", digest=digest))), Generate()),
        Request((system("see"), *talk), Generate()),
        Request((Message("assistant", (TextPart("see"),)),), Generate()),
        Request(talk, Generate(max_new_tokens=3)),
        Request(talk, Generate(temperature=0.5)),
        Request(talk, Generate(draw=1)),
        Request(talk, Generate(seed=1)),
        Request(talk, Rank(("yes", "no"))),
        Request(talk, Rank(("no", "yes"))),
        Request(talk, Rank(("yes,no",))),
    ]
    keys = [request_key("m", request) for request in requests] + [request_key("n", requests[0])]
    assert all(a != b for a, b in combinations(keys, 2))


def test_a_path_does_not_matter_where_the_digest_is_known() -> None:
    one, two = (Request((user(Media(path, digest="a" * 64)),), Generate()) for path in ("x.png", "y.png"))
    assert request_key("m", one) == request_key("m", two)


def test_text_parts_and_odd_characters_are_kept_apart() -> None:
    split = Request((user("a", "b"),), Generate())
    joined = Request((user("ab"),), Generate())
    odd = Request((user("\ud800 \x00"),), Generate())
    assert len({request_key("m", r) for r in (split, joined, odd)}) == 3


def test_a_picture_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.new("RGB", (3, 3)).save(path)
    request = Request((user("q", Media(str(path)), Media("known", digest="c" * 64)),), Generate())
    pictures = Pictures()
    first, fault = pictures.resolve(request)
    assert fault is None
    assert first.conversation[0].media[1].digest == "c" * 64
    held = path.stat()
    path.write_bytes(bytes(held.st_size))
    os.utime(path, ns=(held.st_atime_ns, held.st_mtime_ns))
    assert pictures.resolve(request) == (first, None)  # same size, same time: not read again
    os.utime(path, ns=(held.st_atime_ns, held.st_mtime_ns + 10**9))
    assert pictures.resolve(request)[1]
    path.unlink()
    assert pictures.resolve(request)[1] == "no such file"


def test_what_is_remembered_is_bounded_and_the_first_pictures_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_HELD", 3)
    monkeypatch.setattr(keys, "_RECENT", 1)
    read: list[str] = []
    digest = media.digest

    def counted(source: str) -> str:
        read.append(Path(source).stem)
        return digest(source)

    monkeypatch.setattr(media, "digest", counted)
    requests = []
    for i in range(6):
        Image.new("RGB", (3, 3), (i, i, i)).save(tmp_path / f"{i}.png")
        requests.append(Request((user("q", Media(str(tmp_path / f"{i}.png"))),), Generate()))
    pictures = Pictures()
    rounds = [[request_key("m", pictures.resolve(r)[0]) for r in requests for _ in range(2)] for _ in range(3)]
    assert rounds[0] == rounds[1] == rounds[2], "what was forgotten has the key that it had"
    assert rounds[0][::2] == [request_key("m", Pictures().resolve(r)[0]) for r in requests]
    assert read[:12] == [*"012345", *"345", *"345"], "a neighbour is not read again, nor are the first ones"


def test_a_clip_is_only_digested(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no picture at all")
    request, fault = Pictures().resolve(Request((user(Media(str(path), "video")),), Generate()))
    assert fault is None
    assert request.conversation[0].media[0].digest
