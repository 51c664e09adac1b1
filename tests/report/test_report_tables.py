"""Score records and calls as tables: lines, columns, marks, order."""

from __future__ import annotations

from typing import Any

import pytest

from lookwise.report.tables import CallLine, Line, ScoreTable, call_lines, score_tables
from lookwise.report.words import caption, metric_name, number, seconds, short_names, spread


def score(task: str, policy: str, value: float | None, **more: Any) -> dict[str, Any]:
    given = {"benchmark": "b", "task": f"b/{task}", "split": "test", "subset": None, "policy": policy, "model": "m"}
    numbers = {"metric": "f1", "primary": True, "value": value, "low": None, "high": None, "n": 10, "failed": 0}
    return {**given, **numbers, "training": "generalist", "tuned_on": "none", "published": [], **more}


def only(scores: list[dict[str, Any]], **more: Any) -> ScoreTable:
    (table,) = score_tables(scores, **more)
    return table


def line(table: ScoreTable, label: str) -> Line:
    (found,) = [one for one in table.lines if one.label == label]
    return found


def test_a_table_per_benchmark_and_split_in_order() -> None:
    scores = [score("t", "none", 0.5, split="ood"), score("t", "none", 0.5), score("t", "none", 0.5, benchmark="c")]
    assert [(t.benchmark, t.split) for t in score_tables(scores)] == [("b", "ood"), ("b", "test"), ("c", "test")]
    assert score_tables(scores)[0].title == "b, ood (out of domain)"
    assert score_tables([]) == ()


def test_only_primary_metrics_and_missing_cells_stay_empty() -> None:
    table = only([score("s", "none", 0.5), score("t", "none", 0.9, primary=False), score("t", "x", 0.7)])
    assert [c.name for c in table.columns] == ["s", "t"]
    assert [c and c.value for c in line(table, "none").cells] == [0.5, None]
    assert [c and c.value for c in line(table, "x").cells] == [None, 0.7]


def test_best_is_among_readers_that_one_can_have_and_ties_are_all_marked() -> None:
    table = only(
        [
            score("t", "majority", 0.9, model="majority"),
            score("t", "none", 0.5),
            score("t", "captions:vote", 0.7),
            score("t", "captions:always", 0.7),
            score("t", "captions:judge/a", None),
            score("t", "captions:oracle/truth", 0.8),
            score("t", "ceiling/text", 0.95),
        ]
    )
    assert [(one.label, one.cells[0].best) for one in table.lines if one.cells[0]] == [
        ("majority class", False),
        ("none", False),
        ("captions:vote", True),
        ("captions:always", True),
        ("captions:judge/a", False),
        ("captions:oracle/truth", False),
        ("ceiling, text", False),
    ]


def test_a_single_reader_is_not_best_of_one() -> None:
    (cell,) = line(only([score("t", "none", 0.5)]), "none").cells
    assert cell is not None
    assert not cell.best


def test_kinds_are_in_order_and_groups_name_the_tuning() -> None:
    table = only(
        [
            score("t", "ceiling/pictures", 1.0),
            score("t", "none", 0.5),
            score("t", "none", 0.6, tuned_on="captions:vote", training="per-task"),
            score("t", "none", 0.4, tuned_on="", training="zero-shot"),
            score("t", "majority", 0.3, model="majority"),
        ]
    )
    assert [(one.kind, one.group) for one in table.lines] == [
        ("baseline", ""),
        ("reader", "tuned on none"),
        ("reader", "tuned on captions:vote, per task"),
        ("reader", "zero-shot"),
        ("ceiling", ""),
    ]


def test_several_models_are_named() -> None:
    table = only([score("t", "none", 0.5), score("t", "none", 0.6, model="n")])
    assert [one.group for one in table.lines] == ["m, tuned on none", "n, tuned on none"]


def test_failures_shares_and_one_sided_answers() -> None:
    scores = [
        score("s", "captions:vote", 0.5, failed=3, one_sided=True, commonest_share=0.99),
        score("t", "captions:vote", 0.5, failed=4, one_sided=False, commonest_share=0.6),
    ]
    one = line(only(scores, used={("test", "captions:vote"): 0.25}), "captions:vote")
    assert (one.failed, one.used) == (7, 0.25)
    assert [c and c.one_sided for c in one.cells] == [0.99, None]


def test_subsets_are_columns_of_their_own() -> None:
    table = only([score("t", "none", 0.5), score("t", "none", 0.4, subset="vc", n=4)])
    assert [(c.name, c.n) for c in table.columns] == [("t", 10), ("t [vc]", 4)]
    assert [c and c.value for c in table.lines[0].cells] == [0.5, 0.4]


