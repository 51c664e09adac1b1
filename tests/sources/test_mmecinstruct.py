"""The published layout: every task, tolerated spellings, malformed rows counted with their reason, bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from lookwise import json_stream
from lookwise.errors import DataError
from lookwise.sample import Sample
from lookwise.sources.mmecinstruct import read, split_name
from lookwise.sources.rejected import Rejected

OPTIONS = ["A: very positive", "B: positive", "C: neutral", "D: negative", "E: very negative"]


def row(task: str = "sentiment_analysis", split: str = "test", **changes: Any) -> dict[str, Any]:
    base = {
        "task": task,
        "split": split,
        "instruction": "Choose.",
        "input": json.dumps({"review": 'fine {braces} "quotes"'}),
        "options": json.dumps(OPTIONS),
        "output": "B",
        "images": json.dumps(["images/x.png"]),
    }
    return {**base, **changes}


def write(folder: Path, rows: list[Any], lines: bool = False) -> Path:
    path = folder / "dataset.json"
    text = "\n".join(json.dumps(r) for r in rows) if lines else json.dumps(rows)
    path.write_text(text, encoding="utf-8")
    return path


def everything(path: Path, **arguments: Any) -> tuple[list[Sample], list[Rejected]]:
    found = list(read(path, **arguments))
    return [x for x in found if isinstance(x, Sample)], [x for x in found if isinstance(x, Rejected)]


@pytest.mark.parametrize("lines", [False, True])
def test_a_row_becomes_a_sample(tmp_path: Path, lines: bool) -> None:
    (sample,), rejected = everything(write(tmp_path, [row()], lines))
    assert not rejected
    assert sample.id == "sentiment_analysis/test/00000"
    assert (sample.benchmark, sample.task, sample.split) == ("mmecinstruct", "mmecinstruct/sentiment_analysis", "test")
    assert sample.fields == (("review", 'fine {braces} "quotes"'),)
    assert sample.options == tuple(OPTIONS)
    assert sample.target == "B"
    assert [(v.slot, v.media.source) for v in sample.visuals] == [("review", str(tmp_path.resolve() / "images/x.png"))]


def test_every_task_has_its_fields_and_slots(tmp_path: Path) -> None:
    pictures = {n: json.dumps([f"https://example.org/{i}.jpg" for i in range(n)]) for n in (1, 2, 5)}
    none = {"options": "[]"}
    rows = [
        row("answerability_prediction", input='{"question": "q?", "document": ["one", "two"]}', output="no", **none),
        row("category_classification", input='{"title": "t"}', options='["A: mug", "B: hat"]', output="A: mug"),
        row("product_relation_prediction", input='{"product 1": "x", "product 2": "y"}', images=pictures[2]),
        row("product_substitute_identification", input='{"query": "q", "product title": "t"}', output="Yes", **none),
        row("multiclass_product_classification", input='{"query": "q", "product title": "t"}'),
        row(
            "sequential_recommendation",
            input='["1st: a", "2nd: b", "3rd: c"]',
            options='["A: x", "B: y"]',
            images=pictures[5],
        ),
    ]
    samples, rejected = everything(write(tmp_path, rows))
    assert not rejected
    ap, cc, prp, psi, mpc, sr = samples
    assert ap.field("document") == ("one", "two")
    assert (ap.options, ap.target) == ((), "no")
    assert cc.target == "A"
    assert [v.slot for v in prp.visuals] == ["product 1", "product 2"]
    assert prp.visuals[1].media.source == "https://example.org/1.jpg"
    assert psi.target == "yes"
    assert mpc.text("product title") == "t"
    assert sr.field("history") == ("1st: a", "2nd: b", "3rd: c")
    assert [v.slot for v in sr.visuals] == ["history[0]", "history[1]", "history[2]", "options[0]", "options[1]"]


@pytest.mark.parametrize("name", ["ood", "test_ood", "ood_test", "OOD test", "out-of-domain", "OOD"])
def test_spellings_of_the_out_of_domain_split(tmp_path: Path, name: str) -> None:
    (sample,), _ = everything(write(tmp_path, [row(split=name)]))
    assert (sample.split, sample.id) == ("ood", "sentiment_analysis/ood/00000")


def test_other_splits_are_not_guessed() -> None:
    assert [split_name(n) for n in ("train", "Validation", "dev", "test", "IND test")] == [
        "train",
        "val",
        "val",
        "test",
        "test",
    ]
    assert split_name("holdout") is None


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("B: positive", "B"),
        ("positive", "B"),
        ("Very negative.", "E"),
        (" A ", "A"),
        ("", None),
    ],
)
def test_gold_becomes_the_letter(tmp_path: Path, output: str, letter: str | None) -> None:
    (sample,), _ = everything(write(tmp_path, [row(output=output)]))
    assert sample.target == letter


@pytest.mark.parametrize("options", ["[]", "", None, "None", "null", []])
def test_ways_to_have_no_options(tmp_path: Path, options: Any) -> None:
    ap = row("answerability_prediction", input={"question": "q", "document": "only one"}, output="yes", options=options)
    (sample,), rejected = everything(write(tmp_path, [ap]))
    assert not rejected
    assert (sample.options, sample.target) == ((), "yes")
    assert sample.field("document") == ("only one",)


def test_columns_may_hold_values_instead_of_json_text(tmp_path: Path) -> None:
    given = row(input={"review": "r"}, options=OPTIONS, images=["images/x.png"], subset="held-out wording")
    (sample,), _ = everything(write(tmp_path, [given]))
    assert sample.options == tuple(OPTIONS)
    assert sample.subset == "held-out wording"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(task="poetry"), "task 'poetry'"),
        (row(task=None), "task None"),
        (row(split="holdout"), "split 'holdout'"),
        (row(split=3), "split 3"),
        (row(input="{broken"), "input is not JSON"),
        (row(input='["a"]'), "input is list"),
        (row(input='{"text": "r"}'), "no 'review'; it has 'text'"),
        (row(input='{"review": 5}'), "review is int"),
        (row(options="[]"), "no options"),
        (row(options='{"A": "x"}'), "options is not a list"),
        (row(options='["A: x", "A: y"]'), "letter of their own"),
        (row(output="Z"), "output 'Z'"),
        (row(output=2), "output is int"),
        (row(images="[]"), "0 pictures, expected 1 (review)"),
        (row(images='["a.png", "b.png"]'), "2 pictures, expected 1"),
        (row(images='["../secret.png"]'), "leads out of the dataset's folder"),
        (row(images='["/etc/passwd"]'), "leads out of the dataset's folder"),
        (row(images='["a\\u0000.png"]'), "no usable path"),
        (row("sequential_recommendation", input='"1st: a"'), "input is str, expected a list"),
        (["no", "object"], "a JSON list"),
        (None, "a JSON NoneType"),
    ],
)
def test_a_malformed_row_is_counted_and_stops_nothing(tmp_path: Path, bad: Any, reason: str) -> None:
    for lines in (False, True):
        samples, rejected = everything(write(tmp_path, [row(), bad, row()], lines))
        assert len(samples) == 2
        assert [r.row for r in rejected] == [2]
        assert reason in rejected[0].reason
        assert "\n" not in rejected[0].reason


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "data"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    samples, rejected = everything(write(inside, [row(images='["link.png"]')]))
    assert not samples
    assert "leads out" in rejected[0].reason


def test_tasks_splits_and_limit(tmp_path: Path) -> None:
    ap = row("answerability_prediction", input='{"question": "q", "document": []}', output="no", options="[]")
    rows = [row(), ap, row(split="train"), row(), row(output="Z"), row(), row(split="ood"), ap]
    path = write(tmp_path, rows)
    ids = [s.id for s in everything(path, tasks=["mmecinstruct/sentiment_analysis"], splits=["test"])[0]]
    assert ids == [f"sentiment_analysis/test/{i:05d}" for i in (0, 1, 3)]  # a rejected row keeps its number
    assert len(everything(path, limit=1)[0]) == 4
    samples, rejected = everything(path, tasks=["sentiment_analysis"], splits=["test"], limit=2)
    assert (len(samples), rejected) == (2, [])
    assert len(everything(tmp_path, tasks=["answerability_prediction"])[0]) == 2  # the folder will do


def test_a_limit_still_reaches_a_later_split(tmp_path: Path) -> None:
    path = write(tmp_path, [row(), row(), row(), row(split="OOD test")])
    samples, _ = everything(path, tasks=["sentiment_analysis"], splits=["test", "ood"], limit=1)
    assert [s.split for s in samples] == ["test", "ood"]


def test_unknown_names_and_files_are_refused_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, [row()])
    with pytest.raises(DataError, match="did you mean 'sentiment_analysis'"):
        read(path, tasks=["sentiment_analysys"])
    with pytest.raises(DataError, match="no split 'holdout'"):
        read(path, splits=["holdout"])
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent.json")


def test_a_file_that_is_no_dataset(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    for content, message in ((b"hello", "starts with 'h'"), (b"", "starts with ''"), (b"\xff\xfe[]", "starts with")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            list(read(path))


def test_text_that_is_no_utf8_rejects_its_row_only(tmp_path: Path) -> None:
    escaped = row(input='{"review": "lone \\ud800"}')
    for lines in (False, True):
        path = write(tmp_path, [row(), row(input='{"review": "byte X"}'), escaped, row()], lines)
        path.write_bytes(path.read_bytes().replace(b"byte X", b"byte \xff"))
        samples, rejected = everything(path)
        assert len(samples) == 2
        assert [(r.row, r.reason) for r in rejected] == [(2, "a text is not UTF-8"), (3, "a text is not UTF-8")]


def test_a_damaged_list_ends_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    whole = json.dumps([row(), row()])
    for cut, rows in ((len(whole) - 1, 2), (len(whole) - 30, 1), (1, 0)):
        path.write_text(whole[:cut])
        samples, rejected = everything(path)
        assert len(samples) == rows
        assert "rest of the file was not read" in rejected[-1].reason
    path.write_text(whole + " and more")
    samples, rejected = everything(path)
    assert len(samples) == 2
    assert "after the end" in rejected[0].reason
    path.write_text('[{"task": }, 1]')
    assert "not JSON" in everything(path)[1][0].reason


def test_a_broken_line_stops_no_other(tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text("\n".join([json.dumps(row()), '{"task": ', "", json.dumps(row())]))
    samples, rejected = everything(path)
    assert len(samples) == 2
    assert [r.row for r in rejected] == [2]


def test_a_row_beyond_the_limit_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_VALUE", 2000)
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    long = row(input=json.dumps({"review": "x" * 5000}))
    samples, rejected = everything(write(tmp_path, [row(), long, row()], lines=True))
    assert (len(samples), [r.row for r in rejected]) == (2, [2])
    samples, rejected = everything(write(tmp_path, [row(), long, row()]))
    assert len(samples) == 1
    assert "longer than 2000" in rejected[0].reason


def test_chunk_borders_fall_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(output="ABCDE"[i % 5], input=json.dumps({"review": 'é \\ " { ] ' * (i % 7)})) for i in range(40)]
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    expected = everything(path)
    for chunk in (1, 7, 64, 1000):
        monkeypatch.setattr(json_stream, "_CHUNK", chunk)
        assert everything(path) == expected
    assert [s.target for s in expected[0]] == ["ABCDE"[i % 5] for i in range(40)]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, [row(input=json.dumps({"review": "x" * 4000}))] * 4000)
    assert path.stat().st_size > 16_000_000
    tracemalloc.start()
    count = sum(1 for _ in read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 6_000_000  # Python's table of interned names (pathlib fills it) may double meanwhile: 4 MB
