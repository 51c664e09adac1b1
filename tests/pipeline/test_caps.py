"""How many samples of a task and split a run takes: the recipe's numbers, caps of a task, caps of a task in a split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lookwise import config
from lookwise.errors import UsageError
from lookwise.pipeline.data import open_data
from lookwise.sample import Sample

COUNTS = {"samples_train": 5, "samples_val": 2, "samples_test": 4}


def taken(tmp_path: Path, most: dict[str, str]) -> Counter[tuple[str, str]]:
    values = {"name": "caps", "tasks": ["CC", "SA"], **COUNTS, "samples_most": most}
    data = open_data(config.parse(values, "here"), tmp_path, None)
    data.prepare()
    return Counter((s.split, s.task.rsplit("/", 1)[-1]) for s in data.read() if isinstance(s, Sample))


def test_caps_of_tasks_and_of_tasks_in_a_split(tmp_path: Path) -> None:
    counts = taken(tmp_path, {"SA": "3", "train/mmecinstruct/category_classification": "1"})
    cc, sa = "category_classification", "sentiment_analysis"
    assert counts == {
        ("train", cc): 1, ("val", cc): 2, ("test", cc): 4,
        ("train", sa): 3, ("val", sa): 2, ("test", sa): 3,
    }  # fmt: skip


@pytest.mark.parametrize("key", ["sentiment", "trian/SA"])
def test_a_cap_of_nothing_is_refused_by_name(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=key):
        taken(tmp_path, {key: "3"})
