"""A whole run with scripted models on the generated shop: rows, resume, refusals, predictions."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from own_table import OWN
from PIL import Image

from lookwise.cli import main
from lookwise.rows import Ballot, Caption, Evidence, Prediction, Utility
from lookwise.runs.lock import RunLock
from lookwise.runs.store import read_rows
from lookwise.sample import Sample

RECIPE = """
name: small
tasks: [category_classification, product_relation_prediction]
samples_train: 3
samples_val: 2
samples_test: 6
samples_ood: 4
prompts: tiny
captioner: scripted:echo
judges: {a: "scripted:yes", b: "scripted:no", c: "scripted:yes"}
reader: scripted:first
readers: zero-shot
policies: [none, captions:always, captions:vote, captions:random@vote, captions:oracle/truth, captions:judge/b]
resamples: 50
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "small.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    return out


def test_a_run_leaves_what_interfaces_promises(finished: Path) -> None:
    for name in ("recipe.yaml", "run.json", "scores.json", "calls.json", "report.html"):
        assert (finished / name).is_file(), name
    record = json.loads((finished / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "done"
    assert record["prompts"]["category_classification/answer"]["wording"] == "for the bundled models, our own words"
    for stage, kind in (("captions", Caption), ("ballots", Ballot), ("utilities", Utility), ("evidence", Evidence)):
        assert read_rows(finished / "rows" / stage, kind), stage


def test_a_run_without_pictures_leaves_nothing_of_sumei(finished: Path) -> None:
    assert not (finished / "gates.json").exists()
    assert not (finished / "sumei").exists()


def test_every_sample_is_answered_under_every_policy_and_failures_are_rows(finished: Path) -> None:
    samples = [s for s in read_rows(finished / "rows" / "samples", Sample) if s.split in ("test", "ood")]
    rows = read_rows(finished / "rows" / "predictions", Prediction)
    assert len(rows) == len(samples) * 6
    assert {r.policy for r in rows} >= {"none", "captions:judge/b"}
    assert all(r.answer is not None or r.reason for r in rows)


def test_random_shows_as_many_as_the_vote_and_a_no_saying_judge_shows_none(finished: Path) -> None:
    rows = read_rows(finished / "rows" / "evidence", Evidence)
    shown = {p: sum(r.policy == p and r.kind == "caption" for r in rows) for p in {r.policy for r in rows}}
    assert shown["captions:random@vote"] == shown["captions:vote"] == shown["captions:always"] > 0
    assert shown["captions:judge/b"] == shown["none"] == 0


def test_the_ledger_adds_up(finished: Path) -> None:
    calls = json.loads((finished / "calls.json").read_text(encoding="utf-8"))
    for models in calls.values():
        for counts in models.values():
            assert counts["asked"] == counts["merged"] + counts["stored"] + counts["sent"] + counts["failed"]
    captions = calls["captions"]["captioner"]["asked"]
    saved = sum(c["decided_early"] for c in calls["ballots"].values())
    assert sum(c["asked"] for c in calls["ballots"].values()) + saved == 3 * captions


def test_scores_have_the_promised_fields_and_the_ceilings(finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text(encoding="utf-8"))
    promised = (
        "benchmark task split subset policy model training tuned_on captioner judges seed metric primary value low "
        "high n failed over data_digest published"
    )
    assert set(promised.split()) <= set(scores[0])
    policies = {s["policy"] for s in scores}
    assert {"majority", "ceiling/text", "ceiling/pictures"} <= policies


def test_a_finished_run_does_nothing_and_says_so(
    finished: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*.parquet")}
    assert main(["run", str(recipe), "--out", str(finished)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*.parquet")} == before


def test_who_deletes_the_scores_has_the_finished_run_scored_anew(finished: Path, recipe: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    before = {name: (copy / name).read_bytes() for name in ("scores.json", "gains.json")}
    for name in before:
        (copy / name).unlink()
    assert main(["run", str(recipe), "--out", str(copy)]) == 0
    assert {name: (copy / name).read_bytes() for name in before} == before


def test_a_run_cut_off_after_any_step_ends_in_the_same_scores(finished: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    for stage in ("captions", "ballots", "evidence"):
        assert main(["run", str(recipe), "--out", str(out), "--until", stage]) == 0
        assert not (out / "scores.json").exists()
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    assert (out / "scores.json").read_bytes() == (finished / "scores.json").read_bytes()
    ours, theirs = (json.loads((f / "calls.json").read_text(encoding="utf-8")) for f in (out, finished))
    for calls in (ours, theirs):
        for models in calls.values():
            for counts in models.values():
                counts.pop("seconds")
    assert ours == theirs


def test_another_recipe_and_another_process_are_refused_by_name(
    finished: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(recipe), "--out", str(finished), "--set", "seed=8"]) == 1
    assert "made by another recipe" in capsys.readouterr().err
    text = (finished / "recipe.yaml").read_text(encoding="utf-8")
    older = "".join(line for line in text.splitlines(True) if not line.startswith("answer_tokens:"))
    assert older != text
    (finished / "recipe.yaml").write_text(older, encoding="utf-8")  # as a version wrote it that had no such key
    assert main(["run", str(recipe), "--out", str(finished)]) == 0
    with RunLock(finished):
        assert main(["run", str(recipe), "--out", str(finished)]) == 1
    assert "in use by" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("captioner=tiny:captionr", "did you mean 'captioner'"),
        ("captioner=tiny:reader-s", "'tiny:reader-s' reads text only, but is given a picture; name one that sees"),
        ("tasks=[sentiment]", "sentiment_analysis"),
        (
            "policies=[captions:votes]",
            "policies: policy 'captions:votes': unknown selector 'votes'; did you mean 'vote'",
        ),
        ("prompts=tinny", "'tiny'"),
        ("reader=gguf:x", "gguf"),
        ("data=nowhere.json", "no data at nowhere.json; give its place"),
        ("data=NingLab/MMECInstruct", "or fetch it first: `lookwise data fetch mmecinstruct DIR`"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_loads(
    recipe: Path, tmp_path: Path, override: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r"
    assert main(["run", str(recipe), "--out", str(out), "--set", override]) in (1, 2)
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1, "one line, no traceback"
    assert not (out / "rows").exists()


def test_a_dry_run_counts_and_writes_nothing(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r"
    assert main(["run", str(recipe), "--out", str(out), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "captions     scripted:echo: 30 requests after merging" in printed
    assert not out.exists()


def test_compare_pairs_shared_samples(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished, other)
    assert main(["compare", str(finished), str(other), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(r["value"] == 0 and r["n"] in (4, 6) for r in rows)
    assert main(["compare", str(finished), str(tmp_path)]) == 1


@pytest.fixture
def table(tmp_path: Path) -> Path:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    lines = ["title,photo,answer,part"]
    lines += ["mug,red.png,yes,test", "cup,broken.png,no,test", "pan,gone.png,no,test", "hat,red.png,maybe,test"]
    (tmp_path / "things.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    return tmp_path


def test_a_users_table_runs_end_to_end_and_bad_rows_keep_their_reason(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = table / "run"
    assert main(["run", str(table / "own.yaml"), "--out", str(out)]) == 0
    captions = {c.sample_id: c for c in read_rows(out / "rows" / "captions", Caption)}
    assert len(captions) == 3, "the row whose gold is no label is rejected, not the others"
    reasons = [c.reason for c in captions.values() if c.text is None]
    assert len(reasons) == 2
    assert any("no such file" in str(r) or "missing" in str(r) or "not found" in str(r) for r in reasons), reasons
    rejected = json.loads((out / "rejected.json").read_text(encoding="utf-8"))
    assert rejected["rows"] == 1
    rows = read_rows(out / "rows" / "predictions", Prediction)
    assert {r.answer for r in rows} == {"yes"}
    assert len(rows) == 6, "samples without a usable picture are answered from text"

    new = table / "new.csv"
    new.write_text("title,photo\nmug,red.png\nbowl,gone.png\n", encoding="utf-8")
    answers = table / "answers.csv"
    assert main(["predict", str(out), str(new), "--out", str(answers)]) == 0
    with answers.open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    assert [r["answer"] for r in records] == ["yes", "yes"]
    assert main(["data", "check", str(table / "own.yaml"), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert checked["pictures"] == 3


def test_a_captioner_is_told_nothing_of_the_sample_where_the_recipe_says_so(
    finished: Path, recipe: Path, tmp_path: Path
) -> None:
    """The scripted captioner says its prompt again, so that a caption is what the captioner was told."""
    plain = tmp_path / "run"
    shutil.copytree(finished / "data", plain / "data")
    assert main(["run", str(recipe), "--out", str(plain), "--set", "caption_context=false"]) == 0
    for out, context in ((finished, True), (plain, False)):
        samples = {s.id: s for s in read_rows(out / "rows" / "samples", Sample)}
        captions = read_rows(out / "rows" / "captions", Caption)
        assert len(captions) == sum(len(s.visuals) for s in samples.values()) > 0
        fields = {s.id: [s.text(name) for name, _ in s.fields] for s in samples.values()}
        assert {any(text in str(c.text) for text in fields[c.sample_id]) for c in captions} == {context}
    assert {c.text for c in captions} == {"tell what this photo shows"}
    rows = read_rows(plain / "rows" / "predictions", Prediction)
    assert len(rows) == len(read_rows(finished / "rows" / "predictions", Prediction))
    assert (plain / "scores.json").is_file()
