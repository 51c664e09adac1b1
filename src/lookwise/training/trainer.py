"""transformers' Trainer, taught to take a whole batch in micro-batches of like length and to choose by accuracy.

In: a model, encoded rows, a `Ranking` of validation examples, settings.  Out: the model with the weights of its best
step, and a `Record` of what happened.  A process has one device; where there are several (processes.py), each takes
its rows of every batch and the main one writes.  What Trainer does well stays its own: optimizer, schedule, clipping,
mixed precision, random states, resuming.  Nothing of its logging and progress bars is left.
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from lookwise.errors import ModelError
from lookwise.training import processes
from lookwise.training.accuracy import Accuracy, Ranking
from lookwise.training.checkpoint import commit
from lookwise.training.collate import EpochOrder, Pictures, collate, split
from lookwise.training.examples import Encoded
from lookwise.training.heads import answer_loss, bare
from lookwise.training.settings import TuneSettings
from lookwise.training.shards import in_step

__all__ = ["AnswerTrainer", "Progress", "Record", "quiet"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a watcher is told: optimizer steps done and in all, the step's loss (nats/token) or a new accuracy."""

    step: int
    steps: int
    seconds: float
    loss: float | None = None
    accuracy: Accuracy | None = None


@dataclass
class Record:
    """What a tuning remembers over interruptions.  Tokens are useful ones (no padding), as trained on.

    `peak_bytes` is the most memory that a process held: of its accelerator, or of the whole process on a CPU.
    """

    best_step: int = 0
    best_value: float = -math.inf
    history: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    supervised: int = 0
    seconds: float = 0.0
    micro_tokens: int = 0
    peak_bytes: int = 0


class _Rows(Dataset[Encoded]):
    """The rows as torch wants to see them."""

    def __init__(self, rows: list[Encoded]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> Encoded:
        return self._rows[place]


class _Batches(DataLoader[Encoded]):
    """A loader that hands its sampler the epoch, as Trainer expects of accelerate's."""

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]


class _Beat(TrainerCallback):
    """Says after which steps Trainer measures and saves, and tells who watches."""

    def __init__(self, trainer: AnswerTrainer) -> None:
        self._trainer = trainer
        self._saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        trainer, step = self._trainer, state.global_step
        per_epoch = math.ceil(len(trainer.rows) / trainer.settings.batch)
        every = trainer.settings.evaluate_every or per_epoch
        last = step >= state.max_steps
        control.should_evaluate = trainer.ranking is not None and (step % every == 0 or last)
        late = time.monotonic() - self._saved >= trainer.settings.save_seconds
        due = step % per_epoch == 0 or step % trainer.settings.save_every == 0
        control.should_save = control.should_evaluate or due or late or last
        if control.should_save:
            self._saved = time.monotonic()
        trainer.tell(loss=trainer.last_loss)
        return control


