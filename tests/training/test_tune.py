"""tune(): a complete adapter folder, loadable by plain PEFT, resumable at any moment with the same bytes."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lookwise.errors import DataError, ModelError, RecipeError, RunError
from lookwise.training.examples import Example
from lookwise.training.tune import TuneSettings, tune

SETTINGS = TuneSettings(batch=16, learning_rate=3e-3, epochs=2, save_every=3, seed=3)


Maker = Callable[..., list[Example]]


class Interrupted(Exception):
    pass


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def card(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text())


@pytest.fixture(scope="module")
def adapter(tiny_base: Path, shop_examples: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One uninterrupted tuning that the tests of this module compare with: 50 rows, 4 steps an epoch, 8 in all."""
    out = tmp_path_factory.mktemp("tuned") / "adapter"
    return tune(str(tiny_base), shop_examples(50), shop_examples(20, seed=9), out, SETTINGS, {"policy": "none"})


def test_the_folder_is_complete_and_its_card_says_what_happened(adapter: Path) -> None:
    assert sorted(p.name for p in adapter.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "card.json", "card.md",
    ]  # fmt: skip
    facts = card(adapter)
    assert facts["untied_head"] is True
    assert facts["recipe"] == {"policy": "none"}
    assert facts["steps"] == 8
    assert [h["step"] for h in facts["history"]] == [4, 8]
    first_best = max(facts["history"], key=lambda h: h["accuracy"])  # max takes the earlier of equals
    assert facts["best_step"] == first_best["step"]
    assert facts["best"] == first_best
    assert facts["tokens"]["supervised"] == 2 * 50 * 2  # epochs, rows, answer and end of turn
    assert facts["merge_error"] < 1e-5
    assert facts["modules"] == dict.fromkeys(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), 2
    ) | {"lm_head": 1}


# PEFT asks transformers by an old name
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_plain_peft_loads_it_on_the_untied_base_and_merges_it_safely(adapter: Path, tiny_base: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from lookwise.models.heads import untie

    base = AutoModelForCausalLM.from_pretrained(tiny_base)
    ids = torch.arange(12)[None]
    assert untie(base)
    assert not untie(base)
    with torch.no_grad():
        before = base(ids).logits
        model = PeftModel.from_pretrained(base, adapter).eval()
        tuned = model(ids).logits
        merged = model.merge_and_unload()(ids).logits
    assert (tuned - before).abs().max() > 1e-2
    assert torch.allclose(tuned, merged, atol=1e-5)


def test_tuning_lowers_the_loss_of_the_answers(adapter: Path) -> None:
    losses = [h["loss"] for h in card(adapter)["history"]]
    assert losses[-1] < losses[0] < math.log(131)  # a random base guesses among its 131 pieces


def test_a_finished_folder_returns_at_once_and_another_plan_is_refused(
    adapter: Path, tiny_base: Path, shop_examples: Maker
) -> None:
    before = (adapter / "card.json").stat().st_mtime_ns
    again = tune(str(tiny_base), shop_examples(50), shop_examples(20, seed=9), adapter, SETTINGS)
    assert (again / "card.json").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="other settings or on other data"):
        tune(str(tiny_base), shop_examples(51), shop_examples(20, seed=9), adapter, SETTINGS)


@pytest.mark.parametrize("moment", [1, 3, 4, 5, 8])
def test_interrupted_and_called_again_it_ends_with_the_same_bytes(
    adapter: Path, tiny_base: Path, shop_examples: Maker, tmp_path: Path, moment: int
) -> None:
    def stop(progress: object) -> None:
        if progress.step == moment:
            raise Interrupted

    data = shop_examples(50), shop_examples(20, seed=9)
    with pytest.raises(Interrupted):
        tune(str(tiny_base), *data, tmp_path, SETTINGS, watch=stop)
    assert not (tmp_path / "card.json").exists()
    tune(str(tiny_base), *data, tmp_path, SETTINGS)
    assert weights(tmp_path) == weights(adapter)
    kept, resumed = card(adapter), card(tmp_path)
    for key in ("history", "best_step", "tokens", "steps"):
        assert kept[key] == resumed[key]


