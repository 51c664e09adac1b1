"""Measure a reader on questions of seeds that no training uses, and write its card.

In: a model and tokenizer, or the folder of a checkpoint.  Out: the share of answers that are right, by kind of
question; card.json and card.md beside the checkpoint, measured on the stored copy as its users load it.  It knows
nothing of how the model was trained but what it is told for the card.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import FAMILIES, HELD_OUT, VALUE_WORDS
from lookwise.bazaar.world import draw_product
from lookwise.training.bundled.contexts import COUNTED, LETTERS, all_worlds, draw_facts
from lookwise.training.bundled.instructions import Episode, draw_episode
from lookwise.training.bundled.rows import Rows, pad
from lookwise.training.bundled.seeds import evaluation_seed

__all__ = ["MEANINGS", "load", "measure", "measure_named", "tally", "write_card"]

_DENSE = (4, 4)
_SINGLE = (1, 1)
_BATCH = 32


def load(folder: Path) -> tuple[Any, Any]:
    """Return a stored reader in fp32 and its tokenizer, through transformers' Auto classes."""
    import transformers

    models: Any = transformers.AutoModelForCausalLM  # typed only in part there
    tokenizers: Any = transformers.AutoTokenizer
    return models.from_pretrained(folder, dtype=torch.float32).eval(), tokenizers.from_pretrained(folder)


