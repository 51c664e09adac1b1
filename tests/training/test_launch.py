"""One tuning in two processes: the adapter and loss of one process, one writer, one sentence when it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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


FILE = """
compute_environment: LOCAL_MACHINE
machine_rank: 0
main_training_function: main
mixed_precision: "no"
num_machines: 1
num_processes: 2
use_cpu: true
"""


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


def in_layers(folder: Path) -> int:
    """How many parameters of a saved model are in its decoder layers."""
    weights = load_file(folder / "model.safetensors")
    return sum(tensor.numel() for name, tensor in weights.items() if ".layers." in name)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_base_cut_over_two_processes_ends_where_whole_ones_do(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path, checkpointing: bool
) -> None:
    """Micro-batches small enough that the two differ in their number, and one has none at times."""
    data = shop_examples(ROWS), shop_examples(20, seed=9)
    settings = replace(SETTINGS, micro_tokens=150, gradient_checkpointing=checkpointing)
    whole = tune_in(Fleet(processes=2), str(tiny_base), *data, tmp_path / "whole", settings)
    cut = tune_in(Fleet(processes=2), str(tiny_base), *data, tmp_path / "cut", replace(settings, shard=True))
    ours, theirs = (load_file(folder / "adapter_model.safetensors") for folder in (whole, cut))
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in theirs.items()}
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-5
    one, two = (json.loads((folder / "card.json").read_text()) for folder in (whole, cut))
    assert one["plan"] == two["plan"]
    assert one["parameters_held"] - two["parameters_held"] == in_layers(tiny_base) // 2
    for mine, other in zip(one["history"], two["history"], strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "distributed_type: FSDP\nfsdp_config: {fsdp_version: 2, fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP}",
        "distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 3, zero3_init_flag: true}",
    ],
)
def test_an_accelerate_file_that_asks_for_fsdp_or_zero_3_cuts_the_base(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path, kind: str
) -> None:
    settings = tmp_path / "accelerate.yaml"
    settings.write_text(FILE + kind)
    data = shop_examples(ROWS), shop_examples(20, seed=9)
    alone = tune_in(Fleet(), str(tiny_base), *data, tmp_path / "alone", SETTINGS)
    both = tune_in(Fleet(accelerate=str(settings)), str(tiny_base), *data, tmp_path / "both", SETTINGS)
    card = json.loads((both / "card.json").read_text())
    assert (card["processes"], card["sharded"]) == (2, True)
    ours, theirs = (load_file(folder / "adapter_model.safetensors") for folder in (alone, both))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 2e-3


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
    file = tmp_path / "accelerate.yaml"
    file.write_text(FILE)
    assert tune_in(Fleet(accelerate=str(file)), str(tiny_base), *data, done, settings) == done
    assert (done / "card.json").stat().st_mtime_ns == before


def test_processes_that_cannot_start_are_one_sentence(tiny_base: Path, shop_examples: Maker, tmp_path: Path) -> None:
    settings = tmp_path / "accelerate.yaml"
    settings.write_text("compute_environment: NOWHERE\n")
    with pytest.raises(ModelError, match=r"processes that tune out ended with exit code 1 .*run the same command"):
        tune_in(Fleet(accelerate=str(settings)), str(tiny_base), shop_examples(20), [], tmp_path / "out", SETTINGS)


WATCHED = """
import subprocess, sys
from pathlib import Path

from lookwise.training.launch import Fleet, Order, _run
from lookwise.training.settings import TuneSettings

WORKER = (
    "import os, sys, time; from lookwise.runs.company import end_with_input; end_with_input(); "
    "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
)
LAUNCHER = (
    "import subprocess, sys; mine = [sys.executable, '-c', sys.argv[1]]; "
    "found = [subprocess.Popen([*mine, f'{sys.argv[2]}-{i}'], start_new_session=True) for i in range(2)]; "
    "sys.exit(max(one.wait() for one in found))"
)

class Stand(Fleet):
    def command(self, order):
        return [sys.executable, "-c", LAUNCHER, WORKER, str(order)]

order = Path(sys.argv[1])
_run(Stand(2), order, Order("", (), (), order, TuneSettings(), {}, order, order), None)
"""
TUNED = """
import sys
from pathlib import Path

from lookwise.message import user
from lookwise.training.examples import Example
from lookwise.training.launch import Fleet, tune_in
from lookwise.training.settings import TuneSettings

rows = [Example((user(f"is {i} red?"),), "yes", "match", ("yes", "no")) for i in range(64)]
settings = TuneSettings(batch=2, epochs=1000, device="cpu", dtype="float32")
tune_in(Fleet(processes=2), sys.argv[1], rows, [], Path(sys.argv[2]), settings)
"""


def started(program: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a program in a process of its own, with the package and what it needs."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", program, *words], env=environment)


def running(word: str) -> list[int]:
    """Return the processes that have a word in their command lines, those that have ended and wait aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, state = (
                (folder / "cmdline").read_bytes(),
                (folder / "stat").read_text().rpartition(")")[2].split()[0],
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word.encode() in words and state != "Z":
            found.append(int(folder.name))
    return found


def kill_and_see_all_end(parent: subprocess.Popen[bytes], word: str, ready: Callable[[], bool], wait: float) -> None:
    deadline = time.monotonic() + wait
    while not ready():
        assert time.monotonic() < deadline, "nothing started"
        assert parent.poll() is None
        time.sleep(0.05)
    children = [process for process in running(word) if process != parent.pid]
    assert len(children) == 3, "a launcher and two processes"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while (left := running(word)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert not left, "a process outlived the run"


def test_the_processes_end_when_the_run_is_killed(tmp_path: Path) -> None:
    order = tmp_path / "order"
    told = [tmp_path / f"order-{i}" for i in range(2)]
    parent = started(WATCHED, str(order))
    kill_and_see_all_end(parent, str(order), lambda: all(file.is_file() for file in told), 20)


@pytest.mark.slow
def test_torchruns_processes_end_when_the_run_is_killed(tiny_base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    parent = started(TUNED, str(tiny_base), str(out))
    kill_and_see_all_end(parent, str(out), (out / "launch" / "progress").is_file, 120)


def test_sharded_weights_are_refused(
    tiny_base: Path, shop_examples: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ModelError, match="over several processes, and there is one"):
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
