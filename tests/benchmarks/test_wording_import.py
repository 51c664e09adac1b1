"""A published program's wording, imported: from a template's JSON, and from Python that is read and never run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookwise.benchmarks.mmecinstruct import EXAMPLES, MMECINSTRUCT
from lookwise.benchmarks.rendering import answer_conversation, caption_conversation, quality_conversation
from lookwise.benchmarks.wording import reworded, whose
from lookwise.benchmarks.wording_import import import_file
from lookwise.cli import main
from lookwise.errors import DataError
from lookwise.sample import Sample

TEMPLATE = {
    "description": "for tests",
    "prompt_input": "[INST] A {curious} task.\n\n### Do:\n{instruction}\n\n### See:\n{input}\n\n### Pick:\n{options}"
    "\n\n [/INST] ### Say:\n",
    "prompt_no_options": "[INST] {instruction} {input} [/INST]",
    "response_split": "[/INST] ### Say:",
}
PROGRAM = """
import json
raise SystemExit("this file must never be run")

def caption_prompt(entry):
    task = "".join([s[0] for s in entry["task"].split("_")])
    inp = json.loads(entry["input"])
    if task == "psi":
        prompts = ["Does '{}' stand in for '{}'? {{so}}".format(inp["query"], inp["product title"])]
    elif task == "prp":
        prompts = ["This is '{}', the other '{}'.".format(inp[f"product 1"], inp[f"product 2"]),
                   "This is '{}', the other '{}'.".format(inp[f"product 2"], inp[f"product 1"])]
    elif task == "sr":
        prompts = []
        for i in range(len(inp)):
            prompts.append("Bought: {}.".format(inp[i].split(": ", 1)[-1]))
        ops = json.loads(entry["options"])
        for i in range(len(ops)):
            prompts.append("Bought: {}.".format(ops[i].split(": ", 1)[-1]))
    return prompts

def pred_prompt(entry, captions=None):
    task = "x"
    if task == "sa":
        prompts = [f"Review '{inp['review']}', picture '{captions[0]}': helpful?"]
    elif task == "prp":
        p1 = "Titles '{}' and '{}'; of product 1 one sees '{}'.".format(inp["product 1"], inp["product 2"], captions[0])
        p2 = "Titles '{}' and '{}'; of product 2 one sees '{}'.".format(inp["product 1"], inp["product 2"], captions[1])
        prompts = [p1, p2]
    elif task == "cc":
        prompts = ["Odd one {}".format(len(inp))]
    return prompts
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "mistral.json"
    path.write_text(json.dumps(TEMPLATE), encoding="utf-8")
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "template.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def example(task: str) -> Sample:
    return EXAMPLES[f"mmecinstruct/{task}"]


def test_a_template_asks_every_task_with_the_rows_own_instruction_and_input(template: Path, tmp_path: Path) -> None:
    assert main(["prompts", "import", str(template), str(tmp_path / "words")]) == 0
    task = reworded(MMECINSTRUCT, "mmecinstruct", tmp_path / "words").task("product_relation_prediction")
    sample = example("product_relation_prediction")
    told = Sample(**{name: getattr(sample, name) for name in Sample.__slots__} | {"instruction": "Tell {input} apart."})
    turn, begun = answer_conversation(task, told, {"product 1": "a red drill"})
    assert (turn.role, begun.role) == ("user", "assistant")
    given = json.dumps(
        {
            "product 1": "Cordless drill, 18 V",
            "product 2": "Drill bit set, 20 pieces",
            "product 1 information extracted from image": "a red drill",
            "product 2 information extracted from image": None,
        }
    )
    options = json.dumps(list(sample.options))
    assert turn.text == (
        f"A {{curious}} task.\n\n### Do:\nTell {{input}} apart.\n\n### See:\n{given}\n\n### Pick:\n{options}\n\n "
    )
    assert begun.text == " ### Say:\n"


def test_captions_are_fused_as_the_program_does_it(template: Path, tmp_path: Path) -> None:
    main(["prompts", "import", str(template), str(tmp_path / "words")])
    tasks = reworded(MMECINSTRUCT, "mmecinstruct", tmp_path / "words")
    ask = answer_conversation(
        tasks.task("sequential_recommendation"),
        example("sequential_recommendation"),
        {"history[1]": "tubes", "options[0]": "green"},
    )[0].text
    assert json.dumps(["1st: Easel, beech", "2nd: Oil colours, 12 tubes tubes"]) in ask
    assert json.dumps(["A: Garden hose, 20 m green", "B: Brushes, hog bristle"]) in ask
    answerable = answer_conversation(tasks.task("answerability_prediction"), example("answerability_prediction"), {})[
        0
    ].text
    assert '"document": ["Keeps soup hot.", ' in answerable
    assert '"product information extracted from image": null}' in answerable
    assert "### Pick:\n[]\n" in answerable


