"""Checkpoints that bring their own Python: refused by name before anything of them runs, and asked when permitted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, dynamic_module_utils

from lookwise import config
from lookwise.cli import main
from lookwise.errors import ModelError, RecipeError
from lookwise.message import user
from lookwise.model import Generate, Rank, Request
from lookwise.models.open import ModelOptions, check_spec, fingerprint, open_model
from lookwise.pipeline import gate
from lookwise.pipeline.context import Context
from lookwise.pipeline.data import open_data
from lookwise.runs.ledger import Ledger
from lookwise.runs.replies import ReplyStore

CONFIGURATION = """
from transformers import LlamaConfig
class HouseConfig(LlamaConfig):
    model_type = "house"
"""
DOUBLES = """
from pathlib import Path
from transformers import LlamaForCausalLM
from .configuration_house import HouseConfig
Path({marker!r}).touch()
class HouseForCausalLM(LlamaForCausalLM):
    config_class = HouseConfig
    def forward(self, *args, **kwargs):
        out = super().forward(*args, **kwargs)
        out.logits = 2 * out.logits
        return out
"""
LOOKS_ROUND = """
from transformers import LlamaForCausalLM
from .configuration_house import HouseConfig
class HouseForCausalLM(LlamaForCausalLM):
    config_class = HouseConfig
    def forward(self, input_ids=None, **kwargs):
        embedded = self.model.embed_tokens(input_ids)
        return super().forward(inputs_embeds=embedded + embedded.mean(1, keepdim=True), **kwargs)
"""
PERMITTED = ModelOptions(remote_code=True)
REQUESTS = [Request((user("red kettle " * n),), Rank(("yes", "no", "A: very positive"))) for n in (1, 9)]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep transformers' copies of the code out of the user's cache; a process can have one such place only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        yield


@pytest.fixture
def house(saved: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of llama checkpoints that say that they are of another family, with a class of their own."""

    def make(code: str = DOUBLES, family: str = "house", **named: str) -> Path:
        folder = tmp_path / "house"
        shutil.copytree(saved("llama"), folder)
        settings = json.loads((folder / "config.json").read_text())
        classes = {
            "AutoConfig": "configuration_house.HouseConfig",
            "AutoModelForCausalLM": "modeling_house.HouseForCausalLM",
        }
        settings |= {"model_type": family, "auto_map": classes | named}
        (folder / "config.json").write_text(json.dumps(settings))
        (folder / "configuration_house.py").write_text(CONFIGURATION)
        (folder / "modeling_house.py").write_text(code.replace("{marker!r}", repr(str(tmp_path / "ran"))))
        return folder

    return make


def test_without_permission_it_is_refused_by_name_and_nothing_of_it_runs(
    house: Callable[..., Path], tmp_path: Path
) -> None:
    spec = f"hf:{house()}"
    for refuse in (check_spec, open_model, fingerprint):
        with pytest.raises(ModelError) as caught:
            refuse(spec)
        assert "family 'house'" in str(caught.value)
        assert f"remote_code: ['{spec}'] in the recipe" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_with_permission_its_code_answers(house: Callable[..., Path], saved: Callable[..., Path]) -> None:
    model = open_model(f"hf:{house()}", PERMITTED)
    plain = open_model(f"hf:{saved('llama')}")
    inner: Any = AutoModelForCausalLM.from_pretrained(saved("llama")).eval()
    prompts = [model._encoder.encode(r.conversation).ids for r in REQUESTS]  # type: ignore[attr-defined]
    for request, ids, reply in zip(REQUESTS, prompts, model.answer(REQUESTS), strict=True):
        for option, score in zip(request.want.options, reply.scores, strict=True):  # type: ignore[union-attr]
            tail = model._encoder._words.ids(option)  # type: ignore[attr-defined]
            with torch.no_grad():
                logs = (2 * inner(torch.tensor([[*ids, *tail]])).logits[0]).log_softmax(-1)
            expected = sum(float(logs[len(ids) - 1 + i, t]) for i, t in enumerate(tail))
            assert score == pytest.approx(expected, abs=1e-4)
    write = Request(REQUESTS[1].conversation, Generate(6))
    assert model.answer([write])[0].text == plain.answer([write])[0].text, "doubled logits choose the same tokens"
    assert model.fingerprint == fingerprint(model.name, PERMITTED)


def test_what_its_code_says_is_part_of_its_fingerprint(house: Callable[..., Path]) -> None:
    folder = house()
    before = fingerprint(f"hf:{folder}", PERMITTED)
    with (folder / "modeling_house.py").open("a") as file:
        file.write("# another word\n")
    assert fingerprint(f"hf:{folder}", PERMITTED) != before