@torch.no_grad()
def measure(
    model: Any, tokenizer: Any, episodes: int, families: tuple[str, ...], seed: int, questions: tuple[int, int] = _DENSE
) -> dict[str, tuple[float, int]]:
    """Return for each kind of question the share of answers right from first to last token, and how many there were."""
    rows = Rows(tokenizer)
    rng = random.Random(seed)
    was_training = model.training
    model.eval()
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for _ in range(max(1, episodes // _BATCH)):
        drawn = [draw_episode(rng, questions, families) for _ in range(_BATCH)]
        ids, weights, *_ = pad([rows.episode(e) for e in drawn])
        best = model(input_ids=ids, use_cache=False).logits[:, :-1].argmax(-1)
        good = best == ids[:, 1:]
        for i, episode in enumerate(drawn):
            tally(episode, good[i], weights[i, 1:], right, asked)
    model.train(was_training)
    return {kind: (round(right[kind] / asked[kind], 4), asked[kind]) for kind in sorted(asked)}


@torch.no_grad()
def measure_named(model: Any, tokenizer: Any, seed: int, count: int = 300) -> dict[str, tuple[float, int]]:
    """Tell apart things with a colour each: the colour of the named one, the letter of the one that has a colour.

    Returns the share that is right and of how many, by what was asked for.
    """
    rng = random.Random(seed)
    colours = [ways[0] for ways in VALUE_WORDS["colour"].values()]
    found = {}
    for things in (2, 3, 4):
        names = [f"photo {COUNTED[i]}" for i in range(things)]
        found[f"colour of one of {COUNTED[things - 1]} photos"] = [
            _told_apart(names, colours, rng, by_name=True) for _ in range(count)
        ]
    options = LETTERS[:4]
    found["option with a colour, of four"] = [_told_apart(options, colours, rng, by_name=False) for _ in range(count)]
    shares = {}
    for asked, questions in found.items():
        right = sum(_next(model, tokenizer, text) == answer for text, answer in questions)
        shares[asked] = (round(right / count, 4), count)
    return shares


def _told_apart(names: Sequence[str], colours: Sequence[str], rng: random.Random, *, by_name: bool) -> tuple[str, str]:
    """Return lines that differ in colour, a question for one of them, and its answer."""
    world = all_worlds()
    each = rng.sample(colours, len(names))
    lines = []
    for name, colour in zip(names, each, strict=True):
        facts = draw_facts(draw_product(world, rng, colour=colour), 0.35, rng)
        lines.append(f"{name}: {words.title({**facts, 'colour': colour}, rng, rng.choice(FAMILIES))}")
    chosen = rng.randrange(len(names))
    question = f"{names[chosen]}: colour?" if by_name else f"{each[chosen]}: which letter?"
    return "\n".join([*lines, question]), each[chosen] if by_name else names[chosen]


def _next(model: Any, tokenizer: Any, text: str) -> str:
    """Return the likeliest first token of the reply."""
    talk = [{"role": "user", "content": text}]
    ids = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    best = model(input_ids=ids["input_ids"], use_cache=False).logits[0, -1].argmax()
    return str(tokenizer.decode([int(best)])).strip()


def tally(episode: Episode, good: Tensor, weights: Tensor, right: Counter[str], asked: Counter[str]) -> None:
    """Count each turn's answer as right when all its tokens are."""
    answers: list[list[bool]] = []
    inside = False
    for ok, weight in zip(good.tolist(), weights.tolist(), strict=True):
        if weight == 1.0 and not inside:
            answers.append([])
        inside = weight == 1.0
        if inside:
            answers[-1].append(ok)
    for turn, answer in zip(episode.turns, answers, strict=True):
        asked[turn.kind] += 1
        right[turn.kind] += all(answer)


def write_card(out: Path, facts: Mapping[str, Any], episodes: int) -> None:
    """Measure the stored copy and write card.json and card.md."""
    model, tokenizer = load(out)
    seed = evaluation_seed(0)
    card: dict[str, Any] = {
        **facts,
        "class": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": len(tokenizer),
        "evaluation_seed": seed,
        "unseen": measure(model, tokenizer, episodes, FAMILIES, seed, _SINGLE),
        "held_out_wording": measure(model, tokenizer, episodes, (HELD_OUT,), seed, _SINGLE),
        "named": measure_named(model, tokenizer, seed),
    }
    (out / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / "card.md").write_text(_prose(card), encoding="utf-8")


MEANINGS: Mapping[str, str] = {
    "agree": "do two lines agree in all that both state",
    "compare": "is one attribute of two lines the same",
    "copy": "repeat a line, word by word",
    "count": "in how many attributes do two lines agree",
    "differs": "the first attribute in which two lines differ",
    "find": "an attribute's value in a line",
    "know": "a brand's mark, a category's department",
    "list": "all attributes of a line",
    "option": "the letter of the option that names or has something",
    "says": "is a word said in a line",
    "spell": "all attributes of two lines, told and compared",
    "table": "all attributes of two lines, compared",
    "who": "the line that says a word",
}


def _prose(card: Mapping[str, Any]) -> str:
    size = card["size"]
    steps = sum(phase["steps"] for phase in size["phases"])
    lines = [
        f"# {card['name']}",
        "",
        f"A {card['class']} of {card['parameters']:,} parameters ({size['layers']} layers, width {size['width']}) that "
        "reads the language of the generated shop, made to be tuned.  Trained from scratch by "
        f"`python -m lookwise.training.bundled {card['name']} --out DIR`: seed {card['seed']}, {steps} steps of "
        f"{size['batch']} sequences, {card['seconds']} s by the clock, {card['threads']} thread(s) of torch"
        + (" (a quick form: it has learned nothing yet)." if card["quick"] else "."),
        "",
        "It has read titles, queries, reviews and reference captions in words, and questions about them that no task "
        "asks: copy, find, compare, count, lettered options.  It has not seen a task's question, nor any picture.  "
        "It knows the words of every category, those of the out-of-domain test too; a tuning sees only the others.",
        "",
        f"Right answers on products and texts of an unseen seed ({card['evaluation_seed']}), one question a context; "
        "the last column in the wording family that no training uses:",
        "",
        "| question | n | right | held-out wording |",
        "|---|---|---|---|",
    ]
    for kind, (share, n) in card["unseen"].items():
        other = card["held_out_wording"].get(kind)
        lines.append(f"| {MEANINGS[kind]} | {n} | {share:.3f} | {f'{other[0]:.3f}' if other else '-'} |")
    lines += [
        "",
        "Told apart, where each of several lines has a colour of its own (whoever takes any line's is right in one of "
        "as many as there are):",
        "",
        "| asked for | n | right |",
        "|---|---|---|",
        *(f"| {name} | {n} | {share:.3f} |" for name, (share, n) in card["named"].items()),
    ]
    return "\n".join(lines) + "\n"
