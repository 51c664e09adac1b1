"""Take the gate home: a run's verifier and its threshold in a folder of their own, and asking it there.

In: a finished run, an empty folder, a price of a picture.  Out: the folder:

    gate.json   threshold, selector, labels, prompts, versions, calibration, and the gate's cost curves; of a run on a
                user's table its columns too
    card.md     the same for people: how good it is, and what looking gains at several prices
    model/      the verifier with its adapter merged, in safetensors; or adapter/, for use on a base that is named

`open_gate` reads it anywhere, the run gone: it knows no run.  What a picture is worth is told in two units: nats of
log p(right answer), by which the run chose its threshold, and right answers, in which a user may know a price.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookwise.benchmarks.utility import JUDGEMENTS
from lookwise.errors import ModelError, RunError
from lookwise.inference import Display, ModelSource, run_stage
from lookwise.metrics.choice import Look, above, threshold_at
from lookwise.models.open import ModelOptions, fingerprint, open_model
from lookwise.models.place import Place, locate
from lookwise.pipeline.context import Context
from lookwise.pipeline.gate_card import card
from lookwise.pipeline.gate_own import columns_record
from lookwise.pipeline.utility_steps import curve, readers_half
from lookwise.pipeline.wording import check_wording, open_as_asked
from lookwise.prompt import Prompt
from lookwise.recipe import Recipe
from lookwise.rows import Utility
from lookwise.runs.files import read_json, read_record, write_bytes_atomic, write_json_atomic
from lookwise.runs.ledger import Ledger
from lookwise.runs.replies import ReplyStore
from lookwise.sample import Sample
from lookwise.stages.visual_utility import UtilityPrediction
from lookwise.task import Task

__all__ = ["Gate", "export_gate", "open_gate"]

_FORMAT = 1
_FILE = "gate.json"
_ASKING = (
    "One user's turn: the pictures of one candidate number, one of each product in the order of the products, then a "
    "line break and the prompt, its holes filled with the sample's fields and {judgements} with the labels, a line "
    "each.  The labels are ranked as the answer, each by the sum of its tokens' log-probabilities; the probability is "
    "the first label's share of all of them."
)


# ----------------------------------------------------------------------------------------------------------- the export


def export_gate(
    run: Path,
    recipe: Recipe,
    folder: Path,
    *,
    price: float | None = None,
    merged: bool = True,
    prompts: Path | None = None,
) -> dict[str, Any]:
    """Write the gate of a finished run and return what gate.json says.

    `price` is that of one picture shown to the reader, in right answers; None keeps the run's own threshold.
    """
    record = read_record(run)
    if record.get("state") != "done":
        raise RunError(f"{run}: not a finished run ({record.get('state', 'no run.json')}); run its recipe to the end")
    if not recipe.predicts:
        raise RunError(f"{run}: no policy of it goes by a verifier's word (visuals:predicted), so it has no gate")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RunError(f"{folder} is there already; name another folder for the gate")
    data = open_as_asked(run, recipe, record, prompts)
    check_wording(run, data, record, ("utility",))
    with ReplyStore(None) as replies:
        context = Context(recipe, run, data, replies, Ledger(), None)
        value = _record(context, record, price, merged)
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _save_model(context, draft, merged)
    write_bytes_atomic(draft / "card.md", card(value).encode())
    write_json_atomic(draft / _FILE, value)
    if folder.exists():
        folder.rmdir()
    draft.rename(folder)
    return value


def _record(context: Context, record: Mapping[str, Any], price: float | None, merged: bool) -> dict[str, Any]:
    curves = {"nats": curve(context), "right answers": curve(context, in_answers=True)}
    if not any(math.isfinite(look.threshold) for look in curves["nats"]):
        raise RunError(
            f"{context.folder}: its verifier judged no validation sample, so no threshold can be chosen; add "
            "visuals:predicted/threshold to the recipe's policies"
        )
    each = _pictures_a_look(context)
    asked = {"nats": context.recipe.look_price} if price is None else {"right answers": price * each}
    ((unit, look_price),) = asked.items()
    threshold = threshold_at(curves[unit], look_price)
    judged = context.read("predicted", Utility)
    return {
        "format": _FORMAT,
        "lookwise": record["lookwise"],
        "versions": record["versions"],
        "run": {"id": record["id"], "recipe": context.recipe.name, "data": record["data"], "seed": record["seed"]},
        "model": _model_record(context, merged) | {"fingerprint_in_run": judged[0].model},
        "selector": "visuals:predicted/threshold",
        "threshold": threshold if math.isfinite(threshold) else None,
        "price": {"look": look_price, "unit": unit, "picture": price, "pictures_a_look": each},
        "labels": list(JUDGEMENTS),
        "asking": _ASKING,
        "prompts": {t.name: {"title": t.title, "utility": t.prompts["utility"].text} for t in context.tasks.values()},
        "table": None if context.data.own is None else columns_record(context.data.own),
        "curves": {name: [_look(look) for look in looks] for name, looks in curves.items()},
        **_trust(read_json(context.folder / "gates.json")),
    }


def _trust(gates: Mapping[str, Any]) -> dict[str, Any]:
    """Return how good the run found its verifier, and on which samples (not told by runs of earlier versions)."""
    return {"verifier": gates["verifier"], "verifier_samples": gates.get("verifier_samples", {})}


def _look(look: Look) -> dict[str, Any]:
    return asdict(look) | {"threshold": look.threshold if math.isfinite(look.threshold) else None}


def _pictures_a_look(context: Context) -> float:
    """Return how many pictures a look shows, on the validation samples: one of every product."""
    slots = [len({v.slot for v in s.visuals}) for s in readers_half(context, context.samples(["val"])) if s.candidates]
    return sum(slots) / len(slots) if slots else 1.0


def _spec(context: Context) -> str:
    spec = context.spec(context.recipe.verifier or context.recipe.reader)
    return f"{spec}+{context.verifier_folder}" if context.recipe.teaches_verifier else spec


def _model_record(context: Context, merged: bool) -> dict[str, Any]:
    spec = _spec(context)
    if spec.partition(":")[0] not in ("tiny", "hf"):
        raise ModelError(f"model {spec!r} has no weights to take home; only checkpoints (tiny:, hf:) have")
    if not merged and not context.recipe.teaches_verifier:
        raise RunError(f"{context.folder}: its verifier was not tuned, so there is no adapter; leave --adapter out")
    base = context.recipe.verifier or context.recipe.reader
    form, code = "merged" if merged else "adapter", _place(context).remote_code
    return {"form": form, "base": base, "dtype": context.recipe.dtype, "remote_code": code}


def _place(context: Context) -> Place:
    """Return where the verifier's files are; with the recipe's permission its own Python is among them."""
    spec = _spec(context)
    place = locate(spec, fetch=True, remote_code=context.recipe.may_run_code(spec))
    if place is None:
        raise ModelError(f"model {spec!r} could not be found; give a checkpoint's folder")
    return place


def _save_model(context: Context, folder: Path, merged: bool) -> None:
    if not merged:
        (folder / "adapter").mkdir(parents=True)
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copyfile(context.verifier_folder / name, folder / "adapter" / name)
        return
    from lookwise.models.hf.merge import save_merged

    save_merged(_place(context), folder / "model")


# -------------------------------------------------------------------------------------------------------------- its use


@dataclass(frozen=True)
class Gate:
    """A gate that was taken home.  `threshold` is infinite where looking never pays."""

    folder: Path
    threshold: float
    tasks: Mapping[str, Task]
    record: Mapping[str, Any]

    @property
    def spec(self) -> str:
        """What opens the verifier."""
        model = self.record["model"]
        return (
            f"hf:{self.folder / 'model'}" if model["form"] == "merged" else f"{model['base']}+{self.folder / 'adapter'}"
        )

    def at(self, price: float) -> Gate:
        """Return the gate at another price of a picture, in right answers."""
        looks = [
            Look(math.inf if look["threshold"] is None else look["threshold"], look["looked"], look["worth"], look["n"])
            for look in self.record["curves"]["right answers"]
        ]
        return replace(self, threshold=threshold_at(looks, price * self.record["price"]["pictures_a_look"]))

    def options(self, *, remote_code: bool = False) -> ModelOptions:
        """Return how its verifier was opened when the gate was measured; the permission is whoever asks it to give."""
        return ModelOptions(dtype=self.record["model"]["dtype"], remote_code=remote_code)

    def judge(
        self,
        samples: Sequence[Sample],
        options: ModelOptions | None = None,
        replies: ReplyStore | None = None,
        display: Display | None = None,
    ) -> dict[str, tuple[Utility, ...]]:
        """Return, by sample id, a row with its probability for every candidate that all of its products have."""
        options = options or self.options()
        self._check_permission(options)
        unknown = next((s.task for s in samples if s.task not in self.tasks), None)
        if unknown is not None:
            raise RunError(f"{self.folder} was not taught {unknown!r}; its tasks: {', '.join(self.tasks)}")
        model = ModelSource("verifier", lambda: open_model(self.spec, options), lambda: fingerprint(self.spec, options))
        stage = UtilityPrediction(self.tasks, "verifier", self.record["model"]["base"])
        kept = ReplyStore(None) if replies is None else replies
        try:
            return run_stage(stage, samples, models={"verifier": model}, replies=kept, ledger=Ledger(), display=display)
        finally:
            if replies is None:
                kept.close()

    def _check_permission(self, options: ModelOptions) -> None:
        """Refuse to ask another class for a verifier whose answers are those of its own Python."""
        if self.record["model"].get("remote_code") and not options.remote_code:
            merged = self.record["model"]["form"] == "merged"
            raise ModelError(
                f"{self.folder}: its verifier answers by Python of its own, which is not run unasked; read "
                f"{self.folder / 'model' if merged else self.record['model']['base']}, then permit it: "
                "`lookwise predict --remote-code`, or judge(samples, gate.options(remote_code=True))"
            )

    def choose(self, judged: Mapping[str, Sequence[Utility]]) -> dict[str, tuple[int, ...]]:
        """Return, by sample id, the candidate number to look at, or none."""
        return {name: above(rows, self.threshold) for name, rows in judged.items()}


def open_gate(folder: Path) -> Gate:
    """Read a gate's folder; RunError when it is none, or of a later form."""
    if not (folder / _FILE).is_file():
        raise RunError(f"{folder}: no gate (it has no {_FILE}); `lookwise gate RUN DIR` writes one")
    record = read_json(folder / _FILE)
    if not isinstance(record, dict) or not isinstance(record.get("format"), int) or record["format"] > _FORMAT:
        raise RunError(f"{folder / _FILE}: expected a gate of form {_FORMAT}; update lookwise, or export it again")
    tasks = {name: _task(name, told) for name, told in record["prompts"].items()}
    threshold = math.inf if record["threshold"] is None else float(record["threshold"])
    return Gate(folder, threshold, MappingProxyType(tasks), record)


def _task(name: str, told: Mapping[str, str]) -> Task:
    """Return what of a task a verifier is asked with: its wording."""
    return Task(
        name=name,
        title=told["title"],
        source="a gate's folder",
        fields=(),
        labels=(),
        option_texts=(),
        prompts=MappingProxyType({"utility": Prompt(told["utility"], f"{name} of {_FILE}")}),
        parse=MappingProxyType({}),
        metrics=(),
    )