def test_capabilities_and_declared_subsets_have_tables_of_their_own() -> None:
    eight = {"benchmark": "ecommmmu"}
    mean = {**eight, "capability": "user behavior alignment"}
    tables = score_tables(
        [
            score("t", "none", 0.5, **eight),
            score("t", "none", 0.4, subset="vision-salient", n=4, **eight),
            score("t", "none", 0.3, subset="some other", n=3, **eight),
            score("", "none", 0.6, **mean),
            score("", "none", 0.7, **{**mean, "subset": "vision-salient"}),
        ],
        used={("test", "none"): 0.25},
    )
    assert [table.title for table in tables] == [
        "ecommmmu, test (in domain)",
        "ecommmmu, test (in domain), capabilities",
        "ecommmmu, test (in domain), vision-salient",
    ]
    names = [[column.name for column in table.columns] for table in tables]
    assert names == [["t", "t [some other]"], ["user behavior alignment"], ["user behavior alignment", "t"]]
    assert [[c and c.value for c in table.lines[0].cells] for table in tables] == [[0.5, 0.3], [0.6], [0.7, 0.4]]
    assert [table.lines[0].used for table in tables] == [0.25, None, None], "what is shown is known of whole splits"


def test_published_systems_stand_in_lines_of_their_own() -> None:
    cell = {"system": "CASLIE-M", "value": 0.87, "source": "table 3", "note": "as printed"}
    table = only([score("s", "none", 0.5, published=[cell]), score("t", "none", 0.6)])
    published = line(table, "CASLIE-M")
    assert published.kind == "published"
    assert [c and c.value for c in published.cells] == [0.87, None]
    assert published.note == "table 3; as printed"
    assert published.failed is None


def test_calls_are_summed_where_a_stage_has_several_models() -> None:
    calls = {
        "caption": {"c": {"asked": 5, "sent": 4, "merged": 1, "seconds": 1.5}},
        "vote": {"a": {"asked": 2, "decided_early": 1}, "b": {"asked": 3, "decided_early": 4, "seconds": 2.0}},
    }
    assert call_lines(calls) == (
        CallLine("caption", "c", 5, 1, 0, 0, 4, 0, 1.5),
        CallLine("vote", "", 5, 0, 0, 5, 0, 0, 2.0),
        CallLine("vote", "a", 2, 0, 0, 1, 0, 0, 0.0),
        CallLine("vote", "b", 3, 0, 0, 4, 0, 0, 2.0),
    )


def test_a_readers_seconds_are_those_of_its_own_answers() -> None:
    calls = call_lines(
        {
            "answer": {
                "reader": {"seconds": 1.0},
                "reader[none]": {"seconds": 2.0},
                "reader[captions:vote, b/s]": {"seconds": 3.0},
                "reader[captions:vote, b/t]": {"seconds": 4.0},
            }
        }
    )
    scores = [
        score("t", "none", 0.5),
        score("t", "none", 0.6, tuned_on="captions:vote"),
        score("t", "none", 0.6, tuned_on="", training="zero-shot"),
        score("t", "none", 0.6, tuned_on="captions:always"),
        score("t", "majority", 0.6, tuned_on=""),
    ]
    assert [one.seconds for one in only(scores, calls=calls).lines] == [None, 2.0, 7.0, 1.0, None]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8124, ".812"), (1.0, "1.000"), (0.0, ".000"), (0.9996, "1.000"), (-0.5, "-0.50"), (4.2, "4.20")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_words() -> None:
    assert [seconds(s) for s in (0.04, 9.94, 61.6, 300, 7300)] == ["0.0 s", "9.9 s", "62 s", "5 min", "2.0 h"]
    assert [spread(0.4, 0.5), spread(0.40, 0.41), spread(0, 1)] == ["±.05", "±.005", "±.50"]
    assert [metric_name(m) for m in ("recall_at_1", "accuracy", "weighted_precision")] == [
        "R@1",
        "accuracy",
        "weighted precision",
    ]


def test_long_task_names_become_initials_unless_two_share_them() -> None:
    table = only(
        [score(t, "none", 0.5) for t in ("sentiment_analysis", "toy", "some_approximation", "next_item_choice")]
    )
    assert short_names(table.columns) == ["sentiment_analysis", "toy", "some_approximation", "NIC"]
    assert caption(table)[0] == "NIC next item choice"
