"""SUMEI's files: the published shape, there and back, and bad rows as reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lookwise.benchmarks.ecommmmu import ECOMMMMU, EXAMPLES
from lookwise.benchmarks.rendering import REPLY, answer_conversation, utility_conversation
from lookwise.benchmarks.scoring import score_file
from lookwise.errors import DataError
from lookwise.message import Media, user
from lookwise.sources.rejected import Rejected
from lookwise.sources.sumei import Exchange, read_exchanges, read_results, write_exchanges, write_results


def test_questions_and_answers_come_back_as_they_were(tmp_path: Path) -> None:
    places = [Media(str(tmp_path / "images" / "a.png")), Media("https://pictures.example/b.jpg")]
    exchanges = []
    for task in ECOMMMMU.tasks:
        sample = EXAMPLES[task.name]
        exchanges.append(Exchange(utility_conversation(task, sample, places), "A: helpful"))
        exchanges.append(Exchange(answer_conversation(task, sample, {}, places[:1]), sample.target))
        exchanges.append(Exchange(answer_conversation(task, sample, {}), None, task.name))
    path = tmp_path / "data" / "verification" / "train.json"
    assert write_exchanges(path, exchanges, tmp_path) == 24
    assert list(read_exchanges(path, tmp_path)) == exchanges


def test_rows_are_of_the_published_shape(tmp_path: Path) -> None:
    task = ECOMMMMU.task("click_through_prediction")
    pictures = [Media("https://pictures.example/b.jpg")] * 3
    shown = Exchange((user(*pictures, "\nWhat then?"),), "B: ineffective")
    asked = Exchange((user("What then?"),), None, task.name)
    path = tmp_path / "test.json"
    write_exchanges(path, [shown, asked], tmp_path)
    one, two = json.loads(path.read_text())
    assert one["image"] == ["https://pictures.example/b.jpg"] * 3
    assert one["conversations"] == [
        {"from": "human", "value": "<image><image><image>What then?"},
        {"from": "gpt", "value": "B: ineffective"},
    ]
    assert list(two) == ["system_prompt", "conversations", "task"]
    assert two["task"] == "click-through_predction"
    assert str(tmp_path) not in path.read_text()


def test_a_reply_that_is_begun_is_the_questions_last_line(tmp_path: Path) -> None:
    plain = ECOMMMMU.task("answerability_prediction")
    sample, picture = EXAMPLES[plain.name], Media("https://pictures.example/b.jpg")
    prompt = plain.prompts["answer"]
    task = replace(plain, prompts={**plain.prompts, "answer": replace(prompt, text=f"{prompt.text}{REPLY}Answer: é")})
    path = tmp_path / "train.json"
    for pictures in ((), (picture,)):
        talk = answer_conversation(task, sample, {}, pictures)
        assert len(talk) == 2
        write_exchanges(path, [Exchange(talk, sample.target), Exchange(talk, None, task.name)], tmp_path)
        (asked, said), (alone,) = (row["conversations"] for row in json.loads(path.read_text(encoding="utf-8")))
        (without,) = answer_conversation(plain, sample, {}, pictures)
        assert (
            asked
            == alone
            == {"from": "human", "value": f"{'<image>' * len(pictures)}{without.text.strip()}\nAnswer: é"}
        )
        assert said == {"from": "gpt", "value": sample.target}
        (again, _) = read_exchanges(path, tmp_path)
        assert isinstance(again, Exchange)
        assert again.conversation[0].media == pictures
        assert again.conversation[0].text.endswith("\nAnswer: é")


def question(value: Any = "<image>Well?", **more: Any) -> dict[str, Any]:
    return {"system_prompt": "", "image": ["a.png"], "conversations": [{"from": "human", "value": value}], **more}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (question("Well?"), "placeholders and images disagree in number"),
        (question("<image><image>Well?"), "placeholders and images disagree in number"),
        (question(image="a.png"), "image is not a list of texts"),
        (question(image=["../a.png"]), "picture '../a.png' leads out of the dataset's folder"),
        (question(None), "values of the turns is not a list of texts"),
        (question(conversations="no"), "conversations is not a list of turns"),
        (question(conversations=[]), "conversations are not one question and at most one answer"),
        (question(conversations=[{"from": "gpt", "value": "A"}]), None),
        (["a list"], "a JSON list, expected an object"),
    ],
)
def test_a_bad_row_is_a_reason(tmp_path: Path, record: Any, reason: str | None) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps([question(), record, question()]))
    first, bad, last = read_exchanges(path, tmp_path)
    assert isinstance(bad, Rejected)
    assert bad.row == 2
    assert reason in (None, bad.reason)
    assert isinstance(first, Exchange)
    assert first == last


def test_pictures_outside_the_folder_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lies outside"):
        write_exchanges(tmp_path / "x.json", [Exchange((user(Media("/elsewhere/a.png"), "\n?"),))], tmp_path)
    with pytest.raises(DataError, match="no such file"):
        list(read_exchanges(tmp_path / "none.json", tmp_path))


def test_results_bear_the_published_name_and_are_what_score_reads(tmp_path: Path) -> None:
    answers = ["yes", None, "no", "yes"]
    path = write_results(tmp_path, "ecommmmu/click_through_prediction", answers)
    assert path.name == "click-through_predction.json"
    assert json.loads(path.read_text()) == ["yes", "", "no", "yes"]
    assert read_results(tmp_path, "click_through_prediction") == answers
    gold = tmp_path / "gold" / "gold.json"
    gold.parent.mkdir()
    gold.write_text(json.dumps(["yes", "yes", "no", "no"]))
    report = score_file(path, "ecommmmu", gold=gold, rule="published")
    assert (report.n, report.failed, report.metrics["accuracy"]) == (4, 1, 0.5)
    path.rename(tmp_path / "click_through_prediction.json")
    assert read_results(tmp_path, "click-through_predction") == answers
    with pytest.raises(DataError, match=r"no sentiment_analysis.json"):
        read_results(tmp_path, "sentiment_analysis")
