"""EcomMMMU's layout: rows become samples with eight candidates a slot, and every bad row a counted reason."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lookwise.benchmarks.ecommmmu import CANDIDATES, ECOMMMMU, VISION_SALIENT
from lookwise.errors import DataError
from lookwise.sample import Sample
from lookwise.sources.ecommmmu import FILE, read
from lookwise.sources.rejected import Rejected


def product(name: str, count: int = CANDIDATES) -> list[str]:
    return [f"https://pictures.example/{name}/{i}.jpg" for i in range(count)]


def bought(count: int) -> list[dict[str, str]]:
    return [{"text": f"{i}: a thing"} for i in range(count)]


def row(task: str, given: Any, output: Any, images: Any, **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "split": "test",
        "instruction": "Say it.",
        "input": json.dumps(given),
        "output": output,
        "images": images,
        "is_vc": False,
        **more,
    }


OPTIONS = "Choose.\n" + "\n".join(f"{letter}: item {letter.lower()}" for letter in "ABCDEFGHIJKLMNOPQRST")
QUESTION = {"question": "Does it fit?", "document": ["It is small.", "It fits."]}
SEARCH = {"query": "red kettle", "product title": "Blue kettle"}
ROWS = [
    row("answerability_prediction", QUESTION, "Yes", [product("a")], is_vc=True),
    row("binary-question_answering", QUESTION, "cannot answer", [product("b")]),
    row(
        "click-through_predction",
        {"purchase history": bought(2), "candidate": {"text": "a cup"}},
        "no",
        [product("c"), product("d"), product("e")],
    ),
    row(
        "sequential_recommendation",
        {"purchase history": bought(2)},
        "T",
        [product("f"), product("g")],
        instruction=OPTIONS,
    ),
    row("multiclass_product_classification", SEARCH, "B", [product("h")]),
    row("production_substitute_identification", SEARCH, "yes", [product("i")]),
    row(
        "product_relation_prediction",
        {"product1 title": "Drill", "product2 title": "Bits"},
        "C",
        [product("j"), product("k")],
    ),
    row("sentiment_analysis", {"user review": "It broke."}, "E: very negative", [product("l")]),
]


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / FILE).write_text(json.dumps(rows), encoding="utf-8")
    return folder / FILE


def samples(path: Path, **wanted: Any) -> list[Sample]:
    return [r for r in read(path, **wanted) if isinstance(r, Sample)]


def reasons(path: Path, **wanted: Any) -> list[str]:
    return [r.reason for r in read(path, **wanted) if isinstance(r, Rejected)]


def test_one_row_of_every_task(tmp_path: Path) -> None:
    found = samples(write(tmp_path, ROWS))
    assert len(found) == 8
    assert {s.task for s in found} == {t.name for t in ECOMMMMU.tasks}
    for sample in found:
        task = ECOMMMMU.task(sample.task)
        assert tuple(name for name, _ in sample.fields) == task.fields
        assert sample.target in task.answers(sample)
        assert sample.candidates == tuple(range(CANDIDATES))
    by_task = {s.task.split("/")[1]: s for s in found}
    assert by_task["answerability_prediction"].subset == VISION_SALIENT
    assert by_task["sentiment_analysis"].subset is None
    assert by_task["sentiment_analysis"].target == "E"
    slots = dict.fromkeys(v.slot for v in by_task["click_through_prediction"].visuals)
    assert list(slots) == ["history[0]", "history[1]", "candidate"]
    assert by_task["sequential_recommendation"].options[19] == "T: item t"
    assert [v.media.source for v in by_task["product_relation_prediction"].view(3)] == [
        "https://pictures.example/j/3.jpg",
        "https://pictures.example/k/3.jpg",
    ]
    assert by_task["product_substitute_identification"].id == "product_substitute_identification/test/000000"


def test_both_spellings_are_asked_for_and_read(tmp_path: Path) -> None:
    usual = {**ROWS[5], "task": "product_substitute_identification", "input": json.dumps({**SEARCH, "query": "x"})}
    path = write(tmp_path, [*ROWS, usual])
    for name in ("production_substitute_identification", "ecommmmu/product_substitute_identification"):
        assert len(samples(path, tasks=[name])) == 2
    with pytest.raises(DataError, match="did you mean 'sentiment_analysis'"):
        read(path, tasks=["sentiment_analyses"])
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        (0, {"images": [product("a", 7)]}, "fewer than 8 pictures of a product"),
        (0, {"images": [[*product("a", 7), None]]}, "fewer than 8 pictures of a product"),
        (0, {"images": [product("a", 9)]}, "more than 8 pictures of a product"),
        (0, {"images": []}, "no pictures"),
        (0, {"images": None}, "no pictures"),
        (0, {"images": [[]]}, "a product without pictures"),
        (0, {"images": product("a")}, "images is not a list of lists"),
        (0, {"images": [[1] * 8]}, "images holds something other than texts"),
        (0, {"images": [["../../secret.png"] * 8]}, "picture '../../secret.png' leads out of the dataset's folder"),
        (0, {"images": [product("a"), product("b")]}, "more products pictured than the input names"),
        (6, {"images": [product("j")]}, "fewer products pictured than the input names"),
        (3, {"images": [product("j")] * 3}, "more products pictured than the input names"),
        (2, {"images": [product("j")] * 4}, "more products pictured than the input names"),
        (3, {"instruction": "Choose."}, "no options: none in the input, and no lettered ones in the instruction"),
        (0, {"output": None}, "no output"),
        (0, {"output": ""}, "no output"),
        (0, {"output": "maybe"}, "output 'maybe' is none of the answers yes, no"),
        (0, {"output": 3}, "output is int, expected a text"),
        (0, {"input": "{"}, None),
        (0, {"input": json.dumps([1])}, "input is list, expected an object"),
        (0, {"input": json.dumps({"question": "?"})}, "input has no 'document'"),
        (0, {"input": json.dumps({"question": 4, "document": []})}, "question is int, expected a text"),
        (3, {"input": json.dumps({"purchase history": [{"txt": 1}]})}, "purchase history is not a list of texts"),
        (0, {"input": json.dumps({"question": "\ud800", "document": []})}, "a text is not UTF-8"),
        (0, {"task": "answerability"}, "task 'answerability' is not one of EcomMMMU's"),
        (0, {"task": None}, "task 'None' is not one of EcomMMMU's"),
        (0, {"split": "ood"}, "split 'ood' is none of train, val, test"),
        (0, {"is_vc": "perhaps"}, "is_vc is neither true nor false"),
    ],
)
def test_a_bad_row_is_a_reason_and_stops_nothing(
    tmp_path: Path, place: int, change: dict[str, Any], reason: str | None
) -> None:
    rows = [dict(r) for r in ROWS]
    rows[place] |= change
    path = write(tmp_path, rows)
    assert len(samples(path)) == 7
    (found,) = reasons(path)
    assert reason in (None, found)


def test_a_row_that_was_refused_does_not_stand_in_the_way_of_a_whole_one(tmp_path: Path) -> None:
    path = write(tmp_path, [{**ROWS[0], "output": ""}, ROWS[0]])
    (sample,) = samples(path)
    assert sample.target == "yes"
    assert reasons(path) == ["no output"]


def test_a_row_keeps_its_own_instruction_for_prompts_that_show_it(tmp_path: Path) -> None:
    path = write(tmp_path, [ROWS[0], {**ROWS[1], "instruction": None}, {**ROWS[2], "instruction": "\ud800"}])
    assert [s.instruction for s in samples(path)] == ["Say it.", ""]
    assert reasons(path) == ["a text is not UTF-8"]


def test_a_row_that_comes_again_is_counted_whatever_its_split_or_output(tmp_path: Path) -> None:
    again = [ROWS[0], {**ROWS[0], "split": "train"}, {**ROWS[0], "output": "no"}, {**ROWS[0], "images": [product("z")]}]
    path = write(tmp_path, again)
    assert Counter(reasons(path)) == {"the same task, input and pictures came before": 2}
    assert len(samples(path)) == 2


def test_fewer_pictures_can_be_allowed(tmp_path: Path) -> None:
    rows = [{**ROWS[6], "images": [product("a", 3), product("b", 5)]}]
    (sample,) = samples(write(tmp_path, rows), fewest=1)
    assert len(sample.visuals) == 8
    assert sample.candidates == (0, 1, 2)


def test_options_are_found_by_their_letters_and_never_invented(tmp_path: Path) -> None:
    given = {"purchase history": bought(1), "options": ["item x", "B: item y"]}
    rows = [
        row("sequential_recommendation", given, "B", [product("a")]),
        row(
            "sequential_recommendation",
            {"purchase history": bought(1)},
            "A",
            [product("b")],
            instruction="Options: ['A: one, two', 'B: three (x)']",
        ),
        row(
            "sequential_recommendation",
            {"purchase history": bought(1)},
            "A",
            [product("c")],
            instruction="Plan A: go home",
        ),
    ]
    path = write(tmp_path, rows)
    assert [s.options for s in samples(path)] == [("A: item x", "B: item y"), ("A: one, two", "B: three (x)")]
    assert len(reasons(path)) == 1


@pytest.mark.parametrize(
    ("instruction", "options"),
    [
        ("Options: A: x B: y C: z", ("A: x", "B: y", "C: z")),
        ("A. x\nB. y", ("A: x", "B: y")),
        ("(A) x (B) y", ("A: x", "B: y")),
        ("A : x; B : y", ("A: x", "B: y")),
        ("A: one.B: two", ("A: one.", "B: two")),
        ("Sold in the U.S.A. and abroad. A. x B. y", ("A: x", "B: y")),
        ("Sold in the U.S.A. Choose. A: x B: y", ("A: x", "B: y")),
        ("With vitamin A. Choose: A: x B: y", ("A: x", "B: y")),
        ("Made in the U.S.A. for you. B. nothing else", ()),
        ("In the U.S.A. and in plan B: nothing", ()),
        ("USA: all of it, AB: nothing", ()),
        ("A: x B:", ()),
        ("A: x C: z", ()),
    ],
)
def test_options_of_usual_and_odd_texts(tmp_path: Path, instruction: str, options: tuple[str, ...]) -> None:
    given = {"purchase history": bought(1)}
    path = write(tmp_path, [row("sequential_recommendation", given, "A", [product("c")], instruction=instruction)])
    assert [s.options for s in samples(path)] == ([options] if options else [])


def test_limits_and_splits(tmp_path: Path) -> None:
    rows = [
        row("sentiment_analysis", {"user review": f"no {i}"}, "A", [product(str(i))], split=split)
        for i, split in enumerate(["train", "test", "train", "validation", "train"])
    ]
    path = write(tmp_path, rows)
    assert [s.id for s in samples(path, splits=["train"], limit=2)] == [
        "sentiment_analysis/train/000000",
        "sentiment_analysis/train/000001",
    ]
    assert [s.split for s in samples(path)] == ["train", "test", "train", "val", "train"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for i in range(4000):
            given = {"user review": f"{i} " + "words " * 200}
            file.write(("," if i else "") + json.dumps(row("sentiment_analysis", given, "A", [product(str(i))])))
        file.write("]")
    assert path.stat().st_size > 6_000_000
    tracemalloc.start()
    count = sum(isinstance(r, Sample) for r in read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 1_500_000


def test_fresh_rows_need_no_output_and_may_repeat(tmp_path: Path) -> None:
    given = {k: v for k, v in ROWS[4].items() if k not in ("output", "split")}
    path = write(tmp_path, [given, given, {**given, "output": "junk", "split": "dev"}, {**given, "task": "nothing"}])
    assert [(s.id.rsplit("/", 1)[-1], s.split, s.target) for s in samples(path, fresh=True)] == [
        ("000000", "test", None),
        ("000001", "test", None),
        ("000002", "test", None),
    ]
    assert reasons(path, fresh=True) == ["task 'nothing' is not one of EcomMMMU's"]
    assert not samples(path)
