"""Rows of CSV, JSONL and Parquet files, good and malformed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookwise.errors import DataError
from lookwise.sources.records import Record, column_names, read_records, texts_of
from lookwise.sources.rejected import Rejected


def rows(path: Path) -> list[Record | Rejected]:
    found = list(read_records(path, column_names(path)))
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return [record for _, record in found]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_with_quotes_lines_and_bom(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '\ufefftitle, photo\n"a ""mug"", blue\nand tall",x.jpg\n\nplain,\n')
    assert column_names(path) == ("title", "photo")
    assert rows(path) == [{"title": 'a "mug", blue\nand tall', "photo": "x.jpg"}, {"title": "plain", "photo": ""}]


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.csv", ",")])
def test_delimiter_is_that_of_the_header(tmp_path: Path, name: str, mark: str) -> None:
    assert rows(write(tmp_path / name, f"a{mark}b\n1{mark}2\n")) == [{"a": "1", "b": "2"}]


def test_malformed_csv_rows_have_reasons_and_stop_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"a,b\n1\n1,2,3\n\xff\xfe,4\n" + b"x" * 140_000 + b",1\nlast,row\n")
    found = rows(path)
    assert [r.reason for r in found if isinstance(r, Rejected)] == [
        "1 values where the header has 2 columns",
        "3 values where the header has 2 columns",
        "not UTF-8 text",
        "not CSV: field larger than field limit (131072) (an unclosed quote?)",
    ]
    assert found[-1] == {"a": "last", "b": "row"}


def test_jsonl(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"a": 1}\n\n{"b": ["x", 2]}\n[1]\n{"a": \n\xff\n' + b"[" * 100_000 + b"\n")
    assert column_names(path) == ("a", "b")
    found = rows(path)
    assert found[:2] == [{"a": 1}, {"b": ["x", 2]}]
    reasons = [r.reason for r in found if isinstance(r, Rejected)]
    assert reasons[0] == "a JSON list where an object is expected"
    assert reasons[1].startswith("not JSON: Expecting value")
    assert reasons[2] == "not UTF-8 text"
    assert reasons[3].startswith("not JSON")


def test_a_line_without_end_is_a_row_with_a_reason_and_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookwise.sources.records._MAX_LINE", 20)
    long = b'{"b": "' + b"x" * 80 + b'"}'
    path = write(
        tmp_path / "a.jsonl", b'{"a": 1}\n' + long + b"\n" + b" " * 70 + b'{"c": 1}\n{"a": "exactly 20c"}\n' + long
    )
    assert column_names(path) == ("a",)
    said = "longer than 20 characters"
    assert rows(path) == [{"a": 1}, Rejected(2, said), Rejected(3, said), {"a": "exactly 20c"}, Rejected(5, said)]


def test_a_csv_line_without_end_is_a_row_with_a_reason_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookwise.sources.records._MAX_LINE", 20)
    path = write(tmp_path / "a.csv", 'a,b\n1,"x\ny"\n' + "z," * 40 + "\n3,4\n5," + "z" * 90)
    said = "not CSV: longer than 20 characters (an unclosed quote?)"
    assert rows(path) == [{"a": "1", "b": "x\ny"}, Rejected(2, said), {"a": "3", "b": "4"}, Rejected(4, said)]
    monkeypatch.setattr("lookwise.sources.records._MAX_HEADER", 20)
    with pytest.raises(DataError, match="no CSV header"):
        column_names(write(tmp_path / "b.csv", "a," * 40))


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1.0, None], "b": [["x"], []], "c": [1, 2]}), path)
    assert column_names(path) == ("a", "b", "c")
    assert [record for _, record in read_records(path, ["a", "b"])] == [{"a": 1.0, "b": ["x"]}, {"a": None, "b": []}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "no CSV header"),
        ("a.csv", b"\0\0\0\0", "no CSV header"),
        ("a.csv", "a,a\n1,2\n", "'a' stands twice"),
        ("a.jsonl", "1\n2\n", "no JSON object"),
        ("a.parquet", "no parquet", "not a readable Parquet"),
        ("a.xlsx", "x", "unknown kind '.xlsx'"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows(write(tmp_path / name, content))


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        column_names(tmp_path / "none.csv")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [f"{i:0100}" for i in range(5000)]}), path, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)  # the first page's header, not the footer
    path.write_bytes(data)
    with pytest.raises(DataError, match="unreadable after row 0"):
        rows(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (3.0, "3"),
        (3.5, "3.5"),
        (True, "true"),
        (" a ", "a"),
        ([1, None, "b"], ("1", "", "b")),
        ([["a", "b"]], ("a b",)),
        ({"k": "é"}, '{"k": "é"}'),
    ],
)
def test_cells_as_text(value: Any, text: object) -> None:
    assert texts_of(value) == text
