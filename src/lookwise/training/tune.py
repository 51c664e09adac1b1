"""Tune a model on examples: the way in.

In: a base model's spec, training and validation examples, a folder, settings, and what the caller wants on the card.
Out: the folder with a LoRA adapter that plain PEFT loads, card.md and, last, card.json.  Killed at any moment, the same
call goes on from the last checkpoint and ends with the same adapter, byte by byte; a finished folder returns at once.
Which examples belong together (per task, generalist) is the caller's business (mixture.py helps).

Importing this module loads neither torch nor transformers; `tune` does.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lookwise.errors import DataError, ModelError
from lookwise.runs.files import write_json_atomic
from lookwise.training import checkpoint
from lookwise.training.examples import Encoded, Encoder, Example, digest
from lookwise.training.settings import TuneSettings

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import nn

    from lookwise.training.collate import Augment
    from lookwise.training.opening import Opened
    from lookwise.training.trainer import Progress, Record

__all__ = ["Example", "Fitted", "TuneSettings", "fit", "plan_of", "shown", "tune", "write_card"]

Watch = Callable[["Progress"], None]


class Display(Protocol):
    """What shows how far a tuning is: one title, steps counted.  The loop's own display is one."""

    def begin(self, title: str, total: int) -> None:
        """Start a title with so many steps."""

    def advance(self, sent: int = 0, stored: int = 0) -> None:
        """Count steps done now, and steps found done."""

    def end(self) -> None:
        """Finish the title."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a tuning gave: its record, its steps, the settings with the device filled in, and rows too long to use."""

    record: Record
    steps: int
    settings: TuneSettings
    left_out: int


def tune(
    base: str,
    train: Sequence[Example],
    val: Sequence[Example],
    out: Path,
    settings: TuneSettings | None = None,
    card: Mapping[str, Any] | None = None,
    display: Display | None = None,
    watch: Watch | None = None,
) -> Path:
    """Tune an adapter on `base` and return its folder.

    `card` goes onto the card as it is (recipe, policy, task …).  `display` counts steps under the folder's name;
    `watch` is told every step's loss and every accuracy.
    """
    settings = settings or TuneSettings()
    plan = plan_of(base, train, val, settings)
    if checkpoint.finished(out, plan):
        return out
    work = out / "work"

    from lookwise.training import lora, processes, shards
    from lookwise.training.trainer import quiet

    if processes.told_to_shard():
        settings = replace(settings, shard=True)
    if processes.is_main():
        checkpoint.same_plan(work, plan)
    with quiet():
        settings = on_device(settings)
        opened, model, modules, untied = _adapted(base, settings)
        held = None if settings.quantized else shards.held(model)
        encoder = Encoder(opened.processor, base)
        with shown(display, f"tune {out.name}", watch) as tell:
            fitted = fit(model, encoder, train, val, work, settings, tell)
        if not processes.is_main():
            return out
        error = None if settings.quantized or settings.shard else _merge_error(model, encoder, [*val, *train][:4], base)
        lora.save_adapter(model, out, opened.origin)
    facts = {"kind": "adapter", "base": base, "base_fingerprint": opened.fingerprint, "untied_head": untied}
    facts |= {"modules": modules, "merge_error": error, "sharded": settings.shard, "parameters_held": held}
    write_card(out, plan, fitted, facts, card or {})
    checkpoint.clear(work)
    return out


def _adapted(base: str, settings: TuneSettings) -> tuple[Opened, PeftModel, dict[str, int], bool]:
    """Open the base and put an adapter on it; cut up, where the settings want that."""
    from lookwise.training import lora, shards
    from lookwise.training.opening import open_base

    if settings.shard:
        shards.check(base)
    opened = open_base(base, settings)
    adapted = lora.adapt(opened.model, settings, base)
    if settings.shard:
        shards.cut(adapted[0], opened.model, settings.device, base)
    return opened, *adapted


