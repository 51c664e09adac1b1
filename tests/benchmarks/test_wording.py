"""Prompt sets: files of ours, replaced one by one, hashed, and whose they are."""

import pytest

from lookwise.benchmarks.mmecinstruct import MMECINSTRUCT
from lookwise.benchmarks.wording import PROMPT_SETS, SETS_OF, USES, prompt_digest, prompts, reworded, whose
from lookwise.errors import RecipeError

SHORTS = [task.short for task in MMECINSTRUCT.tasks]


@pytest.mark.parametrize("name", SETS_OF["mmecinstruct"])
def test_every_set_asks_every_task_with_holes_that_exist(name):
    worded = reworded(MMECINSTRUCT, name)
    for task in worded.tasks:
        assert set(task.prompts) - {"utility"} == set(USES)
        assert {whose(p) for p in task.prompts.values()} == {PROMPT_SETS[name]}


def test_a_folder_replaces_single_files(tmp_path):
    (tmp_path / "answer").mkdir()
    (tmp_path / "answer" / "sentiment_analysis.txt").write_text("Feeling? {review}\n{options}\n")
    mine = prompts("mmecinstruct", "sentiment_analysis", tmp_path)
    ours = prompts("mmecinstruct", "sentiment_analysis")
    assert mine["answer"].text.startswith("Feeling?")
    assert whose(mine["answer"]) == "yours"
    assert str(tmp_path) not in mine["answer"].origin
    assert mine["caption"] == ours["caption"]
    assert prompt_digest(mine["answer"]) != prompt_digest(ours["answer"])
    assert reworded(MMECINSTRUCT, "tiny", tmp_path).task("sentiment_analysis").prompts["answer"] == mine["answer"]


def test_a_folder_may_name_the_set(tmp_path):
    (tmp_path / "tiny" / "caption").mkdir(parents=True)
    (tmp_path / "tiny" / "caption" / "sentiment_analysis.txt").write_text("look")
    assert prompts("tiny", "sentiment_analysis", tmp_path)["caption"].text == "look"
    assert prompts("mmecinstruct", "sentiment_analysis", tmp_path)["caption"].text != "look"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("answer/sentiment_analysis.txt", "{reviev}", "no such hole 'reviev'"),
        ("answer/sentiment_analysys.txt", "x", "did you mean 'sentiment_analysis'"),
        ("answers/sentiment_analysis.txt", "x", "did you mean 'answer'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, file, text, message):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    with pytest.raises(RecipeError, match=message):
        reworded(MMECINSTRUCT, "mmecinstruct", tmp_path)


def test_unknown_names_are_told(tmp_path):
    with pytest.raises(RecipeError, match="'tiny'"):
        prompts("tinny", SHORTS[0])
    with pytest.raises(RecipeError, match="'sentiment_analysis'"):
        prompts("tiny", "sentiment")
    with pytest.raises(RecipeError, match="no such folder"):
        prompts("tiny", SHORTS[0], tmp_path / "nowhere")
    (tmp_path / "caption").mkdir()
    (tmp_path / "caption" / "sentiment_analysis.txt").write_bytes(b"caf\xe9")
    with pytest.raises(RecipeError, match="UTF-8"):
        prompts("tiny", "sentiment_analysis", tmp_path)
