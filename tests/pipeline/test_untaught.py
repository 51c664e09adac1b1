"""A model that is left with nothing to learn from: told before it is trained, with the cause and the cure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from grocery_shop import make_shop
from own_table import TABLE
from PIL import Image

from lookwise import config
from lookwise.cli import main
from lookwise.errors import DataError
from lookwise.pipeline import data_steps, scratch_steps, utility_steps
from lookwise.pipeline.context import Context
from lookwise.pipeline.data import open_data
from lookwise.pipeline.lessons import check_lessons
from lookwise.recipe import Recipe
from lookwise.rows import Caption, Utility
from lookwise.runs.ledger import Ledger
from lookwise.runs.replies import ReplyStore
from lookwise.sample import Sample


@contextmanager
def begun(recipe: Recipe, folder: Path) -> Iterator[Context]:
    """Yield a run that has no rows yet."""
    with ReplyStore(None) as replies:
        yield Context(recipe, folder, open_data(recipe, folder, None), replies, Ledger(), None)


def test_judges_without_a_single_caption_name_the_captioner_and_the_policies(tmp_path: Path) -> None:
    recipe = config.load("grocery", [f"data={make_shop(tmp_path)}", "effort=0.1"])
    with begun(recipe, tmp_path / "run") as context:
        data_steps.samples(context)
        rows = [
            Caption(s.id, f"{s.id}/c", v.slot, v.candidate, None, "m", "empty caption")
            for s in context.samples()
            for v in s.visuals
        ]
        context.write("captions", Caption, rows)
        with pytest.raises(DataError, match="judge-a has nothing to learn from: of 48 captions") as caught:
            scratch_steps.text_models(context)
    assert "none can be voted on (mostly: empty caption); raise effort (it is 0.1)" in str(caught.value)
    assert "the policies that ask them (captions:vote, captions:random@vote)" in str(caught.value)


def test_a_verifier_without_a_single_judgement_says_why(tmp_path: Path) -> None:
    with begun(config.load("sumei-tiny"), tmp_path) as context:
        context.write("samples", Sample, [Sample(f"s{i}", "b", "b/t", "train", ()) for i in range(4)])
        context.write("measured", Utility, [])
        with pytest.raises(DataError, match="no picture of its half of the training samples was measured"):
            utility_steps.verifier(context)
        unread = [
            Utility(s.id, None, 0, None, None, None, None, None, "reader", "measured", "m", reason="cut off")
            for s in context.samples(["train"])
        ]
        context.write("measured", Utility, unread)
        with pytest.raises(DataError, match=r"none of \d+ pictures of its half has a judgement \(mostly: cut off\)"):
            utility_steps.verifier(context)


def test_lessons_that_are_none_say_what_is_missing() -> None:
    samples = [Sample(str(i), "b", "b/t", "train", ()) for i in range(4)]
    check_lessons("it", ["a lesson"], [], {}, "x")
    for given, missing, said in (
        ([], {}, "there are no training samples; give training rows with gold answers, or set x"),
        (samples, {}, "none of 4 training samples has a gold answer"),
        (samples, {"gone": 1, "cut": 3}, r"of 4 training samples 4 lack a picture .*\(cut\); mend those pictures, or"),
        (samples, {"gone": 1}, r"1 lack a picture .*\(gone\), and the others have no gold answer"),
    ):
        with pytest.raises(DataError, match=f"^it has nothing to learn from: .*{said}"):
            check_lessons("it", [], given, missing, "set x")


OWN = f"""{TABLE}
  policies: [none, captions:always]
  tune_on: [captions:always]
"""


def test_a_table_without_training_rows_is_told_so_before_anything_is_tuned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    (tmp_path / "things.csv").write_text("title,photo,answer,part\nmug,red.png,yes,test\n", encoding="utf-8")
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    assert main(["run", str(tmp_path / "own.yaml"), "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert "the reader tuned on captions:always has nothing to learn from: there are no training samples" in error
    assert "set readers: zero-shot" in error
    assert not (tmp_path / "run" / "adapters").exists()
