"""Samples before and after fetching: addresses become files, and a dead one stays in its place with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lookwise.fetching import Fetched, Shelf
from lookwise.message import Media
from lookwise.sample import Sample, Visual
from lookwise.stages.fetch import absences, addresses, with_files

LIVE, DEAD, NEW, CLIP = (f"https://shop.example/{n}" for n in ("live.png", "dead.png", "new.png", "clip.mp4"))
DIGEST = "ab" * 32
FETCHED = {LIVE: Fetched(LIVE, DIGEST, 7, None, True), DEAD: Fetched(DEAD, None, 0, "404 not found", True)}


def sample(name: str, *visuals: Visual) -> Sample:
    return Sample(name, "own", "own/t", "test", (), visuals)


SAMPLES = [
    sample("s1", Visual("product 1", Media(LIVE)), Visual("product 1", Media(DEAD), 1), Visual("p2", Media("a.png"))),
    sample("s2", Visual("product 1", Media(LIVE)), Visual("clip", Media(CLIP, "video")), Visual("p2", Media(NEW))),
    sample("s3"),
]


def test_addresses_are_named_once_in_order() -> None:
    assert addresses(SAMPLES) == (LIVE, DEAD, NEW)


def test_files_take_the_place_of_addresses_and_nothing_else_changes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    found = with_files(SAMPLES, FETCHED, shelf)
    file = Media(str(tmp_path / "pictures" / "ab" / DIGEST), "image", DIGEST)
    first, second = SAMPLES[0].visuals, SAMPLES[1].visuals
    assert found == [
        replace(SAMPLES[0], visuals=(replace(first[0], media=file), *first[1:])),
        replace(SAMPLES[1], visuals=(replace(second[0], media=file), *second[1:])),
        SAMPLES[2],
    ]


def test_every_absent_picture_has_its_reason() -> None:
    found = [(a.sample_id, a.slot, a.candidate, a.url, a.reason) for a in absences(SAMPLES, FETCHED)]
    assert found == [
        ("s1", "product 1", 1, DEAD, "404 not found"),
        ("s2", "clip", 0, CLIP, "a clip by web address; clips are not fetched"),
        ("s2", "p2", 0, NEW, "a web address that has not been fetched"),
    ]