def test_python_is_read_and_never_run(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "import", str(program), str(tmp_path / "words")]) == 0
    said = capsys.readouterr().out
    assert "3 prompts" in said
    assert "2 prompts" in said
    assert "pred_prompt, category_classification: not taken, line" in said
    assert "'len(inp)' names no field" in said
    tasks = reworded(MMECINSTRUCT, "mmecinstruct", tmp_path / "words")
    psi, prp = tasks.task("product_substitute_identification"), tasks.task("product_relation_prediction")
    sample = example("product_substitute_identification")
    asked = caption_conversation(psi, sample, sample.visuals[0], "caption")[0].text
    assert asked == "\nDoes 'steel water bottle 1 l' stand in for 'Plastic bottle, 1 l'? {so}"
    pair = example("product_relation_prediction")
    asked = caption_conversation(prp, pair, pair.visuals[1], "caption")[0].text
    assert asked == "\nThis is 'Drill bit set, 20 pieces', the other 'Cordless drill, 18 V'."
    asked = quality_conversation(prp, pair, "product 2", "bits")[0].text
    assert asked == "Titles 'Cordless drill, 18 V' and 'Drill bit set, 20 pieces'; of product 2 one sees 'bits'."
    many = example("sequential_recommendation")
    asked = caption_conversation(tasks.task("sequential_recommendation"), many, many.visuals[2], "caption")[0].text
    assert asked == "\nBought: Garden hose, 20 m."


def test_a_changed_file_is_the_users_own(template: Path, program: Path, tmp_path: Path) -> None:
    folder = tmp_path / "words"
    for path in (template, program, template):
        assert main(["prompts", "import", str(path), str(folder)]) == 0
    (folder / "answer" / "sentiment_analysis.txt").write_text("{review}")
    words = {task.short: task.prompts for task in reworded(MMECINSTRUCT, "mmecinstruct", folder).tasks}
    assert whose(words["category_classification"]["answer"]).startswith(
        "published, imported from mistral.json, sha256 "
    )
    assert whose(words["sentiment_analysis"]["caption_quality"]).startswith("published, imported from template.py")
    assert whose(words["sentiment_analysis"]["answer"]) == "yours"
    assert whose(words["sentiment_analysis"]["caption"]) == "paper-shaped, our own words"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", '{"prompt_input": "{input}"}', "no prompt_input with"),
        ("a.json", "[1]", "no prompt_input with"),
        ("a.py", "def f(:", "is not Python"),
        ("a.py", "X = 'a b'", "has no function with prompts"),
        ("a.py", "def caption_prompt():\n    if task == 'cc':\n        p = ['a {}'.format(f())]", "names no field"),
        ("a.py", "(" * 5000, "is not Python"),
    ],
)
def test_what_is_no_such_file_is_refused(name: str, text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says):
        import_file(tmp_path / name)


def test_own_files_are_not_overwritten(template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words" / "answer").mkdir(parents=True)
    (tmp_path / "words" / "answer" / "sentiment_analysis.txt").write_text("mine: {review}")
    assert main(["prompts", "import", str(template), str(tmp_path / "words")]) == 1
    assert "is there already with other words" in capsys.readouterr().err
    assert (tmp_path / "words" / "answer" / "sentiment_analysis.txt").read_text() == "mine: {review}"


def test_a_run_says_whose_words_it_asked_in(template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "tasks: [category_classification]\nsamples_test: 4\nprompts: mmecinstruct\nreader: scripted:first\n"
        "readers: zero-shot\npolicies: [none]\nresamples: 20\n"
    )
    main(["prompts", "import", str(template), str(tmp_path / "words")])
    words = ["--prompts", str(tmp_path / "words")]
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), *words]) == 0
    assert "wording of answer: published, imported from mistral.json" in capsys.readouterr().out
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "wording of answer: published, imported from mistral.json" in page
    assert main(["run", str(recipe), "--out", str(tmp_path / "own")]) == 0
    assert "own wording" in capsys.readouterr().out
    assert "own wording" in (tmp_path / "own" / "report.html").read_text(encoding="utf-8")
