"""One tuning in two processes: the adapter and loss of one process, one writer, one sentence when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lookwise.errors import ModelError
from lookwise.training import processes
from lookwise.training.examples import Example
from lookwise.training.launch import Fleet, tune_in
from lookwise.training.tune import TuneSettings, on_device, tune

Maker = Callable[..., list[Example]]
SETTINGS = TuneSettings(batch=16, learning_rate=3e-3, epochs=2, seed=3, device="cpu", dtype="float32")
ROWS = 49
"""The last batch of an epoch has one row: one of the two processes has none."""


class Counted:
    """A display that remembers."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.ended = False

    def begin(self, title: str, total: int) -> None:
        self.total = total

    def advance(self, sent: int = 0, stored: int = 0) -> None:
        self.done += sent + stored

    def end(self) -> None:
        self.ended = True


@pytest.mark.slow
def test_two_processes_end_where_one_does(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    data = shop_examples(ROWS), shop_examples(20, seed=9)
    shown = Counted()
    alone = tune_in(Fleet(), str(tiny_base), *data, tmp_path / "alone", SETTINGS)
    both = tune_in(Fleet(processes=2), str(tiny_base), *data, tmp_path / "both", SETTINGS, {"policy": "none"}, shown)
    assert sorted(p.name for p in both.iterdir()) == sorted(p.name for p in alone.iterdir())
    one, two = (json.loads((folder / "card.json").read_text()) for folder in (alone, both))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["recipe"] == {"policy": "none"}
    assert one["tokens"] == two["tokens"]
    assert [h["step"] for h in one["history"]] == [h["step"] for h in two["history"]] == [4, 8]
    for mine, theirs in zip(one["history"], two["history"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=2e-3)
    ours, theirs = (load_file(folder / "adapter_model.safetensors") for folder in (alone, both))
    worst = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    assert worst < 2e-3, "Adam turns rounding near a zero gradient into small steps; a lost half would be 0.01 and more"
    assert (shown.total, shown.done, shown.ended) == (8, 8, True)
    wild = replace(SETTINGS, learning_rate=1e30, max_grad_norm=1e30, scheduler="constant", warmup=0.0)
    with pytest.raises(ModelError, match="lower learning_rate"):
        tune_in(Fleet(processes=2), str(tiny_base), *data, tmp_path / "wild", wild)


def test_a_process_that_is_not_the_main_one_writes_nothing(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "is_main", lambda: False)
    out = tmp_path / "out"
    tune(str(tiny_base), shop_examples(20), shop_examples(5), out, replace(SETTINGS, epochs=1, save_every=1))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_every_row_of_a_batch_is_somebodys(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    monkeypatch.setenv("WORLD_SIZE", "3")
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(processes.share(list(range(10))))
    assert sorted(row for part in shares for row in part) == list(range(10))
    assert {len(part) for part in shares} == {3, 4}
    monkeypatch.delenv("RANK")
    assert processes.share([1, 2]) == [1, 2], "a machine's own WORLD_SIZE without a RANK is nobody's"


def test_a_finished_adapter_starts_no_process(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    data = shop_examples(20), shop_examples(5)
    done = tune(str(tiny_base), *data, tmp_path / "done", replace(SETTINGS, epochs=1))
    before = (done / "card.json").stat().st_mtime_ns
    settings = replace(SETTINGS, epochs=1)
    assert tune_in(Fleet(accelerate=__file__), str(tiny_base), *data, done, settings) == done
    assert (done / "card.json").stat().st_mtime_ns == before


def test_processes_that_cannot_start_are_one_sentence(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    settings = tmp_path / "accelerate.yaml"
    settings.write_text("compute_environment: NOWHERE\n")
    with pytest.raises(ModelError, match=r"processes that tune out ended with exit code 1 .*run the same command"):
        tune_in(Fleet(accelerate=str(settings)), str(tiny_base), shop_examples(20), [], tmp_path / "out", SETTINGS)


def test_sharded_weights_are_refused(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ModelError, match="asks for FSDP, but every process holds the whole model"):
        tune(str(tiny_base), shop_examples(20), [], tmp_path / "out", SETTINGS)


def test_more_processes_than_accelerators_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("LOCAL_RANK", "5"), ("WORLD_SIZE", "6")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 5)
    with pytest.raises(ModelError, match="there are 5 here; lower processes"):
        on_device(replace(SETTINGS, device="cuda"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 6)
    assert on_device(replace(SETTINGS, device="cuda")).device == "cuda:5"


def test_the_card_says_memory_and_hours(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    out = tune(str(tiny_base), shop_examples(20), [], tmp_path, replace(SETTINGS, epochs=1))
    facts = json.loads((out / "card.json").read_text())
    assert facts["peak_bytes"] > 50_000_000, "a process with torch in it holds more than that"
    assert facts["hours"] == round(facts["seconds"] / 3600, 3)
    assert f"at most {facts['peak_bytes'] / 1e9:.1f} GB of memory." in (out / "card.md").read_text()