def test_two_models_with_one_configuration_run_their_own_code_each(
    house: Callable[..., Path], tmp_path: Path, saved: Callable[..., Path]
) -> None:
    doubled = open_model(f"hf:{house()}", PERMITTED).answer(REQUESTS)
    shutil.move(tmp_path / "house", tmp_path / "first")
    plain = open_model(f"hf:{house(DOUBLES.replace('2 *', '1 *'))}", PERMITTED).answer(REQUESTS)
    assert [r.scores for r in plain] == [
        pytest.approx(r.scores, abs=1e-4) for r in open_model(f"hf:{saved('llama')}").answer(REQUESTS)
    ]
    assert abs(plain[0].scores[0] - doubled[0].scores[0]) > 0.1


def test_code_that_attends_by_itself_is_refused_before_it_answers_wrongly(house: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="asked in a batch its own code answers otherwise than alone"):
        open_model(f"hf:{house(LOOKS_ROUND)}", PERMITTED)


def test_code_that_does_not_load_names_the_cure(house: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match=r"weights cannot be loaded .*no_such_module.*serve the model"):
        open_model(f"hf:{house('import no_such_module')}", PERMITTED)


@pytest.mark.parametrize("reference", ["org/other--modeling_house.HouseForCausalLM", "modeling_away.HouseForCausalLM"])
def test_code_that_is_not_in_the_folder_is_refused(house: Callable[..., Path], reference: str) -> None:
    spec = f"hf:{house(AutoModelForCausalLM=reference)}"
    with pytest.raises(ModelError, match="is not in its folder"):
        check_spec(spec, remote_code=True)


def test_a_known_family_is_asked_by_transformers_own_class_unless_permitted(
    house: Callable[..., Path], saved: Callable[..., Path], tmp_path: Path
) -> None:
    spec = f"hf:{house(family='llama')}"
    asked = open_model(spec).answer(REQUESTS)
    assert [r.scores for r in asked] == [r.scores for r in open_model(f"hf:{saved('llama')}").answer(REQUESTS)]
    assert not (tmp_path / "ran").exists()
    assert fingerprint(spec) != fingerprint(spec, PERMITTED)


RUN = """
name: permitted
samples_test: 1
test_splits: [test]
tasks: [answerability_prediction]
policies: [none]
readers: zero-shot
captioner: scripted:echo
reader: {spec}
"""


def test_the_recipe_permits_one_model_and_the_run_records_it(
    house: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, path, out = f"hf:{house()}", tmp_path / "r.yaml", tmp_path / "run"
    path.write_text(RUN.replace("{spec}", spec))
    assert main(["run", str(path), "--out", str(out), "--only", "samples"]) == 1
    assert "remote_code:" in capsys.readouterr().err
    assert not out.exists()
    permit = ["--set", f"remote_code=[{spec}]"]
    assert main(["run", str(path), "--out", str(out), "--only", "samples", *permit]) == 0
    assert json.loads((out / "run.json").read_text())["remote_code"] == [spec]
    recipe = config.load(str(path), [f"remote_code=[{spec}]"])
    assert (recipe.may_run_code(spec), recipe.may_run_code(f"{spec}+adapter")) == (True, True)
    assert not recipe.may_run_code(f"{spec}2")


@pytest.mark.parametrize("family", ["house", "llama"])
def test_a_gate_takes_its_code_home_where_the_recipe_permits_it(
    house: Callable[..., Path], tmp_path: Path, family: str
) -> None:
    spec = f"hf:{house(family=family)}"
    recipe = config.parse({"name": "g", "reader": spec, "remote_code": [spec], "verifying": "zero-shot"}, "here")
    with ReplyStore(None) as replies:
        context = Context(recipe, tmp_path, open_data(recipe, tmp_path, None), replies, Ledger(), None)
        assert gate._model_record(context, merged=True)["remote_code"]
        gate._save_model(context, tmp_path / "gate", merged=True)
    home = open_model(f"hf:{tmp_path / 'gate' / 'model'}", PERMITTED)
    theirs = [r.scores for r in open_model(spec, PERMITTED).answer(REQUESTS)]
    assert [r.scores for r in home.answer(REQUESTS)] == theirs


@pytest.mark.parametrize("named", ["hf:another/model", "tiny:captioner", "scripted:echo"])
def test_a_permission_for_no_model_of_the_recipe_is_refused(named: str) -> None:
    with pytest.raises(RecipeError, match=r"remote_code: .* is no hf: model of this recipe"):
        config.load("demo", [f"remote_code=[{named}]"])