def fit(
    model: nn.Module,
    encoder: Encoder,
    train: Sequence[Example],
    val: Sequence[Example],
    work: Path,
    settings: TuneSettings,
    watch: Watch | None = None,
    augment: Augment | None = None,
) -> Fitted:
    """Train what is trainable in `model`, leave it with the weights of the best step; `work` keeps checkpoints."""
    from lookwise.training import processes
    from lookwise.training.accuracy import Ranking
    from lookwise.training.collate import Pictures
    from lookwise.training.fast import fewer_passes
    from lookwise.training.heads import bare, check_plain_head
    from lookwise.training.trainer import AnswerTrainer

    check_plain_head(bare(model), encoder.name)
    config = bare(model).config.get_text_config()
    limit = min(settings.max_tokens or config.max_position_embeddings, config.max_position_embeddings)
    encoded = encoder.encode(train)
    rows = [r for r in encoded if len(r.ids) <= limit]
    if not rows:
        raise DataError(f"{encoder.name}: nothing to tune on; {_too_long(encoded, limit)}")
    pictures = Pictures(encoder.processor, augment=augment) if encoder.sees else None
    ranking = Ranking(val, encoder, pictures) if val else None
    trainer = AnswerTrainer(model, rows, ranking, settings, work, encoder.pad_id, pictures, watch)
    with fewer_passes(model):
        _train(trainer, work)
    model.eval()
    trainer.record.seconds = trainer.seconds()
    trainer.record.peak_bytes = processes.largest(trainer.peak_bytes(), trainer.args.device)
    return Fitted(trainer.record, trainer.state.global_step, settings, len(train) - len(rows))


def _too_long(rows: Sequence[Encoded], limit: int) -> str:
    if not rows:
        return "give at least one example"
    shortest = min(len(row.ids) for row in rows)
    return (
        f"of {len(rows)} examples the shortest has {shortest} tokens, and it takes {limit}; raise max_tokens, or name "
        "a model that reads more"
    )


def _train(trainer: Any, work: Path) -> None:
    last = checkpoint.latest(work)
    state = json.loads((last / "trainer_state.json").read_text()) if last else {}
    if last and state["global_step"] >= state["max_steps"]:  # killed after the last step: Trainer would add one
        trainer._load_from_checkpoint(str(last))
        trainer.state.global_step = state["global_step"]
    else:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.best:
        trainer.set_weights(trainer.best)
    else:
        trainer.record.best_step = trainer.state.global_step


@contextmanager
def shown(display: Display | None, title: str, watch: Watch | None) -> Iterator[Watch | None]:
    """Give one callback for both; the display is begun at the first step and ended when the block is left."""
    if display is None:
        yield watch
        return
    last = -1

    def tell(progress: Progress) -> None:
        nonlocal last
        if last < 0:
            display.begin(title, progress.steps)
            last = max(progress.step - 1, 0)
            display.advance(stored=last)
        if progress.step > last:
            display.advance(sent=progress.step - last)
            last = progress.step
        if watch is not None:
            watch(progress)

    try:
        yield tell
    finally:
        if last >= 0:
            display.end()


def plan_of(base: str, train: Sequence[Example], val: Sequence[Example], settings: TuneSettings) -> dict[str, Any]:
    """Return what identifies a tuning: equal plans end in equal weights (on the same machine and versions)."""
    free = {"save_every", "save_seconds", "gradient_checkpointing", "remote_code", "shard"}
    return {
        "base": base,
        "train": {"n": len(train), "sha256": digest(train)},
        "val": {"n": len(val), "sha256": digest(val)},
        "settings": {key: value for key, value in asdict(settings).items() if key not in free},
    }


