"""Train the bundled judges: five small text models that vote on whether a caption helps the task.

In: a judge's name, a seed, a folder.  Out: a checkpoint there that plain transformers loads (bf16 safetensors,
tokenizer, chat template) and its card.  The judges differ in architecture, size, data, errors in their captions and
tasks' weights.  They know no picture and no answer: they learn from filled prompts whether the truth called the picture
helpful (judge_lessons.py), half of the time yes.

Whether a caption helps mostly depends on whether it repeats, contradicts or adds to what the text says.  A tiny model
does not find that out from yes and no alone.  So while it learns, a second head that is thrown away afterwards says of
every word that states a value whether the same attribute stands before it with the same value, with another, or both.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lookwise.bazaar.cases import TASKS, Split
from lookwise.bazaar.lexicon import OPINIONS, VALUE_WORDS
from lookwise.bazaar.world import MARKS
from lookwise.training.bundled.judge_lessons import Lesson, draw_lessons
from lookwise.training.bundled.muon import Muon
from lookwise.training.bundled.seeds import evaluation_seed, training_seed
from lookwise.training.bundled.tokens import build_tokenizer, save_tokenizer

__all__ = [
    "JUDGES",
    "Plan",
    "Row",
    "balanced_accuracy",
    "measure",
    "relate",
    "rows_of",
    "train_judge",
    "train_judges",
    "value_tokens",
    "votes_of",
]

Say = Callable[[str], None]
Network = Any
"""A causal language model of transformers, which gives its classes no useful types."""
Tokenizer = Any
"""Its tokenizer."""
_RELATIONS = 4
"""What the second head tells: new, same before, another before, both before."""
_NOTHING = -1
_POOL = 4
"""Batches drawn at once and sorted by length, so that little is padded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A judge's architecture, shape and schooling.  `samples` of each task, a third as many of other categories.

    Not every family will do: AutoTokenizer opens a Qwen2 checkpoint with Qwen2's own tokenizer, whatever is stored.
    """

    family: str
    width: int
    layers: int
    heads: int
    inner: int
    number: int
    samples: int
    steps: int
    errors: float
    batch: int = 64
    rate: float = 4e-3
    weights: Mapping[str, float] = field(default_factory=dict)


_ASKING = ("answerability_prediction", "product_substitute_identification", "multiclass_product_classification")
JUDGES: dict[str, Plan] = {
    "judge-a": Plan("llama", 64, 2, 4, 160, 101, 9000, 3000, 0.04),
    "judge-b": Plan("qwen3", 80, 2, 4, 192, 102, 8000, 2400, 0.06, weights=dict.fromkeys(_ASKING, 2.0)),
    "judge-c": Plan("mistral", 48, 2, 3, 128, 103, 7000, 2000, 0.02, weights={"category_classification": 2.0}),
    "judge-d": Plan("phi3", 64, 3, 4, 160, 104, 8000, 2400, 0.04, weights={"sentiment_analysis": 2.0}),
    "judge-e": Plan("olmo2", 96, 2, 4, 224, 105, 10000, 2000, 0.08, weights={"product_relation_prediction": 2.0}),
}


# -- lessons as tokens -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of a prompt, the relation at each (or `_NOTHING`), and the verdict."""

    task: str
    ids: list[int]
    relations: list[int]
    helpful: bool


def value_tokens(tokenizer: Tokenizer) -> dict[int, tuple[str, str | int]]:
    """Return token id -> the attribute and value that it states."""
    table: dict[str, tuple[str, str | int]] = {mark: ("mark", mark) for mark in MARKS}
    table |= {w: (a, v) for a, values in VALUE_WORDS.items() for v, found in values.items() for w in found}
    table |= {word: ("opinion", opinion) for opinion, found in OPINIONS.items() for word in found}
    known = tokenizer.get_vocab()
    return {known[word]: stated for word, stated in table.items() if word in known}


def relate(ids: Sequence[int], values: Mapping[int, tuple[str, str | int]]) -> list[int]:
    """Return at each token how the value that it states relates to those stated before it (`_NOTHING` elsewhere)."""
    seen: dict[str, set[str | int]] = defaultdict(set)
    relations = [_NOTHING] * len(ids)
    for place, token in enumerate(ids):
        if token in values:
            attribute, value = values[token]
            before = seen[attribute]
            relations[place] = (value in before) + 2 * bool(before - {value})
            before.add(value)
    return relations


def rows_of(lessons: Sequence[Lesson], tokenizer: Tokenizer) -> list[Row]:
    """Return lessons as prompts in the judges' tokens."""
    talks = [[{"role": "user", "content": lesson.text}] for lesson in lessons]
    texts = tokenizer.apply_chat_template(talks, tokenize=False, add_generation_prompt=True)
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    values = value_tokens(tokenizer)
    return [Row(x.task, ids, relate(ids, values), x.helpful) for x, ids in zip(lessons, encoded, strict=True)]


