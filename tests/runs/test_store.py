"""Rows on disk: what is written is read, by us and by others, or refused by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookwise.errors import RunError
from lookwise.message import Media
from lookwise.rows import Ballot, Caption, Evidence, Prediction, Utility
from lookwise.runs.files import read_json, write_json_atomic
from lookwise.runs.schema import schema_of
from lookwise.runs.store import is_complete, read_rows, write_rows
from lookwise.sample import Sample, Visual

BALLOTS = [Ballot(f"s{i}", f"c{i}", "judge", (None, "yes", "no")[i % 3], None, "m") for i in range(10)]
PREDICTION = Prediction("s", "t", "test", "none", "", "A", "A", (-0.1, -2.5), "m")
SAMPLES = [
    Sample(
        "1",
        "bazaar",
        "sp",
        "test",
        (("title", "a “b”"), ("history", ("x", "")), ("none", ())),
        (Visual("p", Media("p.png", digest="d" * 64), 2), Visual("q", Media("q.mp4", "video"))),
        ("A: x", "B: y"),
        "A",
        "hard",
    ),
    Sample("2", "bazaar", "sp", "test", (("title", ""),)),
]


@pytest.mark.parametrize(
    "rows",
    [
        BALLOTS,
        [Caption("s", "c", "p", 0, None, "m", "no such file"), Caption("t", "d", "p", 1, "a mug", "m")],
        [Utility("s", None, 0, "helpful", 0.5, None, True, False, "r", "measured", "m", "blank", None)],
        [Evidence("s", "none", "p", "none"), Evidence("s", "captions:vote", "p", "caption", "c", 0)],
        [PREDICTION],
        SAMPLES,
    ],
    ids=lambda rows: type(rows[0]).__name__,
)
def test_rows_come_back_equal_and_equal_rows_are_equal_bytes(tmp_path: Path, rows: list[object]) -> None:
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_rows(folder, type(rows[0]), rows, part_rows=4)
        assert is_complete(folder)
        assert read_rows(folder, type(rows[0])) == rows
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["manifest.json", *(f"part-{n:05d}.parquet" for n in range((len(rows) + 3) // 4))]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
fields = st.lists(st.tuples(texts, texts | st.lists(texts, max_size=3).map(tuple)), max_size=4).map(tuple)


any_sample = st.builds(Sample, texts, texts, texts, texts, fields, target=st.none() | texts)


@settings(max_examples=25, deadline=None)
@given(st.lists(any_sample, max_size=5))
def test_any_sample_comes_back_equal(samples: list[Sample]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), Sample, samples, part_rows=2)
        assert read_rows(Path(folder), Sample) == samples


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    write_rows(tmp_path, Caption, [Caption("s", "c", "p", 0, "a \ud83d b \ud83d\ude00", "m")])
    assert read_rows(tmp_path, Caption)[0].text == "a \ufffd b \U0001f600"


def test_no_rows_are_a_finished_folder_with_columns(tmp_path: Path) -> None:
    write_rows(tmp_path, Ballot, [])
    assert read_rows(tmp_path, Ballot) == []
    assert read_json(tmp_path / "manifest.json")["rows"] == 0
    assert duckdb.sql(f"select verdict from '{tmp_path}/*.parquet'").fetchall() == []


def test_writing_again_replaces_everything_and_a_break_leaves_it_unfinished(tmp_path: Path) -> None:
    write_rows(tmp_path, Ballot, BALLOTS, part_rows=2)

    def breaking() -> Iterator[Ballot]:
        yield from BALLOTS[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path, Ballot, breaking(), part_rows=2)
    assert not is_complete(tmp_path)
    with pytest.raises(RunError, match=r"not finished.*manifest\.json"):
        read_rows(tmp_path, Ballot)
    write_rows(tmp_path, Ballot, BALLOTS[:3])
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert read_rows(tmp_path, Ballot) == BALLOTS[:3]


def test_a_field_that_a_file_does_not_have_yet_takes_its_default(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Grown:
        sample_id: str
        note: str = "none yet"

    old = dataclass(frozen=True)(type("Grown", (), {"__annotations__": {"sample_id": "str"}, "__module__": __name__}))
    write_rows(tmp_path, old, [old("s")])
    assert read_rows(tmp_path, Grown) == [Grown("s")]


def test_what_cannot_be_trusted_is_refused_by_name(tmp_path: Path) -> None:
    write_rows(tmp_path, Ballot, BALLOTS)
    with pytest.raises(RunError, match="holds Ballot rows, expected Caption"):
        read_rows(tmp_path, Caption)
    part = tmp_path / "part-00000.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:-9] + b"x" + content[-8:])
    with pytest.raises(RunError, match="digest differs"):
        read_rows(tmp_path, Ballot)
    part.unlink()
    with pytest.raises(RunError, match="missing"):
        read_rows(tmp_path, Ballot)
    manifest = tmp_path / "manifest.json"
    for text, said in (("{", "damaged"), ("[]", "not a manifest")):
        manifest.write_text(text)
        with pytest.raises(RunError, match=said):
            read_rows(tmp_path, Ballot)


def test_a_later_form_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path, Ballot, BALLOTS)
    manifest = read_json(tmp_path / "manifest.json")
    write_json_atomic(tmp_path / "manifest.json", {**manifest, "schema_version": 2})
    with pytest.raises(RunError, match="update lookwise"):
        read_rows(tmp_path, Ballot)


def test_the_schema_follows_the_class() -> None:
    schema = schema_of(Prediction)
    assert str(schema.field("option_scores").type) == "list<item: double not null>"
    assert (schema.field("answer").nullable, schema.field("task").nullable) == (True, False)
    assert [str(schema_of(Utility).field(n).type) for n in ("candidate", "gain", "text_right", "label")] == [
        "int64",
        "double",
        "bool",
        "string",
    ]

    @dataclass(frozen=True)
    class Odd:
        what: dict[str, str]

    with pytest.raises(TypeError, match="no column type"):
        schema_of(Odd)


def test_duckdb_reads_rows_and_samples_as_they_are(tmp_path: Path) -> None:
    write_rows(tmp_path / "ballots", Ballot, BALLOTS, part_rows=3)
    write_rows(tmp_path / "samples", Sample, SAMPLES)
    votes = duckdb.sql(f"select verdict, count(*) from '{tmp_path}/ballots/*.parquet' group by 1 order by 1")
    assert sorted(votes.fetchall(), key=str) == [("no", 3), ("yes", 3), (None, 4)]
    query = f"select fields[2].items, visuals[1].media.digest from '{tmp_path}/samples/*.parquet' where id = '1'"
    assert duckdb.sql(query).fetchall() == [(["x", ""], "d" * 64)]


def test_datasets_reads_rows_and_samples_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    write_rows(tmp_path / "ballots", Ballot, BALLOTS, part_rows=3)
    write_rows(tmp_path / "samples", Sample, SAMPLES)
    for name, count in (("ballots", 10), ("samples", 2)):
        files = str(tmp_path / name / "*.parquet")
        data = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(data) == count
    whole = load_dataset(str(tmp_path / "ballots"), split="train", cache_dir=str(tmp_path / "cache"))
    assert whole["verdict"][:3] == [None, "yes", "no"]
    assert data[0]["fields"][1] == {"name": "history", "text": None, "items": ["x", ""]}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_json_atomic(path, {"value": 0.1, "name": "é"})
    with pytest.raises(TypeError):
        write_json_atomic(path, {"value": object()})
    assert read_json(path) == {"value": 0.1, "name": "é"}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]
    path.write_text("{")
    with pytest.raises(RunError, match=r"x\.json cannot be read"):
        read_json(path)