def test_a_checkpoint_cut_short_is_not_used(
    adapter: Path, tiny_base: Path, shop_examples: Maker, tmp_path: Path, monkeypatch
) -> None:
    from lookwise.training.trainer import AnswerTrainer

    def torn(self: AnswerTrainer, folder: str) -> None:
        if self.state.global_step >= 4:
            raise Interrupted

    data = shop_examples(50), shop_examples(20, seed=9)
    with monkeypatch.context() as patch:
        patch.setattr(AnswerTrainer, "_save_scaler", torn)  # after the weights, before the record
        with pytest.raises(Interrupted):
            tune(str(tiny_base), *data, tmp_path, SETTINGS)
    assert [p.name for p in sorted((tmp_path / "work").iterdir())] == ["part", "plan.json", "step-00000003"]
    tune(str(tiny_base), *data, tmp_path, SETTINGS)
    assert weights(tmp_path) == weights(adapter)


KILLED = """
import os, runpy, signal, sys
from pathlib import Path
from lookwise.training.tune import TuneSettings, tune
shop_examples = runpy.run_path(sys.argv[1])["make_examples"]
SETTINGS = TuneSettings(batch=16, learning_rate=3e-3, epochs=2, save_every=3, seed=3)
def die(progress):
    if progress.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
tune(sys.argv[2], shop_examples(50), shop_examples(20, seed=9), Path(sys.argv[3]), SETTINGS, watch=die)
"""


@pytest.mark.slow
def test_kill_9_in_another_process(adapter: Path, tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent / "conftest.py"), str(tiny_base), str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -9
    assert (tmp_path / "work" / "step-00000004").is_dir()
    tune(str(tiny_base), shop_examples(50), shop_examples(20, seed=9), tmp_path, SETTINGS)
    assert weights(tmp_path) == weights(adapter)


