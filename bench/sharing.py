"""Bench (f): what it saves to compute once what requests share, with equal results.

    OMP_NUM_THREADS=1 python bench/sharing.py [--prompts 400] [--pictures 60] [--contexts 5] [--rounds 3]

Two kinds of sharing, each against the same code with that sharing switched off, in one process, sides taking turns.

Beginnings: judges' prompts of the paper-shaped prompt set, four tasks mixed (the instruction stands first), ranked by a
random Llama of 10 layers and width 512 in float32, batched as the loop does it.  Off: each prompt is computed whole.

Pictures in several contexts: each picture is asked about in so many contexts by the random LLaVA of bench (e), up to 32
tokens each, the picture standing first.  Off: no picture is remembered from batch to batch, so each is looked at anew
wherever it comes, and no beginning is shared.  Requests come as a run has them, the contexts of a picture apart.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from captions import draw, save_model
from checkpoints import LARGE, WORDS, Clock, parameters, save_judge

from lookwise.benchmarks.catalog import find_task
from lookwise.benchmarks.mmecinstruct import EXAMPLES
from lookwise.benchmarks.rendering import quality_conversation
from lookwise.inference.plan import plan
from lookwise.message import user
from lookwise.model import Generate, Model, Rank, Reply, Request
from lookwise.models.hf import pictures, stems
from lookwise.models.open import open_model

TASKS = ("sentiment_analysis", "product_substitute_identification", "category_classification",
         "answerability_prediction")  # fmt: skip
CONTEXTS = ("what is it?", "which colour has it?", "name its material", "is it broken, and where?", "who made it?",
            "how many are there?", "tell all that can be seen")  # fmt: skip


@contextmanager
def alone() -> Iterator[None]:
    """Switch both kinds of sharing off: no beginning is worth sharing, and there is no room for a picture."""
    pays, room = stems._PAYS, pictures._FEATURE_BYTES
    stems._PAYS, pictures._FEATURE_BYTES = 2.0, 0
    try:
        yield
    finally:
        stems._PAYS, pictures._FEATURE_BYTES = pays, room


def ask(model: Model, requests: Sequence[Request]) -> list[Reply]:
    """Answer every request, batched as the loop does it."""
    replies: dict[int, Reply] = {}
    for batch in plan([model.length(request) for request in requests], model.batch_tokens):
        replies.update(zip(batch, model.answer([requests[i] for i in batch]), strict=True))
    return [replies[i] for i in range(len(requests))]


def judged(count: int) -> list[Request]:
    """Return judges' prompts about captions of 20 to 60 words, tasks in turn."""
    rng = random.Random(4)
    samples = {name: EXAMPLES[find_task(name).name] for name in TASKS}
    found = []
    for i in range(count):
        name = TASKS[i % len(TASKS)]
        caption = " ".join(rng.choices(WORDS, k=rng.randint(20, 60)))
        slot = samples[name].visuals[0].slot
        talk = quality_conversation(find_task(name), samples[name], slot, caption)
        found.append(Request(talk, Rank(("yes", "no"))))
    return found


def compare(title: str, spec: str, requests: Sequence[Request], rounds: int) -> None:
    """Time both sides and print their table; different replies end the bench."""
    off, on = Clock(), Clock()
    for turn in range(rounds + 1):  # the first one warms up
        clocks = (off, on) if turn else (Clock(), Clock())
        with alone():
            model = open_model(spec)
            with clocks[0].on():
                one = ask(model, requests)
            model.close()
        model = open_model(spec)
        with clocks[1].on():
            other = ask(model, requests)
        model.close()
    equal = sum(a.text == b.text for a, b in zip(one, other, strict=True))
    apart = max(abs(x - y) for a, b in zip(one, other, strict=True) for x, y in zip(a.scores, b.scores, strict=True)) \
        if one[0].scores else 0.0  # fmt: skip
    print(
        f"{title}: {len(requests)} requests, {sum(r.tokens_in for r in one) / len(one):.0f} tokens each\n"
        f"equal replies {equal}/{len(requests)}, scores within {apart:.1e}\n"
        f"each alone {off.median():7.2f} s\nshared     {on.median():7.2f} s\n"
        f"{off.median() / on.median():.2f} times by the clock, "
        f"{off.median(True) / on.median(True):.2f} by the processor"
    )
    if equal < 0.99 * len(requests):
        raise SystemExit("replies differ: the comparison means nothing")


def main() -> None:
    """Measure both kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--contexts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        asked = judged(args.prompts)
        judge = save_judge(work / "judge", LARGE, 0, [request.conversation[0].text for request in asked])
        compare(f"beginnings, Llama of {parameters(judge):,} parameters", f"hf:{judge}", asked, args.rounds)
        shown = [sample.visuals[0].media for sample in draw(work / "pictures", args.pictures)]
        words = CONTEXTS[: args.contexts]
        talks = [Request((user(photo, text),), Generate(max_new_tokens=32)) for text in words for photo in shown]
        seer = save_model(work / "seer", words)
        title = f"{args.pictures} pictures in {len(words)} contexts, LLaVA of {parameters(seer):,} parameters"
        compare(title, f"hf:{seer}", talks, args.rounds)


if __name__ == "__main__":
    main()
