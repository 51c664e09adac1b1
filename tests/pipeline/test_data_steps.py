"""The samples step: no more of a file is read than is wanted, and no more held than is written at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookwise import config
from lookwise.cli import main
from lookwise.pipeline import data_steps
from lookwise.pipeline.data import Data, open_data
from lookwise.runs.store import is_complete, read_rows
from lookwise.sample import Sample
from lookwise.sources import ecommmmu
from lookwise.sources.rejected import Rejected

TASK = "multiclass_product_classification"
RECIPE = """
name: few
source: ecommmmu
tasks: [multiclass_product_classification]
test_splits: [test, ood]
prompts: ecommmmu
reader: scripted:first
readers: zero-shot
policies: [none]
"""


def row(number: int, split: str, output: str = "B") -> dict[str, Any]:
    given = {"query": "red kettle", "product title": f"kettle {number}"}
    images = [[f"https://pictures.example/{number}/{i}.jpg" for i in range(8)]]
    return {"task": TASK, "split": split, "input": json.dumps(given), "output": output, "images": images}


def run(folder: Path, rows: list[dict[str, Any]], *more: str) -> Path:
    """Write rows, line by line, and carry the samples step out."""
    (folder / "EcomMMMU.json").write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    (folder / "few.yaml").write_text(RECIPE + f"data: {folder}\n", encoding="utf-8")
    out = folder / "run"
    assert main(["run", str(folder / "few.yaml"), "--out", str(out), "--until", "samples", *more]) == 0
    return out


def rejected(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "rejected.json").read_text(encoding="utf-8")))


MANY = [row(0, "test", "?"), *(row(i, "train" if i % 2 else "test") for i in range(1, 40)), row(40, "test", "!")]


def test_a_limit_ends_the_reading_and_takes_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "few").mkdir()
    whole = read_rows(run(tmp_path / "all", MANY) / "rows" / "samples", Sample)
    assert rejected(tmp_path / "all" / "run")["rows"] == 2
    rows = ecommmmu.json_rows
    seen: list[int] = []

    def counted(path: Path) -> Iterator[Any]:
        for number, value in rows(path):
            seen.append(number)
            yield number, value

    monkeypatch.setattr(ecommmmu, "json_rows", counted)
    out = run(tmp_path / "few", MANY, "--limit", "3")
    assert read_rows(out / "rows" / "samples", Sample) == whole[:3]
    assert seen == list(range(1, 8)), "the third usable row of test is the seventh of the file"
    assert rejected(out) == {
        "rows": 1,
        "reasons": {"output '?' is none of the answers A, B, C, D": 1},
        "first": [{"row": 1, "reason": "output '?' is none of the answers A, B, C, D"}],
    }


def test_a_limit_of_one_split_alone_reads_on(tmp_path: Path) -> None:
    run(tmp_path, MANY)
    for more, train, test, refused in (
        (["samples_test=1"], 20, 1, 2),
        (["samples_test=1", "samples_train=2", "samples_val=1"], 2, 1, 2),
    ):
        recipe = config.load(str(tmp_path / "few.yaml"), ["readers=both", "tune_on=[none]", *more])
        rows = list(open_data(recipe, tmp_path, None).read())
        found = Counter(row.split if isinstance(row, Sample) else "refused" for row in rows)
        assert found == Counter(train=train, test=test, refused=refused), "no row of val is ever found"


def test_samples_are_written_as_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[int] = []
    written = data_steps.write_rows

    def small(folder: Path, kind: type, rows: Iterator[Sample]) -> None:
        written(folder, kind, rows, part_rows=4)

    def watched(self: Data) -> Iterator[Sample | Rejected]:
        for item in reading(self):
            parts.append(len(list((tmp_path / "run" / "rows" / "samples").glob("part-*.parquet"))))
            yield item

    reading = Data.read
    monkeypatch.setattr(data_steps, "write_rows", small)
    monkeypatch.setattr(Data, "read", watched)
    out = run(tmp_path, [row(i, "test", "B" if i % 3 else "?") for i in range(600)])
    assert parts[0] == 0
    assert parts[-1] > 90, "parts are there while rows are still to come"
    told = rejected(out)
    assert (told["rows"], sum(told["reasons"].values()), len(told["first"])) == (200, 200, 100)
    assert len(read_rows(out / "rows" / "samples", Sample)) == 400


def test_a_file_without_a_sample_stops_and_leaves_nothing_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError):
        run(tmp_path, [row(1, "test", "?")])
    assert f"no sample of {TASK}; the first row: output '?' is none" in capsys.readouterr().err
    assert not is_complete(tmp_path / "run" / "rows" / "samples")
    assert not (tmp_path / "run" / "rejected.json").exists()
