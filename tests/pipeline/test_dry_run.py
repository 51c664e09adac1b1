"""A dry run over EcomMMMU's rows: what every step will ask, what merging saves, in memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from lookwise import config
from lookwise.benchmarks.ecommmmu import EXAMPLES
from lookwise.cli import main
from lookwise.pipeline.data import Data, open_data
from lookwise.pipeline.demand import Demand
from lookwise.recipe import Recipe
from lookwise.sample import Sample

TASK = "multiclass_product_classification"


def row(number: int, split: str, title: str, salient: bool = False) -> str:
    given = {"query": "red kettle", "product title": title}
    images = [[f"https://pictures.example/{number}/{i}.jpg" for i in range(8)]]
    return json.dumps(
        {
            "task": TASK,
            "split": split,
            "instruction": "Choose.",
            "input": json.dumps(given),
            "output": "B",
            "images": images,
            "is_vc": salient,
        }
    )


def write(folder: Path, rows: Iterator[str]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "EcomMMMU.json").open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in rows)
    return folder


def small(folder: Path) -> Path:
    """Write 8 training rows (every other one marked), 4 of validation, 6 of test with two titles among them."""
    rows = [row(i, "train", f"kettle {i}", i % 4 == 1) for i in range(8)]
    rows += [row(10 + i, "val", f"kettle {10 + i}") for i in range(4)]
    rows += [row(20 + i, "test", f"kettle {20 + i % 2}") for i in range(6)]
    return write(folder, iter(rows))


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {line[:13].strip(): line[13:] for line in capsys.readouterr().out.splitlines()}


def test_the_published_recipe_is_planned_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--set", f"data={small(tmp_path / 'data')}", "--out", str(tmp_path / "run"), "--dry-run"]
    assert main(["run", "sumei", *arguments]) == 0
    said = lines(capsys)
    assert not (tmp_path / "run").exists()
    # Two of the verifier's four training samples are marked, all four of validation are asked: with and without each of
    # eight pictures, in free text and ranked.
    assert "108 requests after merging" in said["measured"]
    assert "at most 16 pictures: at most 6 steps of 8 rows" in said["verifier"]
    assert "192 requests after merging" in said["predicted"], "readers' halves: 4 + 2; test: 6; all written and ranked"
    # Three readers; of each: two texts alone, six first pictures, and two open policies of six samples; all that twice,
    # written and ranked; and the question without its content, ranked.
    assert "3 readers on hf:llava-hf/llava-interleave-qwen-7b-hf x 4 policies x 6 samples: " in said["predictions"]
    assert said["predictions"].endswith("51 to 123 requests after merging")
    assert "captions" not in said
    assert "saves at least 24 of 447 requests (5.4%)" in said["merging"]


def test_answers_known_since_they_were_measured_are_not_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "frozen.yaml"
    path.write_text(
        f"source: ecommmmu\ndata: {small(tmp_path / 'data')}\nprompts: ecommmmu\nreader: scripted:first\n"
        "readers: zero-shot\ntest_splits: [test]\npolicies: [none, visuals:always, 'visuals:oracle/measured']\n",
        encoding="utf-8",
    )
    assert main(["run", str(path), "--out", str(tmp_path / "run"), "--dry-run"]) == 0
    said = lines(capsys)
    assert "50 requests after merging" in said["measured"], "48 with pictures, and two texts"
    assert "9 to 15 requests after merging" in said["predictions"]
    # 4 texts merge in `measured`, 4 in `predictions`; all 8 that are certain there were measured before.
    assert "saves at least 16 of 73 requests" in said["merging"]
    assert main(["run", str(path), "--out", str(tmp_path / "run"), "--until", "measured"]) == 0
    calls = json.loads((tmp_path / "run" / "calls.json").read_text(encoding="utf-8"))["measured"]["assessor"]
    assert (calls["asked"], calls["merged"]) == (54, 4), "the loop counts as the plan did"


def test_rows_that_are_no_samples_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = row(1, "test", "kettle")
    data = write(tmp_path / "data", iter([twice, twice, '{"task": "x"}']))
    assert main(["run", "sumei", "--set", f"data={data}", "--dry-run"]) == 0
    assert lines(capsys)["rejected"].startswith("2 rows")


def peak(recipe: Recipe, data: Path, room: int) -> int:
    found = Demand(opened(recipe, data), room)
    tracemalloc.start()
    for item in opened(recipe, data).read():
        assert isinstance(item, Sample)
        found.add(item)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.measured.asked > found.measured.different.count * 0.5
    return highest


def opened(recipe: Recipe, data: Path) -> Data:
    return open_data(replace(recipe, data=str(data)), Path("run"), None)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """What grows is what the reader keeps of a row, to know one that comes again: a number in a set."""
    recipe = config.load("sumei")
    few, many = 200, 1_000
    for count in (few, many):
        write(tmp_path / str(count), (row(i, "train", f"kettle {i}", True) for i in range(count)))
    peak(recipe, tmp_path / str(few), 64)
    grown = peak(recipe, tmp_path / str(many), 64) - peak(recipe, tmp_path / str(few), 64)
    assert grown / (many - few) < 500, "bytes a row; a sample with its eight pictures takes thousands"


def test_every_task_of_ecommmmu_can_be_planned() -> None:
    recipe = config.load("sumei")
    tasks = {task.name: task for task in config_tasks(recipe)}
    found = Demand(Data("ecommmmu", Path("none"), MappingProxyType(tasks), recipe))
    for sample in EXAMPLES.values():
        found.add(sample)
    assert found.predicted.asked == found.predicted.different.count == 2 * 8 * len(EXAMPLES), "written and ranked"
    same_options = sum(bool(task.labels) for task in tasks.values())
    assert found.answers.asked == 2 * 4 * len(EXAMPLES) + same_options, "written, ranked, and once without content"


def config_tasks(recipe: Recipe) -> list:
    from lookwise.benchmarks.catalog import find_benchmark
    from lookwise.benchmarks.wording import reworded

    return list(reworded(find_benchmark("ecommmmu"), recipe.prompts, None).tasks)
