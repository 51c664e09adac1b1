"""Which of a run's readers answers new rows: the policy's own, one tuned on its like, the untuned or the named one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lookwise.errors import RunError
from lookwise.pipeline.context import Context, slug
from lookwise.pipeline.predict import _choose
from lookwise.recipe import Recipe
from lookwise.runs.ledger import Ledger
from lookwise.runs.replies import ReplyStore

POLICIES = (
    "none",
    "captions:always",
    "captions:judge/a",
    "visuals:always",
    "visuals:predicted/threshold",
    "visuals:predicted",
    "visuals:oracle/truth",
)
TASKS = {"ecommmmu/a": None, "ecommmmu/b": None}


def run(folder: Path, accuracies: Mapping[str, float], policies: tuple[str, ...] = POLICIES, **more: Any) -> Context:
    """Return a run whose adapters have nothing but cards, each with its validation accuracy."""
    judges = {"a": "scripted:yes", "b": "scripted:no"}
    recipe = Recipe("r", policies=policies, tune_on=tuple(accuracies), judges=judges, **more)
    for policy, accuracy in accuracies.items():
        for task in ("a", "b") if recipe.training == "per-task" else (".",):
            place = folder / "adapters" / slug(policy) / task
            place.mkdir(parents=True)
            (place / "card.json").write_text(json.dumps({"best": {"tasks": {"t": accuracy}}}), encoding="utf-8")
    data = cast(Any, SimpleNamespace(tasks=TASKS))
    return Context(recipe, folder, data, ReplyStore(None), Ledger(), None)


def test_the_nearest_reader_answers(tmp_path: Path) -> None:
    tuned = {"none": 0.3, "visuals:always": 0.9, "visuals:predicted": 0.5, "captions:judge/b": 0.1}
    context = run(tmp_path, tuned, readers="both")
    answering = {p: _choose(context, p).readers[0][0].tuned_on for p in POLICIES if "oracle" not in p}
    assert answering == {
        "none": "none",
        "captions:always": "",
        "captions:judge/a": "captions:judge/b",
        "visuals:always": "visuals:always",
        "visuals:predicted/threshold": "visuals:predicted",
        "visuals:predicted": "visuals:predicted",
    }
    assert _choose(context, None).policy == "visuals:always", "the most accurate of all"


def test_of_two_tuned_on_the_like_the_more_accurate_answers_and_of_equals_the_policys_own(tmp_path: Path) -> None:
    tuned = {"visuals:predicted": 0.5, "visuals:predicted/highest": 0.6}
    context = run(tmp_path / "two", tuned)
    chosen = _choose(context, "visuals:predicted/threshold")
    assert chosen.readers[0][0].tuned_on == "visuals:predicted/highest"
    alone = run(tmp_path / "one", {"visuals:predicted": 0.5})
    assert _choose(alone, None).policy == "visuals:predicted", "not the threshold, which stands before it"


def test_a_run_without_an_untuned_reader_answers_by_the_like_and_refuses_the_rest(tmp_path: Path) -> None:
    context = run(tmp_path, {"none": 0.3, "visuals:predicted": 0.5}, training="per-task")
    chosen = _choose(context, "visuals:predicted/threshold")
    assert [(r.tuned_on, r.task) for r, _ in chosen.readers] == [("visuals:predicted", task) for task in TASKS]
    with pytest.raises(RunError, match=r"no reader for policy 'visuals:always'; .*'visuals:predicted'"):
        _choose(context, "visuals:always")


def test_the_reader_that_is_named_answers_under_any_policy(tmp_path: Path) -> None:
    context = run(tmp_path, {"none": 0.3, "visuals:predicted": 0.5, "visuals:oracle/truth": 0.9}, readers="both")
    for name in ("none", "visuals:predicted", "visuals:oracle/truth"):
        assert _choose(context, "visuals:always", name).readers[0][0].tuned_on == name
    assert _choose(context, "visuals:predicted", "zero-shot").readers[0][0].tuned_on == ""
    assert _choose(context, None, "visuals:predicted").policy == "visuals:predicted"
    assert _choose(context, None, "zero-shot").policy == "none"
    with pytest.raises(RunError, match=r"no reader tuned on 'visuals:predict'; did you mean 'visuals:predicted'\?"):
        _choose(context, "none", "visuals:predict")
    with pytest.raises(RunError, match="is like 'visuals:oracle/truth'; name one with --policy"):
        _choose(context, None, "visuals:oracle/truth")
    with pytest.raises(RunError, match="no reader tuned on 'zero-shot'"):
        _choose(run(tmp_path / "tuned", {"none": 0.3}), None, "zero-shot")
