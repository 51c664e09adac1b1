"""A user's own table: every form of cell, every way to be wrong, and what `data check` says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lookwise.benchmarks.own import OwnTable, Pictures, read_own
from lookwise.errors import DataError
from lookwise.sample import Sample, Visual
from lookwise.sources.rejected import Rejected
from lookwise.sources.table import DEALT, check_table, read_table

GROCERY = Path(__file__).parents[3] / "shared" / "data" / "grocery"

OWN = OwnTable(
    name="shoes",
    table=Path("shoes.jsonl"),
    question="Is it a boot?",
    text=(("title", "title"), ("note", "remark")),
    pictures=(Pictures("photo", "product"),),
    labels=("yes", "no"),
    gold="boot",
    split="part",
    id="sku",
)


def row(sku: str, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "title": f"shoe {sku}", "note": "", "photo": "a.jpg", "boot": "yes", "part": "test", **more}


def write(folder: Path, *rows: dict[str, Any], name: str = "shoes.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def read(path: Path, own: OwnTable = OWN, **more: Any) -> list[Sample | Rejected]:
    return list(read_table(path, own, **more))


def one(folder: Path, own: OwnTable = OWN, **more: Any) -> Sample:
    (found,) = read(write(folder, {**row("1"), **more}), own)
    assert isinstance(found, Sample), found
    return found


def reason(folder: Path, own: OwnTable = OWN, **more: Any) -> str:
    (found,) = read(write(folder, {**row("1"), **more}), own)
    assert isinstance(found, Rejected), found
    assert found.row == 1
    return found.reason


def slots(folder: Path, cell: Any, own: OwnTable = OWN) -> list[tuple[str, str]]:
    visuals = one(folder, own, photo=cell).visuals
    return [(v.slot, v.media.source.removeprefix(f"{folder.resolve()}/")) for v in visuals]


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    sample = one(tmp_path, note="warm {lining}", boot="Yes.")
    assert sample.id == "shoes/1"
    assert (sample.benchmark, sample.task, sample.split, sample.target) == ("own", "own/shoes", "test", "yes")
    assert sample.fields == (("title", "shoe 1"), ("remark", "warm {lining}"))
    assert [v.slot for v in sample.visuals] == ["product"]
    assert sample.visuals[0].media.source == str((tmp_path / "a.jpg").resolve())
    assert isinstance(sample.visuals[0], Visual)


def test_the_same_table_in_three_formats(tmp_path: Path) -> None:
    rows = [row("1", note="a, b"), row("2", photo=None, boot=None)]
    lines = ["sku,title,note,photo,boot,part", '1,shoe 1,"a, b",a.jpg,yes,test', "2,shoe 2,,,,test"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    first = read(write(tmp_path, *rows))
    assert all(isinstance(sample, Sample) for sample in first)
    assert read(tmp_path / "t.csv") == first
    assert read(tmp_path / "t.parquet") == first


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a.jpg", [("product", "a.jpg")]),
        (" sub/a b.jpg ", [("product", "sub/a b.jpg")]),
        ("", []),
        (None, []),
        ([], []),
        (["a.jpg", "", "b.jpg"], [("product[0]", "a.jpg"), ("product[1]", "b.jpg")]),
        ('["a.jpg", "b.jpg"]', [("product[0]", "a.jpg"), ("product[1]", "b.jpg")]),
        ("a.jpg; b.jpg;", [("product[0]", "a.jpg"), ("product[1]", "b.jpg")]),
        ("[1].jpg", [("product", "[1].jpg")]),
        ("https://shop.example/a;b.jpg", [("product", "https://shop.example/a;b.jpg")]),
        ([{"path": "a.jpg", "bytes": None}], [("product", "a.jpg")]),
    ],
)
def test_pictures_of_a_cell(tmp_path: Path, cell: Any, expected: list[tuple[str, str]]) -> None:
    assert slots(tmp_path, cell) == expected


def test_several_columns_and_clips(tmp_path: Path) -> None:
    pictures = (Pictures("photo", "product"), Pictures("extra", "product"), Pictures("clip", "review", "video"))
    own = replace(OWN, pictures=pictures)
    visuals = one(tmp_path, own, extra="b.jpg", clip="c.mp4").visuals
    assert [(v.slot, v.media.kind) for v in visuals] == [
        ("product[0]", "image"),
        ("product[1]", "image"),
        ("review", "video"),
    ]


def test_candidates_of_one_slot(tmp_path: Path) -> None:
    own = replace(OWN, pictures=(Pictures("photo", "product", candidates=True), Pictures("side", "shelf")))
    for cell in (["a.jpg", "", "b.jpg"], "a.jpg;;b.jpg", '["a.jpg", null, "b.jpg"]'):
        sample = one(tmp_path, own, photo=cell, side="s.jpg")
        assert [(v.slot, v.candidate) for v in sample.visuals] == [("product", 0), ("product", 1), ("shelf", 0)]
        assert sample.candidates == (0,), "what every slot has"
    assert one(tmp_path, own, photo="a.jpg", side="").candidates == (0,)
    assert one(tmp_path, own, photo="", side="").visuals == ()
    both = replace(OWN, pictures=(Pictures("photo", "x", candidates=True), Pictures("clip", "x", "video", True)))
    sample = one(tmp_path, both, photo="a.jpg;b.jpg", clip="c.mp4")
    assert [(v.candidate, v.media.kind) for v in sample.visuals] == [(0, "image"), (1, "image"), (2, "video")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"photo": "../a.jpg"}, "leads out of the table's folder"),
        ({"photo": "/etc/passwd"}, "leads out of the table's folder"),
        ({"photo": "."}, "leads out of the table's folder"),
        ({"photo": "link/a.jpg"}, "leads out of the table's folder"),
        ({"photo": "a\0.jpg"}, "is no usable path"),
        ({"photo": 7}, "photo holds int, expected a path"),
        ({"photo": {"bytes": "AAAA", "path": None}}, "photo holds dict, expected a path"),
        ({"boot": "perhaps"}, "boot 'perhaps' is none of the answers yes, no"),
        ({"boot": ["yes"]}, "boot holds a list"),
        ({"part": "someday"}, "part 'someday' is none of train, val, test, ood"),
        ({"sku": ""}, "sku is empty"),
        ({"title": "\ud800"}, "a text is not UTF-8"),
    ],
)
def test_rows_that_are_rejected(tmp_path: Path, more: dict[str, Any], expected: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path.parent)
    assert expected in reason(tmp_path, **more)


def test_one_bad_row_stops_nothing_and_ids_are_unique(tmp_path: Path) -> None:
    path = write(tmp_path, row("1"), row("1"), row("2", boot="?"), row("3"))
    path.write_text(path.read_text() + "{broken\n" + json.dumps(row("4")) + "\n")
    found = read(path)
    assert [s.id for s in found if isinstance(s, Sample)] == ["shoes/1", "shoes/3", "shoes/4"]
    assert [(r.row, r.reason[:30]) for r in found if isinstance(r, Rejected)] == [
        (2, "sku '1' is that of row 1 alrea"),
        (3, "boot '?' is none of the answer"),
        (5, "not JSON: Expecting property n"),
    ]


def test_unknown_columns_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, row("1"))
    with pytest.raises(DataError, match=r"shoes\.jsonl has no column 'titel'; did you mean 'title'\?"):
        read_table(path, replace(OWN, text=(("titel", "title"),)))  # not even iterated
    with pytest.raises(DataError, match="no split 'tset'; did you mean 'test'"):
        read_table(path, OWN, splits=["tset"])


def test_options_of_the_table_and_of_each_row(tmp_path: Path) -> None:
    table = replace(OWN, labels=(), options=("A: boot", "B: sandal"))
    assert one(tmp_path, table, boot="Sandal").target == "B"
    assert one(tmp_path, table, boot="A").options == ("A: boot", "B: sandal")
    own = replace(OWN, labels=(), options_column="choices")
    for cell in (["boot", "sandal", "clog"], '["boot", "sandal", "clog"]', "boot | sandal | clog"):
        sample = one(tmp_path, own, choices=cell, boot="clog")
        assert (sample.options, sample.target) == (("A: boot", "B: sandal", "C: clog"), "C")
    assert "1 options" in reason(tmp_path, own, choices="boot", boot="boot")
    assert "at most 26" in reason(tmp_path, own, choices=[str(i) for i in range(30)], boot="1")


def test_gold_may_be_missing(tmp_path: Path) -> None:
    assert one(tmp_path, boot="").target is None
    assert one(tmp_path, replace(OWN, gold=None), boot="nonsense").target is None


def test_splits_and_limit(tmp_path: Path) -> None:
    path = write(tmp_path, *(row(str(i), part=("Train", "valid", "test")[i % 3]) for i in range(30)))
    found = [s for s in read(path, splits=["test", "val"], limit=4) if isinstance(s, Sample)]
    assert [s.split for s in found] == ["val", "test"] * 4
    assert len(read(path, limit=4)) == 12


def test_rows_are_dealt_by_their_ids(tmp_path: Path) -> None:
    own = replace(OWN, split=None)
    rows = [row(str(i), boot="yes" if i % 10 else "") for i in range(2000)]
    first = {s.id: s.split for s in read(write(tmp_path, *rows), own) if isinstance(s, Sample)}
    again = {s.id: s.split for s in read(write(tmp_path, *reversed(rows)), own) if isinstance(s, Sample)}
    assert first == again
    assert {split for key, split in first.items() if int(key.split("/")[1]) % 10 == 0} == {"test"}
    dealt = [split for key, split in first.items() if int(key.split("/")[1]) % 10]
    for split, share in DEALT.items():
        assert dealt.count(split) / len(dealt) == pytest.approx(share, abs=0.04)


def test_rows_without_an_id_column_are_numbered(tmp_path: Path) -> None:
    found = read(write(tmp_path, row("x"), row("x")), replace(OWN, id=None))
    assert [s.id for s in found if isinstance(s, Sample)] == ["shoes/1", "shoes/2"]


def test_check_says_what_is_there_and_what_is_wrong(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    path = write(
        tmp_path,
        row("1"),
        row("2", boot="no", photo=["a.jpg", "none.jpg", "https://shop.example/x.jpg"]),
        row("3", boot="", photo="empty.jpg"),
        row("4", boot="?"),
        row("5", boot="?"),
        row("6", photo="../x.jpg"),
    )
    checked = check_table(path, OWN)
    assert checked.rows == 6
    assert checked.samples == {"test": 3}
    assert checked.targets == {"test (no gold)": 1, "test no": 1, "test yes": 1}
    assert list(checked.rejected.values()) == [2, 1]
    assert (checked.pictures, checked.remote) == (4, 1)
    assert checked.broken == {"none.jpg": "no such file", "empty.jpg": "zero bytes"}


def test_long_tables_are_streamed(tmp_path: Path) -> None:
    path = write(tmp_path, *(row(str(i)) for i in range(3)))
    with path.open("a") as file:
        file.write("{broken\n" * 1000)
    rows = read_table(path, OWN)
    assert isinstance(next(rows), Sample)


def test_from_yaml_to_samples(tmp_path: Path) -> None:
    (tmp_path / "shoes.yaml").write_text(
        "table: shoes.csv\nquestion: Is it a boot?\ntext: {title: name}\nimages: {photo: product}\n"
        "labels: [yes, no]\ngold: boot\n"
    )
    (tmp_path / "shoes.csv").write_text("title,photo,boot\nTall one,a.jpg,yes\nFlat one,b.jpg;c.jpg,no\nOdd,,\n")
    own = read_own(tmp_path / "shoes.yaml")
    found = [s for s in read(own.table, own) if isinstance(s, Sample)]
    assert [(s.text("name"), s.target, len(s.visuals)) for s in found] == [
        ("Tall one", "yes", 1),
        ("Flat one", "no", 2),
        ("Odd", None, 0),
    ]


@pytest.mark.skipif(not GROCERY.is_dir(), reason="no shared data here")
def test_real_photos() -> None:
    own = OwnTable(
        name="photos",
        table=GROCERY / "photos.csv",
        question="Which class?",
        text=(("class_id", "class"),),
        pictures=(Pictures("image", "product"),),
        labels=tuple(str(i) for i in range(81)),
        gold="class_id",
        split="split",
        id="image",
    )
    found = read(own.table, own)
    assert len(found) == 4183
    samples = [s for s in found if isinstance(s, Sample)]
    assert len(samples) == len(found), next(r for r in found if isinstance(r, Rejected))
    assert all(Path(s.visuals[0].media.source).is_file() for s in samples[::100])
