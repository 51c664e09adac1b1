"""Bench (a): five judges over captions, in Lookwise's loop and one prompt at a time.

    OMP_NUM_THREADS=1 python bench/judges.py [--captions 2000] [--alone 40] [--rounds 3]

Random Llama judges (five seeds of one size) vote on captions of about 150 tokens.  The other side is the published way:
for each caption, each judge's `generate` is called with one prompt, greedy, unmodified; a part of the captions is timed
and scaled to all.  Its models are loaded before its clock starts; ours are loaded on the clock.  Sides, interleaved:

    alone, 16 tokens        generate(max_new_tokens=16, min_new_tokens=16), as long as the published setting allows
    alone, stopping         generate(max_new_tokens=2): "yes" or "no", and the end of the turn
    batched                 our loop, every judge asked about every caption
    + early decision        our loop as it is: nobody is asked once the majority is certain
    + merging               the same where a tenth of the captions repeats another (asked about once)

One reading rule for both: a ballot is "yes" when, for the first token after the prompt, the logit of "yes" is above
that of "no".  Both are single tokens here, so that ranking them reads exactly that, and `generate` returns the same
logits with its tokens.  Ballots of all five judges on the captions of the other side must be equal, and so must all
majorities with and without early decision.  Random judges agree by chance only, so early decision saves least.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1"))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from checkpoints import MEDIUM, SMALL, TASK, Clock, Shape, captions, parameters, save_judge  # noqa: E402

from lookwise.benchmarks.rendering import quality_conversation  # noqa: E402
from lookwise.inference import ModelSource, run_stage  # noqa: E402
from lookwise.models.open import fingerprint, open_model  # noqa: E402
from lookwise.rows import Ballot, Caption  # noqa: E402
from lookwise.runs.ledger import Ledger  # noqa: E402
from lookwise.runs.replies import ReplyStore  # noqa: E402
from lookwise.sample import Sample  # noqa: E402
from lookwise.stages.caption_quality import CaptionQuality  # noqa: E402

TARGETS = {SMALL.name: 15, MEDIUM.name: 10}
STOPPING_TARGET = 4
Ballots = dict[str, tuple[Ballot, ...]]


def prompt_of(sample: Sample, caption: Caption) -> str:
    """Return the question whether a caption helps, as text."""
    return quality_conversation(TASK, sample, caption.slot, caption.text or "")[0].text


class Alone:
    """The published way: all judges loaded, one prompt at a time, each asked to write."""

    def __init__(self, folders: Sequence[Path]) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.judges = [(AutoTokenizer.from_pretrained(f), AutoModelForCausalLM.from_pretrained(f)) for f in folders]
        self.tokens: list[int] = []

    def vote(self, prompts: Sequence[str], **settings: Any) -> list[list[str]]:
        """Return every judge's vote on every prompt."""
        return [[self._one(*judge, prompt, settings) for judge in self.judges] for prompt in prompts]

    def _one(self, tokenizer: Any, model: Any, prompt: str, settings: dict[str, Any]) -> str:
        talk = [{"role": "user", "content": prompt}]
        inputs = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        out = model.generate(
            **inputs, do_sample=False, output_logits=True, return_dict_in_generate=True, pad_token_id=0, **settings
        )
        new = out.sequences[0, inputs["input_ids"].shape[1] :]
        tokenizer.decode(new, skip_special_tokens=True)
        self.tokens.append(len(new))
        yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
        return "yes" if out.logits[0][0, yes] > out.logits[0][0, no] else "no"


def ours(
    folders: Sequence[Path], samples: Sequence[Sample], rows: Sequence[Caption], early: bool, store: Path
) -> tuple[Ballots, Ledger]:
    """Return the ballots of our loop, from an empty reply store on disk."""
    judges = {f"judge-{i}": f"hf:{folder}" for i, folder in enumerate(folders)}
    models = {
        name: ModelSource(name, lambda spec=spec: open_model(spec), lambda spec=spec: fingerprint(spec))  # type: ignore[misc]
        for name, spec in judges.items()
    }
    stage = CaptionQuality(
        {TASK.name: TASK}, {row.sample_id: (row,) for row in rows}, tuple(judges), audit=0.0 if early else 1.0
    )
    ledger = Ledger(run="bench")
    store.unlink(missing_ok=True)
    return run_stage(stage, samples, models=models, replies=ReplyStore(store), ledger=ledger), ledger


def majority(ballots: Sequence[Ballot]) -> bool:
    """Return whether more judges said yes than no."""
    return sum(1 if b.verdict == "yes" else -1 for b in ballots) > 0