def _lessons(seed: int, splits: Mapping[Split, int], errors: float) -> list[Lesson]:
    return [lesson for split, count in splits.items() for lesson in draw_lessons(seed, split, count, errors)]


def _batches(rows: Sequence[Row], plan: Plan, rng: random.Random) -> Iterator[list[Row]]:
    """Yield batches in which tasks have their weights and half of every task's rows are helpful."""
    piles: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for row in rows:
        piles[row.task, row.helpful].append(row)
    tasks = [task for task in TASKS if piles[task, True] and piles[task, False]]
    weights = [plan.weights.get(task, 1.0) for task in tasks]
    done = 0
    while done < plan.steps:
        chosen = rng.choices(tasks, weights, k=_POOL * plan.batch)
        pool = [rng.choice(piles[task, i % 2 == 0]) for i, task in enumerate(chosen)]
        pool.sort(key=lambda row: len(row.ids))
        starts = rng.sample(range(0, len(pool), plan.batch), min(_POOL, plan.steps - done))
        yield from (pool[start : start + plan.batch] for start in starts)
        done += len(starts)


def _pad(rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, relations [rows, longest], padded at the end, and each row's last place."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    relations = torch.full((len(rows), longest), _NOTHING)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        relations[i, : len(row.ids)] = torch.tensor(row.relations)
    return ids, relations, torch.tensor([len(row.ids) - 1 for row in rows])


# -- models ------------------------------------------------------------------------------------------------------------


def _config(plan: Plan, tokenizer: Tokenizer) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(
        plan.family,
        vocab_size=len(tokenizer),
        hidden_size=plan.width,
        intermediate_size=plan.inner,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        head_dim=plan.width // plan.heads,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        initializer_range=0.05,
    )


def _new_model(plan: Plan, tokenizer: Tokenizer) -> Network:
    from transformers import AutoModelForCausalLM

    make: Any = AutoModelForCausalLM
    return make.from_config(_config(plan, tokenizer))


def _optimizers(model: nn.Module, head: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        Muon(matrices, lr=rate),
        torch.optim.AdamW([*others, *head.parameters()], lr=rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _rate_at(step: int, total: int) -> float:
    """Return the share of the full rate: a short rise, flat, then a linear fall over the last half."""
    return min(1.0, (step + 1) / max(1, total // 40), max(0.02, (total - step) / max(1, total // 2)))


# -- training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _School:
    """A model that is being taught, its second head, and the tokens of its answers: no, yes, end of turn."""

    model: Network
    head: nn.Linear
    no: int
    yes: int
    end: int

    def loss(self, rows: Sequence[Row]) -> Tensor:
        """Return the loss of verdict and end of turn, and, in full weight, that of the relations."""
        ids, relations, last = _pad(rows)
        answers = torch.tensor([self.yes if row.helpful else self.no for row in rows])
        ids = nn.functional.pad(ids, (0, 1))
        ids[torch.arange(len(rows)), last + 1] = answers
        hidden = self.model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        places = torch.arange(len(rows))
        output = self.model.get_output_embeddings()
        verdict = nn.functional.cross_entropy(output(hidden[places, last]), answers)
        stop = nn.functional.cross_entropy(output(hidden[places, last + 1]), torch.full_like(answers, self.end))
        told = relations != _NOTHING
        related = nn.functional.cross_entropy(self.head(hidden[:, :-1][told]), relations[told])
        return verdict + 0.1 * stop + related


def train_judges(out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train all judges, each into its own folder below `out`."""
    for name in JUDGES:
        train_judge(name, out / name, quick=quick, seed=seed, say=say)
    return out


def train_judge(name: str, out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train one judge and write its folder; `quick` takes a few steps only, to show that everything fits."""
    plan = replace(JUDGES[name], samples=24, steps=3) if quick else JUDGES[name]
    started = time.process_time()
    tokenizer = build_tokenizer()
    own_seed = training_seed(1000 * seed + plan.number)
    rows = rows_of(_lessons(own_seed, {"train": plan.samples, "ood": plan.samples // 3}, plan.errors), tokenizer)
    torch.manual_seed(own_seed)
    model = _new_model(plan, tokenizer)
    if say:
        spent = time.process_time() - started
        say(f"{name}: {len(rows)} lessons, {model.num_parameters()} parameters ({spent:.0f} s)")
    _teach(model, tokenizer, rows, plan, own_seed, say)
    model.to(torch.bfloat16).save_pretrained(out)
    save_tokenizer(out)
    _write_card(name, plan, out, own_seed, len(rows), time.process_time() - started, quick)
    return out


def _teach(model: Network, tokenizer: Tokenizer, rows: list[Row], plan: Plan, seed: int, say: Say | None) -> None:
    no, yes, end = tokenizer.convert_tokens_to_ids(["no", "yes", "<|end|>"])
    school = _School(model, nn.Linear(plan.width, _RELATIONS), no, yes, end)
    optimizers = _optimizers(model, school.head, plan.rate)
    started = time.process_time()
    unseen = rows_of(_lessons(evaluation_seed(99), {"test": 60}, plan.errors), tokenizer) if say else []
    model.train()
    for step, batch in enumerate(_batches(rows, plan, random.Random(seed))):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.rate * _rate_at(step, plan.steps)
        loss = school.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if say and (step % 100 == 99 or step == plan.steps - 1):
            found = measure(model, tokenizer, unseen)
            shown = " ".join(f"{value:.2f}" for value in found.values())
            say(f"step {step + 1}/{plan.steps} loss {loss.item():.3f} {shown} ({time.process_time() - started:.0f} s)")


# -- measuring ---------------------------------------------------------------------------------------------------------


def balanced_accuracy(helpful: Sequence[bool], votes: Sequence[bool]) -> float | None:
    """Return the mean of the shares of helpful pictures kept and of others refused; None where one kind is missing."""
    kept = [vote for truth, vote in zip(helpful, votes, strict=True) if truth]
    refused = [not vote for truth, vote in zip(helpful, votes, strict=True) if not truth]
    return (sum(kept) / len(kept) + sum(refused) / len(refused)) / 2 if kept and refused else None


@torch.no_grad()
def votes_of(model: Network, tokenizer: Tokenizer, rows: Sequence[Row], batch: int = 64) -> list[bool]:
    """Return whether yes is likelier than no, for every row."""
    no, yes = tokenizer.convert_tokens_to_ids(["no", "yes"])
    was_training = model.training
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    votes = [False] * len(rows)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        ids, _, last = _pad([rows[i] for i in chosen])
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[torch.arange(len(chosen)), last])
        for i, vote in zip(chosen, (logits[:, yes] > logits[:, no]).tolist(), strict=True):
            votes[i] = vote
    model.train(was_training)
    return votes


def measure(model: Network, tokenizer: Tokenizer, rows: Sequence[Row]) -> dict[str, float]:
    """Return balanced accuracy over all rows ("all") and of every task."""
    votes = votes_of(model, tokenizer, rows)
    found = {"all": balanced_accuracy([row.helpful for row in rows], votes)}
    for task in TASKS:
        of_task = [i for i, row in enumerate(rows) if row.task == task]
        found[task] = balanced_accuracy([rows[i].helpful for i in of_task], [votes[i] for i in of_task])
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def _write_card(name: str, plan: Plan, out: Path, seed: int, lessons: int, seconds: float, quick: bool) -> None:
    """Measure the stored copy, as users load it, on shops that nobody was trained on, and write the card."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(out)
    count = 16 if quick else 1000
    test = _lessons(evaluation_seed(0), {"test": count}, plan.errors)
    card: dict[str, Any] = {
        "name": name,
        "class": type(model).__name__,
        "parameters": model.num_parameters(),
        "plan": asdict(plan),
        "training_seed": seed,
        "lessons": lessons,
        "seconds": round(seconds),
        "quick": quick,
        "evaluation_seed": evaluation_seed(0),
        "evaluation_samples_per_task": count,
        "measure": "balanced accuracy against: the truth calls the picture helpful to the naive reader",
        "unseen": measure(model, tokenizer, rows_of([x for x in test if not x.held_out], tokenizer)),
        "held_out_wording": measure(model, tokenizer, rows_of([x for x in test if x.held_out], tokenizer)),
        "out_of_domain": measure(
            model, tokenizer, rows_of(_lessons(evaluation_seed(0), {"ood": count}, plan.errors), tokenizer)
        ),
    }
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (out / "card.md").write_text(_card_text(card), encoding="utf-8")


def _card_text(card: Mapping[str, Any]) -> str:
    lines = [
        f"# tiny:{card['name']}",
        "",
        f"A judge of captions: {card['class']}, {card['parameters']:,} parameters, trained from scratch by "
        f"`python -m lookwise.training.bundled {card['name']} --out DIR`.",
        "It answers the tiny caption-quality prompts with yes or no; it has never seen a task's answer or a picture.",
        f"Training: {card['lessons']:,} lessons from generated shops of seed {card['training_seed']}, "
        f"{card['plan']['steps']} steps of {card['plan']['batch']}, {card['seconds']} s of one core.",
        f"Measured on shops of seed {card['evaluation_seed']}: {card['measure']}.",
        "",
        "| task | unseen shops | held-out wording | unseen shops, out of domain |",
        "|---|---|---|---|",
    ]
    for name in ("all", *TASKS):
        cells = (card[column].get(name) for column in ("unseen", "held_out_wording", "out_of_domain"))
        lines.append(f"| {name} | " + " | ".join("" if c is None else f"{c:.3f}" for c in cells) + " |")
    return "\n".join(lines) + "\n"


train_judge_a = partial(train_judge, "judge-a")
train_judge_b = partial(train_judge, "judge-b")
train_judge_c = partial(train_judge, "judge-c")
train_judge_d = partial(train_judge, "judge-d")
train_judge_e = partial(train_judge, "judge-e")
