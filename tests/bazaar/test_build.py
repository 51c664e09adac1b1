"""The generated dataset on disk: same seed, same bytes; read back as it was drawn; whole or not there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from lookwise.bazaar.build import build
from lookwise.bazaar.cases import TASKS
from lookwise.bazaar.ceiling import Ceiling, utilities
from lookwise.bazaar.draw import draw
from lookwise.bazaar.samples import make_split, split_world
from lookwise.bazaar.truth import has_truth, read_ceilings, read_drawn, read_utilities
from lookwise.errors import DataError
from lookwise.sample import Sample
from lookwise.sources.mmecinstruct import read

SIZES = {"train": 2, "test": 2, "ood": 1}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "shop"
    build(folder, 21, SIZES, size=48)
    return folder


def test_samples_come_back_as_they_were_drawn(shop: Path) -> None:
    found = list(read(shop / "dataset.json"))
    made = [m for split, n in SIZES.items() for m in make_split(21, split, n)]  # type: ignore[arg-type]
    assert len(found) == len(made) == 2 * 7 + 2 * 7 + 5
    for sample, m in zip(found, made, strict=True):
        assert isinstance(sample, Sample)
        assert (sample.id, sample.task, sample.split) == (m.sample.id, m.sample.task, m.sample.split)
        assert (sample.fields, sample.options, sample.target) == (m.sample.fields, m.sample.options, m.sample.target)
        assert sample.subset == m.sample.subset
        assert [v.slot for v in sample.visuals] == [v.slot for v in m.sample.visuals]
        expected = [str((shop / v.media.source).resolve()) for v in m.sample.visuals]
        assert [v.media.source for v in sample.visuals] == expected


def test_every_picture_is_there_once_and_shows_its_view(shop: Path) -> None:
    used = {v.media.source for s in read(shop) if isinstance(s, Sample) for v in s.visuals}
    assert used == {str(p.resolve()) for p in (shop / "images").iterdir()}
    listings = {x.listing_id: x for d in read_drawn(shop).values() for x in d.listings}
    assert len(listings) == len(used)
    name, listing = sorted(listings.items())[0]
    with Image.open(shop / "images" / f"{name}.png") as image:
        assert image.size == (48, 48)
        assert image.tobytes() == draw(listing.photo.view, listing.photo.seed, size=48).tobytes()


def test_truth_comes_back(shop: Path) -> None:
    assert has_truth(shop)
    assert has_truth(shop / "dataset.json")
    drawn = read_drawn(shop)
    made = {m.sample.id: m.drawn for split, n in SIZES.items() for m in make_split(21, split, n)}  # type: ignore[arg-type]
    assert drawn == made
    ceiling = Ceiling(split_world("ood"))
    ood = [name for name in drawn if "/ood/" in name]
    rows = read_utilities(shop)
    assert [r for r in rows if "/ood/" in r.sample_id] == [
        u for name in ood for u in utilities(ceiling, name, drawn[name])
    ]
    ceilings = read_ceilings(shop)
    assert len(ceilings) == 2 * len(drawn)
    assert {c.policy for c in ceilings} == {"ceiling/text", "ceiling/pictures"}


def test_rows_have_the_published_columns(shop: Path) -> None:
    rows = json.loads((shop / "dataset.json").read_text())
    assert {row["task"] for row in rows} == set(TASKS)
    for row in rows:
        assert list(row) == ["task", "split", "instruction", "input", "options", "output", "images", "subset"]
        assert isinstance(json.loads(row["options"]), list)
        assert all(not Path(image).is_absolute() for image in json.loads(row["images"]))


def test_card_counts_what_is_there(shop: Path) -> None:
    card = json.loads((shop / "card.json").read_text())
    assert card["seed"] == 21
    assert card["samples"]["sentiment_analysis/test"] == 2
    assert "multiclass_product_classification/ood" not in card["samples"]
    kinds = card["pictures"]
    assert kinds.pop("all") == len(list((shop / "images").iterdir())) == sum(kinds.values())


def test_same_seed_same_bytes_whatever_the_workers(shop: Path, tmp_path: Path) -> None:
    build(tmp_path / "again", 21, SIZES, size=48, workers=2)
    assert digests(tmp_path / "again") == digests(shop)
    build(tmp_path / "other", 22, {"train": 1}, size=48)
    assert digests(tmp_path / "other")["dataset.json"] != digests(shop)["dataset.json"]


def test_manifest_names_every_file(shop: Path) -> None:
    held = json.loads((shop / "manifest.json").read_text())["files"]
    found = digests(shop)
    del found["manifest.json"]
    assert held == found


def test_a_complete_folder_is_kept_and_another_refused(shop: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in shop.rglob("*")}
    assert build(shop, 21, SIZES, size=48) == shop / "dataset.json"
    assert {p: p.stat().st_mtime_ns for p in shop.rglob("*")} == before
    with pytest.raises(DataError, match="seed 21, not 22"):
        build(shop, 22, SIZES, size=48)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds no finished dataset"):
        build(tmp_path / "mine", 1, {"test": 1})
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_what_an_interrupted_build_left_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / ".shop.part" / "images"
    left.mkdir(parents=True)
    (left / "stale.png").write_bytes(b"half")
    build(tmp_path / "shop", 5, {"val": 1}, size=48)
    assert not (tmp_path / ".shop.part").exists()
    assert not (tmp_path / "shop" / "images" / "stale.png").exists()


@pytest.mark.parametrize(
    ("samples", "message"),
    [({"tests": 3}, "did you mean 'test'"), ({"test": -1}, "-1 samples"), ({"test": 0}, "no split has any samples")],
)
def test_sizes_are_checked(tmp_path: Path, samples: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(tmp_path / "x", 1, samples)
    assert not (tmp_path / "x").exists()
