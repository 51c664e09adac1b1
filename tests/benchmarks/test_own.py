"""A user's own table: read strictly, declared as a task, asked in generated prompts."""

import pytest

from lookwise.benchmarks.own import (
    OwnTable,
    Pictures,
    gold_answer,
    is_own,
    own_benchmark,
    own_task,
    read_own,
    row_options,
)
from lookwise.benchmarks.rendering import (
    answer_conversation,
    caption_conversation,
    hole_names,
    quality_conversation,
    utility_conversation,
)
from lookwise.benchmarks.utility import JUDGEMENTS
from lookwise.benchmarks.wording import ALL_USES
from lookwise.errors import RecipeError
from lookwise.message import Media
from lookwise.sample import Sample, Visual

FULL = """
table: goods.csv
question: Is it {really} ripe?
text: [title, origin]
images: {photo: product}
clips: film
labels: [yes, no]
gold: ripe
split: part
id: sku
metric: f1
positive: yes
recipe: {captioner: "tiny:captioner", epochs: 2}
"""


def put(tmp_path, text, name="goods.yaml"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_everything_said_is_read(tmp_path):
    table = read_own(put(tmp_path, FULL))
    assert table == OwnTable(
        name="goods",
        table=tmp_path / "goods.csv",
        question="Is it {really} ripe?",
        text=(("title", "title"), ("origin", "origin")),
        pictures=(Pictures("photo", "product"), Pictures("film", "film", "video")),
        labels=("yes", "no"),
        gold="ripe",
        split="part",
        id="sku",
        metric="f1",
        positive="yes",
        title="Is it {really} ripe?",
        recipe={"captioner": "tiny:captioner", "epochs": 2},
    )
    assert table.columns == ("title", "origin", "photo", "film", "ripe", "part", "sku")


def test_the_least_that_must_be_said(tmp_path):
    table = read_own(put(tmp_path, "table: t.csv\nquestion: Which?\ntext: title\noptions: [Fruit, Dairy]\n"))
    assert (table.options, table.gold, table.metric) == (("A: Fruit", "B: Dairy"), None, "accuracy")
    task = own_task(table)
    assert [m.name for m in task.metrics] == ["accuracy", "macro_f1"]
    assert {m.over for m in task.metrics} == {"all"}


def test_options_of_each_rows_own(tmp_path):
    table = read_own(put(tmp_path, "table: t.csv\nquestion: Which?\ntext: title\noptions: {column: choices}\n"))
    assert (table.options, table.options_column) == ((), "choices")
    assert "choices" in table.columns
    for cell in ("mug|pan", '["mug", "pan"]', ("mug", "pan"), "A: mug | B: pan"):
        assert row_options(cell) == ("A: mug", "B: pan")
    sample = Sample("1", "own", "own/goods", "test", (("title", "x"),), (), row_options("mug|pan"), "B")
    task = own_task(table)
    assert task.answers(sample) == ("A", "B")
    assert task.parse["robust"]("pan", sample) == "B"


MINIMAL = "table: t.csv\nquestion: Which?\ntext: title\nlabels: [yes, no]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "qestion: x\n", "did you mean 'question'"),
        ("question: Which?\ntext: title\nlabels: [yes, no]\n", "table is missing"),
        ("table: t.csv\ntext: title\nlabels: [yes, no]\n", "question is missing"),
        ("table: t.csv\nquestion: Which?\nlabels: [yes, no]\n", "text is missing"),
        ("table: t.csv\nquestion: Which?\ntext: title\n", "either labels"),
        (MINIMAL + "options: [a, b]\n", "either labels"),
        (MINIMAL.replace("[yes, no]", "[yes]"), "at least two"),
        (MINIMAL.replace("[yes, no]", "[yes, Yes]"), "twice"),
        (MINIMAL + "metric: acuracy\n", "did you mean 'accuracy'"),
        (MINIMAL + "metric: f1\n", "needs `positive:`"),
        (MINIMAL + "metric: f1\npositive: maybe\n", "one of the labels yes, no"),
        (MINIMAL.replace("title", "{title: options}"), "cannot be shown as 'options'"),
        (MINIMAL.replace("title", "{a: name, b: name}"), "one name"),
        (MINIMAL.replace("text: title", "text: [[a]]"), "text must be a column"),
        (MINIMAL.replace("labels: [yes, no]", "options: {colum: c}"), "column: NAME"),
        (MINIMAL.replace("labels: [yes, no]", "options: {column: c}\nmetric: macro_f1"), "use accuracy"),
        (MINIMAL + "gold: [a]\n", "gold must be one word"),
        (MINIMAL + "recipe: fast\n", "recipe must be key"),
        (MINIMAL + "images: photo\ncandidates: foto\n", "candidates: 'foto' is no column.* did you mean 'photo'"),
        (MINIMAL + "candidates: yes\n", "no column of images or clips"),
        (MINIMAL + "images: {a: x, b: x}\ncandidates: a\n", "b fills the slot 'x' beside candidates"),
        (MINIMAL.replace("title", "judgements"), "cannot be shown as 'judgements'"),
        ("- table\n", "expected keys and values"),
        ("table: [", "not YAML"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message):
        read_own(put(tmp_path, text))


def test_too_many_options_want_labels():
    with pytest.raises(RecipeError, match="use labels"):
        row_options("|".join(f"o{i}" for i in range(27)))


def test_a_table_is_told_from_a_recipe(tmp_path):
    assert is_own(put(tmp_path, FULL))
    assert not is_own(put(tmp_path, "name: demo\ndata: bazaar\n", "demo.yaml"))
    with pytest.raises(RecipeError, match="cannot be read"):
        is_own(tmp_path / "none.yaml")


def test_gold_cells_become_answers(tmp_path):
    table = read_own(put(tmp_path, FULL))
    assert [gold_answer(table, cell, ()) for cell in ("Yes", "no ", "", "ripe")] == ["yes", "no", None, None]
    kinds = read_own(put(tmp_path, "table: t.csv\nquestion: Which?\ntext: title\noptions: [Fruit, Dairy]\n"))
    assert [gold_answer(kinds, cell, kinds.options) for cell in ("fruit", "B", "B: Dairy", "meat")] == [
        "A",
        "B",
        "B",
        None,
    ]


SAMPLE = Sample(
    "1",
    "own",
    "own/goods",
    "test",
    (("title", "pear {green}"), ("origin", "")),
    (Visual("product", Media("p.jpg")),),
    (),
    "yes",
)


@pytest.mark.parametrize("style", ["mmecinstruct", "tiny"])
def test_prompts_are_made_of_the_question_and_the_fields(tmp_path, style):
    (task,) = own_benchmark(read_own(put(tmp_path, FULL)), style).tasks
    for use in ALL_USES:
        task.prompts[use].check(hole_names(task, use))
    answer = answer_conversation(task, SAMPLE, {"product": "a green pear"})[0].text
    assert all(words in answer for words in ("Is it {really} ripe?", "title: pear {green}", "a green pear", "yes"))
    assert "origin" not in answer
    assert "<<" not in answer
    assert "\n\n\n" not in answer
    assert style == "mmecinstruct" or "\n\n" not in answer
    assert "a green pear" not in answer_conversation(task, SAMPLE, {})[0].text
    assert "Is it {really} ripe?" in caption_conversation(task, SAMPLE, SAMPLE.visuals[0], "caption")[0].text
    assert "ripe" not in caption_conversation(task, SAMPLE, SAMPLE.visuals[0], "caption_plain")[0].text
    judged = quality_conversation(task, SAMPLE, "product", "a green pear")[0].text
    assert "a green pear" in judged
    assert "yes or no" in judged
    (turn,) = utility_conversation(task, SAMPLE, (SAMPLE.visuals[0].media,))
    assert turn.media == (SAMPLE.visuals[0].media,)
    for words in ("Is it {really} ripe?", "title: pear {green}", *JUDGEMENTS):
        assert words in turn.text
    assert "<<" not in turn.text


def test_columns_of_candidates(tmp_path):
    text = FULL.replace("{photo: product}", "{front: product, back: product, box: package}")
    read = read_own(put(tmp_path, text + "candidates: [front, back]\n"))
    assert [(p.column, p.slot, p.candidates) for p in read.pictures] == [
        ("front", "product", True),
        ("back", "product", True),
        ("box", "package", False),
        ("film", "film", False),
    ]
    assert read_own(put(tmp_path, FULL + "candidates: film\n")).pictures[1].candidates


def test_options_stand_in_the_prompt(tmp_path):
    task = own_task(read_own(put(tmp_path, "table: t.csv\nquestion: Which?\ntext: title\noptions: [Fruit, Dairy]\n")))
    sample = Sample("1", "own", task.name, "test", (("title", "pear"),), (), task.option_texts, "A")
    assert "### Options:\nA: Fruit\nB: Dairy" in answer_conversation(task, sample, {})[0].text
    assert task.metrics[0].score(["A"], [task.parse["robust"]("Fruit", sample)]) == 1.0


def test_a_users_prompt_replaces_ours_and_is_checked(tmp_path):
    table = read_own(put(tmp_path, FULL))
    (tmp_path / "answer").mkdir()
    put(tmp_path / "answer", "{title}? {caption}", "goods.txt")
    assert own_task(table, folder=tmp_path).prompts["answer"].text == "{title}? {caption}"
    put(tmp_path / "answer", "{tittle}", "goods.txt")
    with pytest.raises(RecipeError, match="no such hole 'tittle'"):
        own_task(table, folder=tmp_path)
    with pytest.raises(RecipeError, match="'tiny'"):
        own_task(table, "tinny")
