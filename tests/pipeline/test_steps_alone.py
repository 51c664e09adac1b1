"""Steps given one by one (`--only`): SUMEI's six, in their order; what is refused; what run.json says of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from factory import llava
from taught_recipe import TAUGHT

from lookwise.cli import main
from lookwise.pipeline.flow import _NEEDS, STEPS

SCRIPTED = """
name: alone
benchmark: ecommmmu
tasks: [answerability_prediction]
samples_train: 1
samples_val: 2
samples_test: 2
test_splits: [test]
prompts: tiny
reader: scripted:first
verifying: zero-shot
readers: zero-shot
policies: [none, visuals:predicted]
resamples: 20
"""


def state(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text(encoding="utf-8"))["state"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("alone")
    recipe = folder / "alone.yaml"
    recipe.write_text(SCRIPTED, encoding="utf-8")
    assert main(["run", str(recipe), "--out", str(folder / "run")]) == 0
    return recipe, folder / "run"


def test_every_step_needs_earlier_ones_alone() -> None:
    names = tuple(STEPS)
    assert tuple(_NEEDS) == names
    for step, needs in _NEEDS.items():
        assert [n for n in names[: names.index(step)] if n in needs] == list(needs), step


@pytest.mark.parametrize("flag", ["--only", "--until"])
def test_a_finished_run_stays_done(finished: tuple[Path, Path], flag: str) -> None:
    recipe, run = finished
    for step in ("scores", "samples", "adapters"):
        assert main(["run", str(recipe), "--out", str(run), flag, step]) == 0
        assert state(run) == "done"
    table = run / "data" / "EcomMMMU.json"
    assert main(["predict", str(run), str(table), "--out", str(run / "answers.csv")]) == 0, "it answers as before"


def test_a_run_is_done_when_its_last_step_is(finished: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, done = finished
    run = tmp_path / "run"
    shutil.copytree(done, run)
    for name in ("scores.json", "gates.json"):
        (run / name).unlink()
    assert main(["run", str(recipe), "--out", str(run), "--only", "scores"]) == 0
    assert state(run) == "running", "the gates are still to be judged"
    assert main(["run", str(recipe), "--out", str(run), "--only", "gates"]) == 0
    assert state(run) == "done"
    for name in ("scores.json", "gates.json"):
        assert (run / name).read_bytes() == (done / name).read_bytes()


def test_a_step_before_its_time_is_refused_with_the_one_to_do_first(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, done = finished
    run = tmp_path / "empty"
    for only, first, last in (("samples", "", ""), ("verifier", "", ""), ("gates", "pictures", "evidence")):
        code = main(["run", str(recipe), "--out", str(run), "--only", only])
        assert code == (1 if first else 0)
        error = capsys.readouterr().err
        assert (f"step {only!r} needs step {first!r}" in error) == bool(first)
        assert (f"`--until {last}` in place of `--only {only}`" in error) == bool(first)
    assert state(run) == "running", "a refusal is no failure of the run"
    other = tmp_path / "other"
    assert main(["run", str(recipe), "--out", str(other), "--only", "scores"]) == 1
    assert "needs step 'samples', which is not finished" in capsys.readouterr().err
    assert main(["run", str(recipe), "--out", str(other), "--until", "predictions"]) == 0, "the cure that it names"
    assert main(["run", str(recipe), "--out", str(other), "--only", "scores"]) == 0
    assert (other / "scores.json").read_bytes() == (done / "scores.json").read_bytes()


@pytest.mark.slow
def test_the_six_steps_of_sumei_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = llava(tmp_path / "model")
    recipe, run = tmp_path / "six.yaml", tmp_path / "run"
    recipe.write_text(TAUGHT.format(model=model), encoding="utf-8")
    command = ["run", str(recipe), "--out", str(run)]
    assert main([*command, "--until", "assessor"]) == 0
    assert main([*command, "--only", "adapters"]) == 1
    assert "`--until evidence`" in capsys.readouterr().err, "what readers are shown is chosen before they are tuned"
    left = {
        "measured": "rows/measured/manifest.json",
        "verifier": "adapters/verifier/card.json",
        "predicted": "rows/predicted/manifest.json",
        "evidence": "rows/evidence/manifest.json",
        "adapters": "adapters/visuals-predicted-highest/card.json",
        "predictions": "rows/predictions/manifest.json",
        "scores": "scores.json",
    }
    for step, file in left.items():
        assert not (run / file).exists()
        assert main([*command, "--only", step]) == 0
        assert (run / file).is_file()
    assert state(run) == "running"
    assert main(command) == 0, "what is left: gates, exports, policies"
    assert state(run) == "done"
