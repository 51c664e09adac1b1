"""What looking gains, as lines of a table: grouped by question, marked where it is clear of zero, never cut off."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lookwise.report.gains import gain_tables
from lookwise.report.html import page_text
from lookwise.report.terminal import show

TASKS = ("answerability_prediction", "category_classification", "product_relation_prediction", "sentiment_analysis")


def gain(task: str, question: str, policy: str, against: str, value: float | None, **more: Any) -> dict[str, Any]:
    half = 0.05
    return {
        "benchmark": "mmecinstruct",
        "task": f"mmecinstruct/{task}",
        "split": "test",
        "question": question,
        "model": "tiny:reader-s",
        "policy": policy,
        "tuned_on": policy,
        "against": against,
        "against_tuned_on": against,
        "metric": "f1",
        "value": value,
        "low": None if value is None else value - half,
        "high": None if value is None else value + half,
        "wins": 40,
        "losses": 11,
        "n": 400,
        "one_sided": False,
        **more,
    }


RECORDS = [
    gain(task, *asked)
    for task in TASKS
    for asked in (
        ("text", "captions:vote", "none", 0.21),
        ("text", "captions:always", "none", 0.02),
        ("all", "captions:vote", "captions:always", -0.11),
        ("ceiling", "ceiling/pictures", "ceiling/text", None),
    )
]


@pytest.fixture
def folder(run_folder: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that has gains."""
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    (copy / "gains.json").write_text(json.dumps(RECORDS), encoding="utf-8")
    return copy


def test_lines_are_grouped_by_question_and_marked() -> None:
    (table,) = gain_tables(RECORDS)
    assert [(line.group, line.label) for line in table.lines] == [
        ("against text alone", "captions:vote"),
        ("against text alone", "captions:always"),
        ("against showing everything", "captions:vote"),
        ("what there is to gain", "best possible reader"),
    ]
    assert [line.cells[0].verdict for line in table.lines if line.cells[0]] == ["pays", "unclear", "costs", "unclear"]
    assert [column.n for column in table.columns] == [400] * 4


def test_a_gate_of_pictures_is_held_against_always_the_main_one() -> None:
    (table,) = gain_tables([gain(TASKS[0], "all", "visuals:predicted", "visuals:always", 0.1)])
    assert [line.group for line in table.lines] == ["against always showing the main picture"]


def test_a_subset_has_a_table_of_its_own_after_those_of_whole_splits(folder: Path) -> None:
    part = [gain(task, "text", "captions:vote", "none", 0.3, n=90, subset="vision-salient") for task in TASKS]
    ood = [{**record, "split": "ood", "subset": None} for record in RECORDS]
    tables = gain_tables([*RECORDS, *part, *ood])
    titles = ["Does looking pay? test", "Does looking pay? ood", "Does looking pay? test, vision-salient"]
    assert [table.title for table in tables] == titles
    assert [len(table.lines) for table in tables] == [4, 4, 1]
    assert tables[2].columns[0].n == 90
    (folder / "gains.json").write_text(json.dumps([*RECORDS, *part]), encoding="utf-8")
    out = io.StringIO()
    show(folder, Console(file=out, width=132, highlight=False))
    said = out.getvalue()
    assert said.index(titles[0]) < said.index(titles[2])
    assert f"<h2>{titles[2]}</h2>" in page_text(folder)


def test_several_models_are_named() -> None:
    (table,) = gain_tables([*RECORDS, gain(TASKS[0], "text", "captions:vote", "none", 0.1, model="other", tuned_on="")])
    assert table.lines[0].label == "tiny:reader-s, captions:vote"
    assert any(line.label == "other, captions:vote, untuned" for line in table.lines)


@pytest.mark.parametrize("width", [80, 132])
def test_the_terminal_shows_every_gain(folder: Path, width: int) -> None:
    out = io.StringIO()
    show(folder, Console(file=out, width=width, highlight=False))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert text.count("+.210±.05*") == len(TASKS)
    assert text.count("-.110±.05*") == len(TASKS)
    assert "against showing everything" in text
    assert "clear of zero" in text


def test_the_page_opens_with_the_answer(folder: Path) -> None:
    text = page_text(folder)
    assert text.count('<td class="pays"') == len(TASKS)
    assert text.index("Does looking pay?") < text.index("mmecinstruct, test (in domain)")


def test_a_reader_of_one_answer_is_marked(folder: Path) -> None:
    told = [*RECORDS[:-1], {**RECORDS[0], "task": "mmecinstruct/multiclass_product_classification", "one_sided": True}]
    (folder / "gains.json").write_text(json.dumps(told), encoding="utf-8")
    out = io.StringIO()
    show(folder, Console(file=out, width=132, highlight=False))
    assert out.getvalue().count("+.210±.05*!") == 1
    assert page_text(folder).count('class="pays odd"') == 1


def test_a_run_of_before_has_no_such_table(run_folder: Path) -> None:
    assert "Does looking pay?" not in page_text(run_folder)


def test_what_all_tasks_come_to_stands_first() -> None:
    of_all = {"task": "all tasks", "metric": "share_right", "n": 1600}
    pooled = gain("any", "text", "captions:vote", "none", 0.08) | of_all
    (table,) = gain_tables([*RECORDS, pooled])
    assert [column.task for column in table.columns] == ["all tasks", *(f"mmecinstruct/{task}" for task in TASKS)]
    assert (table.columns[0].metric, table.columns[0].n) == ("share_right", 1600)
    first = next(line for line in table.lines if line.label == "captions:vote")
    assert [cell.value for cell in first.cells if cell] == [0.08, 0.21, 0.21, 0.21, 0.21]
    assert [line.cells[0] for line in table.lines][1:] == [None, None, None], "nothing was pooled for the others here"