def calls(ledger: Ledger) -> str:
    """Return what a run's calls came to."""
    entries = ledger.calls["ballots"].values()
    names = ("asked", "merged", "decided_early", "sent", "failed")
    return ", ".join(f"{name} {sum(getattr(entry, name) for entry in entries):,}" for name in names)


def bench(shape: Shape, args: argparse.Namespace, work: Path) -> None:
    """Measure one size of judges and print its table."""
    samples, rows = captions(args.captions, (100, 200), 0.0, seed=1)
    again, repeated = captions(args.captions, (100, 200), 0.1, seed=2)
    prompts = [prompt_of(s, r) for s, r in zip(samples, rows, strict=True)]
    folders = [save_judge(work / f"{shape.width}-{i}", shape, i, prompts) for i in range(5)]
    alone = Alone(folders)
    some = prompts[: args.alone]
    alone.vote(some[:2], max_new_tokens=2)
    sixteen, stopping, batched, early, merged = (Clock() for _ in range(5))
    store = work / "replies.sqlite"
    for _ in range(args.rounds):
        with sixteen.on():
            votes = alone.vote(some, max_new_tokens=16, min_new_tokens=16)
        with stopping.on():
            alone.vote(some, max_new_tokens=2)
        with batched.on():
            full, _ledger = ours(folders, samples, rows, early=False, store=store)
        with early.on():
            decided, ledger = ours(folders, samples, rows, early=True, store=store)
        with merged.on():
            _, merging = ours(folders, again, repeated, early=True, store=store)
    check(samples, votes, full, decided)
    scale = len(samples) / len(some)
    print(
        f"\njudges of {parameters(folders[0]):,} parameters; {len(samples):,} captions; {scale:g} x {len(some)} alone"
    )
    table(sixteen, stopping, {"batched": batched, "+ early decision": early, "+ merging": merged}, scale)
    print(f"calls with early decision: {calls(ledger)}\ncalls with merging too:    {calls(merging)}")
    print(f"targets with early decision: {TARGETS[shape.name]} (16 tokens), {STOPPING_TARGET} (stopping)\n")


def check(samples: Sequence[Sample], votes: Sequence[Sequence[str]], full: Ballots, decided: Ballots) -> None:
    """Fail unless both sides voted alike and early decision changed no majority."""
    ballots = [[b.verdict for b in sorted(full[s.id], key=lambda b: b.judge)] for s in samples[: len(votes)]]
    equal = sum(one == list(other) for one, other in zip(ballots, votes, strict=True))
    same = sum(majority(full[s.id]) == majority(decided[s.id]) for s in samples)
    share = sum(b.verdict == "yes" for row in full.values() for b in row) / sum(map(len, full.values()))
    print(f"equal ballots {equal}/{len(votes)} captions; equal majorities {same}/{len(samples)}; yes in {share:.0%}")
    if equal < len(votes) or same < len(samples):
        raise SystemExit("verdicts differ: the comparison means nothing")


def table(sixteen: Clock, stopping: Clock, sides: dict[str, Clock], scale: float) -> None:
    """Print seconds and ratios, by wall and by processor time."""
    print(f"{'side':<20}{'wall s':>9}{'cpu s':>9}{'x 16 tok':>10}{'(cpu)':>8}{'x stopping':>12}{'(cpu)':>8}")
    for name, clock in (("alone, 16 tokens", sixteen), ("alone, stopping", stopping)):
        print(f"{name:<20}{clock.median() * scale:>9.1f}{clock.median(True) * scale:>9.1f}")
    for name, clock in sides.items():
        ratios = [one.median(cpu) * scale / clock.median(cpu) for one in (sixteen, stopping) for cpu in (False, True)]
        print(
            f"{name:<20}{clock.median():>9.1f}{clock.median(True):>9.1f}"
            f"{ratios[0]:>10.1f}{ratios[1]:>8.1f}{ratios[2]:>12.1f}{ratios[3]:>8.1f}"
        )


def main() -> None:
    """Run both sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=2000)
    parser.add_argument("--alone", type=int, default=40, help="captions that are timed one prompt at a time")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved repetitions; medians are printed")
    parser.add_argument("--sizes", nargs="+", choices=[SMALL.name, MEDIUM.name], default=[SMALL.name, MEDIUM.name])
    args = parser.parse_args()
    import torch

    torch.set_num_threads(THREADS)
    print(f"{THREADS} thread(s), {args.rounds} interleaved rounds, medians")
    for shape in (SMALL, MEDIUM):
        if shape.name in args.sizes:
            with tempfile.TemporaryDirectory() as work:
                bench(shape, args, Path(work))


if __name__ == "__main__":
    main()
