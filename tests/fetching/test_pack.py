"""Packs: what one team froze is what another scores, and a pack that was tampered with is refused whole."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from picture_server import picture

from lookwise.errors import DataError
from lookwise.fetching import Fetched, Shelf, read_pack, write_pack

COLOURS = ("red", "green", "blue")
URLS = [f"http://shop.example/{colour}.png" for colour in COLOURS]
DEAD = "http://shop.example/dead.png"


def stocked(folder: Path) -> Shelf:
    """Return a shelf with three pictures, one of them under two addresses, and a dead address."""
    shelf = Shelf(folder)
    with shelf.open():
        for url, colour in zip(URLS, COLOURS, strict=True):
            draft, content = shelf.draft(), picture(colour)
            draft.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            shelf.keep(draft, digest)
            shelf.record([Fetched(url, digest, len(content), None, True)])
            if colour == "red":
                shelf.record([Fetched(url + "?again", digest, len(content), None, True)])
        shelf.record([Fetched(DEAD, None, 0, "503 service unavailable", False)])
    return shelf


ALL = [*URLS, URLS[0] + "?again", DEAD]


def test_a_pack_gives_another_shelf_the_same_subset(tmp_path: Path) -> None:
    ours = stocked(tmp_path / "ours")
    pack = write_pack(ours, ALL, tmp_path / "pack", shard_bytes=100)
    theirs = Shelf(tmp_path / "theirs")
    assert read_pack(tmp_path / "pack", theirs) == pack
    assert (pack.addresses, pack.missing, pack.pictures) == (5, 1, 3)
    assert theirs.known == ours.known == Shelf(tmp_path / "theirs").known
    assert all(f.final for f in ours.known.values())  # what was missing when it was frozen stays missing, here too
    for url, colour in zip(URLS, COLOURS, strict=True):
        digest = theirs.known[url].digest
        assert digest is not None
        assert theirs.path(digest).read_bytes() == picture(colour)


def test_any_tar_program_reads_a_shard_and_equal_pictures_give_equal_bytes(tmp_path: Path) -> None:
    shelf = stocked(tmp_path / "shelf")
    write_pack(shelf, ALL, tmp_path / "a")
    write_pack(shelf, reversed(ALL), tmp_path / "b")
    names = [p.name for p in sorted((tmp_path / "a").iterdir())]
    assert names == ["manifest.json", "pack-00000.tar"]
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names)
    with tarfile.open(tmp_path / "a" / "pack-00000.tar") as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            assert hashlib.sha256(file.read()).hexdigest() == entry.name


def test_another_picture_is_another_subset(tmp_path: Path) -> None:
    shelf = stocked(tmp_path / "shelf")
    assert write_pack(shelf, ALL, tmp_path / "a").subset != write_pack(shelf, ALL[:-1], tmp_path / "b").subset


def test_what_was_not_fetched_cannot_be_frozen(tmp_path: Path) -> None:
    shelf = stocked(tmp_path / "shelf")
    with pytest.raises(DataError, match="has not been fetched"):
        write_pack(shelf, [*ALL, "http://shop.example/new.png"], tmp_path / "pack")
    digest = shelf.known[URLS[0]].digest
    assert digest is not None
    content = shelf.path(digest).read_bytes()
    shelf.path(digest).write_bytes(b"x" * len(content))
    with pytest.raises(DataError, match="not what was fetched"):
        write_pack(shelf, ALL, tmp_path / "pack")
    assert not (tmp_path / "pack" / "manifest.json").exists()
    with pytest.raises(DataError, match="is no pack"):
        read_pack(tmp_path / "pack", Shelf(tmp_path / "theirs"))


def test_a_pack_is_not_written_over(tmp_path: Path) -> None:
    shelf = stocked(tmp_path / "shelf")
    write_pack(shelf, ALL, tmp_path / "pack")
    with pytest.raises(DataError, match="holds a pack already"):
        write_pack(shelf, ALL, tmp_path / "pack")


@pytest.mark.parametrize("place", [0, 100, 600, -1])
def test_a_changed_byte_is_found_and_nothing_is_taken(tmp_path: Path, place: int) -> None:
    write_pack(stocked(tmp_path / "ours"), ALL, tmp_path / "pack")
    shard = tmp_path / "pack" / "pack-00000.tar"
    content = bytearray(shard.read_bytes())
    content[place] ^= 1
    shard.write_bytes(content)
    refused(tmp_path, "not what its manifest says")


@pytest.mark.parametrize("change", [lambda c: c[:-700], lambda c: c + b"\0" * 512])
def test_a_shard_of_another_length_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    write_pack(stocked(tmp_path / "ours"), ALL, tmp_path / "pack")
    shard = tmp_path / "pack" / "pack-00000.tar"
    shard.write_bytes(change(shard.read_bytes()))
    refused(tmp_path, "not what its manifest says")


def _rename(m: dict[str, Any]) -> None:
    m["shards"][0]["name"] = "../../etc/passwd"


def _escape(m: dict[str, Any]) -> None:
    old = m["shards"][0]["pictures"][0][0]
    m["shards"][0]["pictures"][0][0] = "../" + old[3:]


def _huge(m: dict[str, Any]) -> None:
    m["shards"][0]["pictures"][0][1] = 10**15


def _other(m: dict[str, Any]) -> None:
    m["addresses"][1]["sha256"], m["addresses"][2]["sha256"] = m["addresses"][2]["sha256"], m["addresses"][1]["sha256"]


def _drop(m: dict[str, Any]) -> None:
    m["addresses"].pop()


def _shape(m: dict[str, Any]) -> None:
    m["addresses"][0] = ["not", "an", "object"]


@pytest.mark.parametrize("change", [_rename, _escape, _huge, _other, _drop, _shape])
def test_a_manifest_that_lies_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    write_pack(stocked(tmp_path / "ours"), ALL, tmp_path / "pack")
    path = tmp_path / "pack" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    refused(tmp_path, "manifest.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '{"format": 2}', '{"format": 1, "shards": 3}'])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "manifest.json").write_text(content)
    refused(tmp_path, "manifest.json")


def refused(tmp_path: Path, words: str) -> None:
    theirs = Shelf(tmp_path / "theirs")
    with pytest.raises(DataError, match=words):
        read_pack(tmp_path / "pack", theirs)
    assert not theirs.known
    assert not (tmp_path / "theirs" / "pictures").exists()