class AnswerTrainer(Trainer):
    """Trains on answers only; `work` holds its checkpoints, `tell` reports, `record` remembers."""

    def __init__(
        self,
        model: nn.Module,
        rows: list[Encoded],
        ranking: Ranking | None,
        settings: TuneSettings,
        work: Path,
        pad_id: int,
        pictures: Pictures | None = None,
        watch: Callable[[Progress], None] | None = None,
    ) -> None:
        self.net, self.rows = model, rows
        self.settings, self.ranking, self.work = settings, ranking, work
        self.pad_id, self.pictures, self.watch = pad_id, pictures, watch
        self.best: dict[str, Tensor] = {}
        self.last_loss: float | None = None
        self._began = time.monotonic()
        super().__init__(model=model, args=_arguments(settings, work), train_dataset=_Rows(rows))
        self.args._n_gpu = 1  # one device: never torch's DataParallel, which would bypass the loss on answers
        self.remove_callback(PrinterCallback)
        self.add_callback(_Beat(self))
        self.record = Record(micro_tokens=settings.micro_tokens or _micro_tokens(rows, settings, self.args.device))
        self.names = _kept_names(model)
        self._call = _call_tokens(model, self.args.device)

    # What Trainer calls

    def get_train_dataloader(self) -> DataLoader[Encoded]:
        """Return the batches of whole rows in the epoch's order; tensors are made later, per micro-batch."""
        lengths = [len(r.ids) for r in self.rows]
        order = EpochOrder(lengths, self.settings.batch, self.settings.seed, self.settings.group_by_length)
        return _Batches(_Rows(self.rows), batch_sampler=order, collate_fn=list)

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Accumulate the gradient of the mean loss over the batch's supervised tokens, in as many parts as fit."""
        del model  # what accelerate wrapped round `net`; see `_accumulate`
        self.net.train()
        tower = getattr(bare(self.net).model, "vision_tower", None)
        if tower is not None and not any(p.requires_grad for p in tower.parameters()):
            tower.eval()
        mine, tokens = processes.share(inputs), sum(len(r.ids) - max(r.start, 1) for r in inputs)
        while True:
            found = self._accumulate(mine, tokens, inputs[:1])
            if found is not None:
                break
            self._halve(mine)
            self.net.zero_grad()
        processes.sum_gradients(self.net.parameters())
        loss = processes.total(found)
        self.record.tokens += sum(len(r.ids) for r in inputs)
        self.record.supervised += sum(r.supervised for r in inputs)
        if loss.device.type == "cpu" or self.watch is not None:
            self.last_loss = float(loss)
            if not math.isfinite(self.last_loss):
                step = self.state.global_step + 1
                raise ModelError(
                    f"the loss is {self.last_loss} at step {step}: lower learning_rate ({self.args.learning_rate:g})"
                )
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure, remember the weights when they are the best so far (the earlier wins a tie), report."""
        assert self.ranking is not None
        self.net.eval()
        with self.accelerator.autocast():
            measured = self.ranking.measure(self.net, self.args.device, self.record.micro_tokens)
        self.net.train()
        step = self.state.global_step
        self.record.history.append(
            {"step": step, "accuracy": measured.mean, "loss": measured.loss, "tasks": measured.tasks}
        )
        if measured.value > self.record.best_value:
            self.record.best_value, self.record.best_step = measured.value, step
            self.best = self.weights()
        self.tell(accuracy=measured)
        metrics = {"eval_loss": measured.loss, "eval_value": measured.value}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def floating_point_ops(self, inputs: Any) -> int:
        """Count nothing: Trainer would walk over all parameters at every step."""
        return 0

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if not processes.is_main():
            return
        self.record.peak_bytes = self.peak_bytes()
        commit(self.work, self.state.global_step, self._write)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        self.set_weights(load_file(folder / "weights.safetensors"))
        best = folder / "best.safetensors"
        self.best = load_file(best) if best.is_file() else {}
        self.record = Record(**json.loads((folder / "record.json").read_text()))

    # Ours

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of everything that training changes."""
        state = self.net.state_dict()
        return {name: state[name].detach().to("cpu", copy=True).contiguous() for name in self.names}

    def set_weights(self, weights: dict[str, Tensor]) -> None:
        """Put such a copy back."""
        state = self.net.state_dict()
        with torch.no_grad():
            for name in self.names:
                state[name].copy_(weights[name])

    def tell(self, loss: float | None = None, accuracy: Accuracy | None = None) -> None:
        """Report to whoever watches."""
        if self.watch is not None:
            state = self.state
            self.watch(Progress(state.global_step, state.max_steps, self.seconds(), loss, accuracy))

    def seconds(self) -> float:
        """Return the seconds spent so far, those before an interruption included (as of its last checkpoint)."""
        return self.record.seconds + time.monotonic() - self._began

    def peak_bytes(self) -> int:
        """Return the most memory that this process has held, before an interruption too."""
        if self.args.device.type == "cuda":
            now = torch.cuda.max_memory_allocated(self.args.device)
        else:
            now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return max(self.record.peak_bytes, now)

    def _write(self, folder: Path) -> None:
        save_file(self.weights(), folder / "weights.safetensors")
        if self.best:
            save_file(self.best, folder / "best.safetensors")
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / "trainer_state.json"))
        record = asdict(self.record) | {"seconds": self.seconds()}
        (folder / "record.json").write_text(json.dumps(record))

    def _accumulate(self, rows: list[Encoded], total: int, spare: list[Encoded]) -> Tensor | None:
        """Run forward and backward over the micro-batches of rows of a batch of `total` supervised tokens.

        Where the model is cut over processes, the spare rows keep those company that have more.  None when memory ran
        out.  The model itself is asked, not what accelerate wrapped round it: processes.py adds
        gradients up, once a step, whatever the number of micro-batches that each process needs.
        """
        loss = torch.zeros((), device=self.args.device)
        try:
            chunks = split(rows, self.record.micro_tokens, self._call)
            device = self.args.device
            for chunk, counts in in_step(chunks, spare, device) if self.settings.shard else ((c, 1) for c in chunks):
                pictures = [m for r in chunk for m in r.media]
                pixels = self.pictures.tensors(pictures, training=True) if self.pictures else {}
                batch = collate(chunk, self.pad_id, self.args.device, pixels)
                with self.accelerator.autocast():
                    part = answer_loss(self.net, batch) * counts / total
                self.accelerator.backward(part)
                loss += part.detach()
        except torch.OutOfMemoryError:
            return None
        return loss

    def _halve(self, rows: list[Encoded]) -> None:
        """Halve the micro-batch after memory ran out; a single row that does not fit is an error."""
        if self.settings.shard:  # the others wait for us inside a layer, and will not try again with us
            raise ModelError(
                f"passes of {self.record.micro_tokens} tokens do not fit in memory; set micro_tokens lower, and "
                "gradient_checkpointing: true"
            )
        longest = max(len(r.ids) for r in rows)
        if self.record.micro_tokens <= longest:
            raise ModelError(
                f"one row of {longest} tokens does not fit in memory; set max_tokens lower, or take a smaller model"
            )
        whole = sum(len(r.ids) for r in rows)
        self.record.micro_tokens = max(min(self.record.micro_tokens, whole) // 2, 1)
        if self.args.device.type == "cuda":
            torch.cuda.empty_cache()


def _arguments(settings: TuneSettings, work: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=settings.batch,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        bf16=settings.dtype == "bfloat16",
        use_cpu=settings.device == "cpu",
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
    )


def _micro_tokens(rows: list[Encoded], settings: TuneSettings, device: torch.device) -> int:
    """Start with the whole batch on an accelerator; on a CPU more than some thousand tokens gains nothing.

    Neither is more tried where the model is cut over processes, which cannot try again with less.
    """
    longest = max((len(r.ids) for r in rows), default=1)
    if settings.shard:
        return max(4096, longest)
    return 4096 if device.type == "cpu" else settings.batch * longest


def _call_tokens(model: nn.Module, device: torch.device) -> int:
    """Return how many tokens a pass costs whatever its size: few for a large model on a CPU, many on an accelerator."""
    size = sum(p.numel() for p in model.parameters())
    return 32 + 40_000_000 // max(size, 1) if device.type == "cpu" else 8192


def _kept_names(model: nn.Module) -> list[str]:
    """Return the state-dict names of what training changes: trained parameters, and buffers if all is trained."""
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    every = dict(model.named_parameters(remove_duplicate=False))
    if frozen:
        return sorted(trained)
    buffers = {name for name in model.state_dict() if name not in every}
    return sorted(trained | buffers)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers, PEFT and torch, and leave the caller's random states and verbosity as they were."""
    logs: Any = transformers.utils.logging
    verbosity, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logs.set_verbosity(verbosity)
        if bars:
            logs.enable_progress_bar()
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