def on_device(settings: TuneSettings) -> TuneSettings:
    """Return the settings with device and dtype decided: CUDA if there is one, else the CPU.

    The dtype is bfloat16 on a CUDA device that computes in it, else float32: gradients do not fit into float16.
    """
    import torch

    from lookwise.models.hf.device import cuda_computes_bfloat16
    from lookwise.training.processes import local_place

    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and (place := local_place()) is not None:
        if place >= torch.cuda.device_count():
            raise ModelError(
                f"process {place + 1} of a tuning has no accelerator of its own: there are "
                f"{torch.cuda.device_count()} here; lower processes"
            )
        device = f"cuda:{place}"
    dtype = settings.dtype
    if dtype == "auto":
        dtype = "bfloat16" if device != "cpu" and cuda_computes_bfloat16() else "float32"
    return replace(settings, device=device, dtype=dtype)


def _merge_error(model: Any, encoder: Encoder, examples: Sequence[Example], base: str) -> float:
    from lookwise.training.collate import Pictures, collate
    from lookwise.training.heads import merge_check

    device = next(model.parameters()).device
    pictures = Pictures(encoder.processor) if encoder.sees else None
    batches = []
    for row in encoder.encode(examples):
        pixels = pictures.tensors(row.media, training=False) if pictures else {}
        batches.append(collate([row], encoder.pad_id, device, pixels))
    return merge_check(model, batches, base)


def write_card(
    out: Path, plan: Mapping[str, Any], fitted: Fitted, facts: Mapping[str, Any], recipe: Mapping[str, Any]
) -> None:
    """Write card.md, then card.json, which makes the folder complete."""
    from lookwise.training import processes

    record = fitted.record
    best = next((h for h in record.history if h["step"] == record.best_step), None)
    value = {
        "format": 1,
        **facts,
        "recipe": dict(recipe),
        "plan": dict(plan),
        "steps": fitted.steps,
        "best_step": record.best_step,
        "best": best,
        "history": record.history,
        "rows_left_out": fitted.left_out,
        "tokens": {"total": record.tokens, "supervised": record.supervised},
        "seconds": round(record.seconds, 2),
        "hours": round(record.seconds / 3600, 3),
        "peak_bytes": record.peak_bytes,
        "processes": processes.count(),
        "device": fitted.settings.device,
        "dtype": fitted.settings.dtype,
        "micro_tokens": record.micro_tokens,
        "versions": {name: version(name) for name in ("lookwise", "torch", "transformers", "peft", "accelerate")}
        | {"python": platform.python_version()},
    }
    (out / "card.md").write_text(_prose(value), encoding="utf-8")
    write_json_atomic(out / checkpoint.CARD, value)


def _each(processes: int) -> str:
    return f" in each of {processes} processes" if processes > 1 else ""


def _prose(card: Mapping[str, Any]) -> str:
    plan, best = card["plan"], card["best"]
    settings = plan["settings"]
    lines = [
        f"# {card['kind']} on {card['base']}",
        "",
        f"Tuned by lookwise on {plan['train']['n']} examples (sha256 {plan['train']['sha256'][:12]}), "
        f"seed {settings['seed']}: {card['steps']} steps of {settings['batch']} rows, "
        f"learning rate {settings['learning_rate']:g}, {card['tokens']['supervised']} supervised of "
        f"{card['tokens']['total']} tokens, {card['seconds']:.0f} s ({card['hours']:.2f} h), "
        f"at most {card['peak_bytes'] / 1e9:.1f} GB of memory{_each(card['processes'])}.",
    ]
    if published := card["recipe"].get("published_tuning"):
        lines.append(f"Published for this tuning: {published}.")
    if best:
        shown = "".join(f"; {task} {share:.3f}" for task, share in best["tasks"].items())
        lines.append(
            f"Best at step {card['best_step']} on {plan['val']['n']} validation examples: "
            f"loss {best['loss']:.4f} nats/token; accuracy by ranking{shown or ' not taken (no options)'}."
        )
    if card.get("untied_head"):
        lines.append("The base's head was untied from its embedding first; untie it before merging this adapter.")
    return "\n".join(lines) + "\n"