def test_dropout_and_fractional_epochs_resume_exactly(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    from dataclasses import replace

    settings = replace(SETTINGS, dropout=0.3, epochs=1.5)
    data = shop_examples(50), shop_examples(20, seed=9)
    whole = tune(str(tiny_base), *data, tmp_path / "whole", settings)
    for moment in (5, 6):

        def stop(progress: object, moment: int = moment) -> None:
            if progress.step == moment and progress.accuracy is None:
                raise Interrupted

        with pytest.raises(Interrupted):
            tune(str(tiny_base), *data, tmp_path / str(moment), settings, watch=stop)
        parts = tune(str(tiny_base), *data, tmp_path / str(moment), settings)
        assert weights(parts) == weights(whole)
    assert card(whole)["steps"] == 6


def test_without_validation_the_last_step_is_kept(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    from dataclasses import replace

    facts = card(tune(str(tiny_base), shop_examples(20), [], tmp_path, replace(SETTINGS, epochs=1)))
    assert facts["best_step"] == facts["steps"] == 2
    assert facts["best"] is None


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(
    adapter: Path, tiny_base: Path, shop_examples: Maker, tmp_path: Path, monkeypatch
) -> None:
    from safetensors.torch import load_file

    from lookwise.training import trainer

    real = trainer.answer_loss

    def small(model: object, batch: object) -> torch.Tensor:
        if batch.ids.numel() > 300:
            raise torch.OutOfMemoryError("too big")
        return real(model, batch)

    monkeypatch.setattr(trainer, "answer_loss", small)
    tune(str(tiny_base), shop_examples(50), shop_examples(20, seed=9), tmp_path, SETTINGS)
    assert card(tmp_path)["micro_tokens"] <= 300
    ours, theirs = (load_file(f / "adapter_model.safetensors") for f in (tmp_path, adapter))
    worst = max(float((ours[k] - theirs[k]).abs().max()) for k in theirs)
    assert worst < 2e-3  # Adam turns rounding near a zero gradient into small steps
    assert card(tmp_path)["history"][-1]["loss"] == pytest.approx(card(adapter)["history"][-1]["loss"], abs=2e-3)


def test_one_row_too_big_for_memory_says_so(tiny_base: Path, shop_examples: Maker, tmp_path: Path, monkeypatch) -> None:
    from lookwise.training import trainer

    def never(model: object, batch: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("too big")

    monkeypatch.setattr(trainer, "answer_loss", never)
    with pytest.raises(ModelError, match="does not fit in memory"):
        tune(str(tiny_base), shop_examples(20), [], tmp_path, SETTINGS)


def test_rows_too_long_are_left_out_and_counted(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    from dataclasses import replace

    settings = replace(SETTINGS, epochs=1, max_tokens=30)
    train = shop_examples(40)
    facts = card(tune(str(tiny_base), train, [], tmp_path / "a", settings))
    assert 0 < facts["rows_left_out"] < 40
    with pytest.raises(DataError, match=r"of 40 examples the shortest has \d+ tokens, and it takes 3; raise"):
        tune(str(tiny_base), train, [], tmp_path / "b", replace(settings, max_tokens=3))


def test_nothing_is_printed(tiny_base: Path, shop_examples: Maker, tmp_path: Path, capfd) -> None:
    tune(str(tiny_base), shop_examples(20), shop_examples(5), tmp_path, SETTINGS)
    assert capfd.readouterr() == ("", "")


def test_the_callers_random_state_is_left_alone(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    tune(str(tiny_base), shop_examples(20), [], tmp_path, SETTINGS)
    assert torch.equal(torch.rand(3), expected)


def test_settings_and_bases_that_cannot_work_are_refused(shop_examples: Maker, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="rank is 0"):
        TuneSettings(rank=0)
    with pytest.raises(RecipeError, match="warmup"):
        TuneSettings(warmup=5)
    with pytest.raises(ModelError, match="no folder"):
        tune(str(tmp_path / "nowhere"), shop_examples(2), [], tmp_path / "out", SETTINGS)


def test_a_diverging_loss_stops_with_the_cure(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    from dataclasses import replace

    wild = replace(SETTINGS, learning_rate=1e30, max_grad_norm=1e30, scheduler="constant", warmup=0.0)
    with pytest.raises(ModelError, match="lower learning_rate"):
        tune(str(tiny_base), shop_examples(50), [], tmp_path, wild)


def test_an_example_without_options_counts_for_the_loss_only(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path
) -> None:
    free = [Example(e.conversation, "the colour is red", "caption") for e in shop_examples(20)]
    facts = card(tune(str(tiny_base), free, free[:5], tmp_path, SETTINGS))
    losses = [h["loss"] for h in facts["history"]]
    assert facts["best"]["accuracy"] is None
    assert facts["best"]["loss"] == min(losses)


def test_the_loops_display_counts_the_steps(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    import io

    from rich.console import Console

    from lookwise.inference import Display

    shown = io.StringIO()
    tune(str(tiny_base), shop_examples(20), [], tmp_path, SETTINGS, display=Display(Console(file=shown)))
    assert shown.getvalue().startswith(f"tune {tmp_path.name}: 4/4")


def test_what_a_paper_says_stands_on_the_card_beside_what_it_took(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path
) -> None:
    published = "7 B and 3.5 hours (a paper, its table)"
    settings = dataclasses.replace(SETTINGS, epochs=1)
    tune(str(tiny_base), shop_examples(4), [], tmp_path / "out", settings, {"published_tuning": published})
    said = (tmp_path / "out" / "card.md").read_text()
    assert f"Published for this tuning: {published}." in said
    assert card(tmp_path / "out")["recipe"]["published_tuning"] == published
