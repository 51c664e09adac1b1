"""Policies: which pictures a reader is shown, and in what form.  Pure functions from rows to evidence.

A policy is `none` or `<form>:<selector>` (DESIGN, "One idea").  A selector never reads a reply or a target; the oracles
alone read the truth.  Rows in: captions, ballots, utilities.  Rows out: `Evidence`, one per policy, sample and slot, an
explicit `none` where nothing is shown.  `random@X` draws as many captions as X keeps, per task and split, blindly.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookwise.benchmarks.answers import published_ballot
from lookwise.errors import RecipeError, nearest
from lookwise.metrics.vote import majority
from lookwise.rows import Ballot, Caption, Evidence, Utility
from lookwise.sample import Sample

__all__ = ["FORMS", "Known", "Policy", "kept_captions", "parse_policy", "select", "shown_captions"]

FORMS = ("captions",)
"""Forms that this version can show; `visuals` comes with EcomMMMU."""
_SELECTORS = ("always", "vote", "oracle/truth")


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy; `base` is what `random@` imitates, `judge` the one that `judge/` trusts."""

    name: str
    form: str | None
    selector: str
    judge: str | None = None
    base: str | None = None


@dataclass(frozen=True)
class Known:
    """The rows that selectors may read, by sample id; `tie` is the rule for tied ballots (metrics/vote.py)."""

    captions: Mapping[str, Sequence[Caption]]
    ballots: Mapping[str, Sequence[Ballot]]
    truth: Mapping[str, Sequence[Utility]]
    tie: str = "drop"
    seed: int = 0


def parse_policy(name: str, judges: Iterable[str] = ()) -> Policy:
    """Return a policy by name; RecipeError names the nearest one."""
    if name == "none":
        return Policy(name, None, "none")
    form, _, selector = name.partition(":")
    if form not in FORMS:
        raise RecipeError(f"policy {name!r}: unknown form {form!r}; {nearest(form, (*FORMS, 'none'))}")
    known = [*_SELECTORS, *(f"judge/{j}" for j in judges)]
    base = selector.removeprefix("random@") if selector.startswith("random@") else None
    wanted = base if base is not None else selector
    if wanted not in known:
        raise RecipeError(f"policy {name!r}: unknown selector {wanted!r}; {nearest(wanted, known)}")
    judge = wanted.removeprefix("judge/") if wanted.startswith("judge/") else None
    return Policy(name, form, "random" if base else wanted.split("/")[0], judge, f"{form}:{base}" if base else None)


def select(policy: Policy, samples: Sequence[Sample], known: Known) -> list[Evidence]:
    """Return the evidence of one policy for all samples, in their order."""
    kept = kept_captions(policy, samples, known)
    rows = []
    for sample in samples:
        by_slot = {(c.slot, c.candidate): c for c in known.captions.get(sample.id, ())}
        for visual in sample.visuals:
            caption = by_slot.get((visual.slot, visual.candidate))
            if caption is not None and caption.caption_id in kept:
                rows.append(
                    Evidence(sample.id, policy.name, visual.slot, "caption", caption.caption_id, visual.candidate)
                )
            else:
                rows.append(Evidence(sample.id, policy.name, visual.slot, "none", None, visual.candidate))
    return rows


def shown_captions(
    evidence: Iterable[Evidence], captions: Mapping[str, Sequence[Caption]]
) -> dict[str, dict[str, str]]:
    """Return, by sample id, the caption texts that the evidence shows, by slot."""
    texts = {c.caption_id: c.text for rows in captions.values() for c in rows}
    shown: dict[str, dict[str, str]] = defaultdict(dict)
    for row in evidence:
        text = texts.get(row.caption_id) if row.caption_id else None
        if text:
            shown[row.sample_id][row.slot] = text
    return dict(shown)


def kept_captions(policy: Policy, samples: Sequence[Sample], known: Known) -> frozenset[str]:
    """Return the ids of the captions that a policy keeps."""
    usable = [(s, c) for s in samples for c in known.captions.get(s.id, ()) if c.text is not None]
    if policy.selector == "random":
        assert policy.base is not None
        judges = {b.judge for rows in known.ballots.values() for b in rows}
        return _draw(usable, kept_captions(parse_policy(policy.base, judges), samples, known), known.seed, policy.name)
    keep = _RULES[policy.selector]
    return frozenset(c.caption_id for s, c in usable if keep(policy, s, c, known))


Rule = Callable[[Policy, Sample, Caption, Known], bool]


def _nothing(policy: Policy, sample: Sample, caption: Caption, known: Known) -> bool:
    return False


def _everything(policy: Policy, sample: Sample, caption: Caption, known: Known) -> bool:
    return True


def _voted(policy: Policy, sample: Sample, caption: Caption, known: Known) -> bool:
    ballots = [b for b in known.ballots.get(sample.id, ()) if b.caption_id == caption.caption_id]
    if known.tie == "published":  # the published program counts strings cut to three characters, junk among them
        return majority([published_ballot(b.reply or "") for b in ballots], tie="published") == "yes"
    return majority([b.verdict for b in ballots], tie=known.tie) == "yes"


def _judged(policy: Policy, sample: Sample, caption: Caption, known: Known) -> bool:
    return any(
        b.caption_id == caption.caption_id and b.judge == policy.judge and b.verdict == "yes"
        for b in known.ballots.get(sample.id, ())
    )


def _worth(policy: Policy, sample: Sample, caption: Caption, known: Known) -> bool:
    """The truth's own gate: the pictures raise the naive reader's belief in the target.

    A sample with several pictures is decided as a whole where the truth has a row for all of them together, since each
    alone may say nothing (two products are the same only if both are seen).
    """
    rows = known.truth.get(sample.id, ())
    whole = [u for u in rows if u.slot is None]
    mine = whole or [u for u in rows if u.slot == caption.slot and u.candidate == caption.candidate]
    return any(u.gain is not None and u.gain > 1e-9 for u in mine)


_RULES: Mapping[str, Rule] = {
    "none": _nothing, "always": _everything, "vote": _voted, "judge": _judged, "oracle": _worth,
}  # fmt: skip


def _draw(usable: Sequence[tuple[Sample, Caption]], like: frozenset[str], seed: int, name: str) -> frozenset[str]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for sample, caption in usable:
        groups[(sample.task, sample.split)].append(caption.caption_id)
    drawn: list[str] = []
    for (task, split), ids in sorted(groups.items()):
        count = sum(1 for i in ids if i in like)
        drawn += random.Random(f"{seed}/{name}/{task}/{split}").sample(sorted(ids), count)
    return frozenset(drawn)
