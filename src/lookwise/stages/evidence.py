"""Policies: which pictures a reader is shown, and in what form.  Pure functions from rows to evidence.

A policy is `none` or `<form>:<selector>` (DESIGN, "One idea").  A selector never reads a reply or a target; the oracles
alone read the truth.  Rows in: captions, ballots, utilities.  Rows out: `Evidence`, one per policy, sample and slot, an
explicit `none` where nothing is shown.  `random@X` draws as many captions (or pictures) as X keeps, per task and
split, blindly.

Pictures are chosen by candidate number, the same of every slot.  `visuals:always` shows the first, which is the main
picture of a listing; `visuals:all` every one; `visuals:predicted` one of those that the verifier calls helpful, drawn
with a seed, as published; `predicted/highest`, `predicted/threshold` and `predicted/top-<k>` go by its probability; the
oracles show the one of largest gain.  Where none is chosen the sample is answered from its text alone.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lookwise.benchmarks.answers import published_ballot
from lookwise.errors import RecipeError, nearest
from lookwise.message import Media
from lookwise.metrics import choice
from lookwise.metrics.vote import majority
from lookwise.rows import Ballot, Caption, Evidence, Utility
from lookwise.sample import Sample

__all__ = [
    "FORMS",
    "Known",
    "Policy",
    "chosen_candidates",
    "kept_captions",
    "parse_policy",
    "select",
    "shown_captions",
    "shown_visuals",
]

_SELECTORS: Mapping[str, tuple[str, ...]] = {
    "captions": ("always", "vote", "oracle/truth"),
    "visuals": (
        "always",
        "all",
        "predicted",
        "predicted/highest",
        "predicted/threshold",
        "predicted/top-2",
        "oracle/measured",
        "oracle/truth",
    ),
}
"""By form; besides `judge/<name>` for captions, and any number after `top-`."""
FORMS = tuple(_SELECTORS)
_TOP = re.compile(r"predicted/top-([1-9]\d?)")


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy; `base` is what `random@` imitates, `judge` the one that `judge/` trusts.

    `pick` is what stands after the slash of other selectors: whose oracle, or how to choose by prediction.
    """

    name: str
    form: str | None
    selector: str
    judge: str | None = None
    base: str | None = None
    pick: str | None = None


@dataclass(frozen=True)
class Known:
    """The rows that selectors may read, by sample id; `tie` is the rule for tied ballots (metrics/vote.py).

    `threshold` is the probability from which `visuals:predicted/threshold` looks (metrics/choice.py finds it).
    """

    captions: Mapping[str, Sequence[Caption]]
    ballots: Mapping[str, Sequence[Ballot]]
    truth: Mapping[str, Sequence[Utility]]
    tie: str = "drop"
    seed: int = 0
    measured: Mapping[str, Sequence[Utility]] = field(default_factory=dict)
    predicted: Mapping[str, Sequence[Utility]] = field(default_factory=dict)
    threshold: float = 0.5


def parse_policy(name: str, judges: Iterable[str] = ()) -> Policy:
    """Return a policy by name; RecipeError names the nearest one."""
    if name == "none":
        return Policy(name, None, "none")
    form, _, selector = name.partition(":")
    if form not in FORMS:
        names = [f"{one}:{chosen}" for one, selectors in _SELECTORS.items() for chosen in selectors]
        raise RecipeError(f"policy {name!r}: unknown form {form!r}; {nearest(name, (*names, 'none'))}")
    known = [*_SELECTORS[form], *(f"judge/{j}" for j in judges if form == "captions")]
    base = selector.removeprefix("random@") if selector.startswith("random@") else None
    wanted = base if base is not None else selector
    if wanted not in known and not (form == "visuals" and _TOP.fullmatch(wanted)):
        raise RecipeError(f"policy {name!r}: unknown selector {wanted!r}; {nearest(wanted, known)}")
    head, _, pick = wanted.partition("/")
    judge = pick if head == "judge" else None
    return Policy(name, form, "random" if base else head, judge, f"{form}:{base}" if base else None, pick or None)


def select(policy: Policy, samples: Sequence[Sample], known: Known) -> list[Evidence]:
    """Return the evidence of one policy for all samples, in their order."""
    return _visual_rows(policy, samples, known) if policy.form == "visuals" else _caption_rows(policy, samples, known)


def _caption_rows(policy: Policy, samples: Sequence[Sample], known: Known) -> list[Evidence]:
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
    whole = [u for u in rows if u.slot is None and u.candidate == caption.candidate]
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


# --------------------------------------------------------------------------------------------------------- the pictures


def _visual_rows(policy: Policy, samples: Sequence[Sample], known: Known) -> list[Evidence]:
    """Return a row for every picture: shown, or not."""
    chosen = chosen_candidates(policy, samples, known)
    return [
        Evidence(
            sample.id,
            policy.name,
            visual.slot,
            visual.media.kind if visual.candidate in chosen[sample.id] else "none",
            None,
            visual.candidate,
        )
        for sample in samples
        for visual in sample.visuals
    ]


def shown_visuals(evidence: Iterable[Evidence], samples: Sequence[Sample]) -> dict[str, tuple[Media, ...]]:
    """Return, by sample id, the pictures that the evidence shows: candidate by candidate, each in slot order."""
    shown = {(row.sample_id, row.slot, row.candidate) for row in evidence if row.kind in ("image", "video")}
    found: dict[str, tuple[Media, ...]] = {}
    for sample in samples:
        mine = [v for v in sample.visuals if (sample.id, v.slot, v.candidate) in shown]
        if mine:
            found[sample.id] = tuple(v.media for v in sorted(mine, key=lambda v: v.candidate))
    return found


def chosen_candidates(policy: Policy, samples: Sequence[Sample], known: Known) -> dict[str, tuple[int, ...]]:
    """Return, by sample id, the candidate numbers that a policy of pictures shows; none where it shows nothing."""
    if policy.selector == "random":
        assert policy.base is not None
        return _scattered(
            samples, chosen_candidates(parse_policy(policy.base), samples, known), known.seed, policy.name
        )
    choose = _CHOICES[policy.selector]
    return {s.id: tuple(i for i in choose(policy, s, known) if i in s.candidates) for s in samples}


Choice = Callable[[Policy, Sample, Known], tuple[int, ...]]


def _first(policy: Policy, sample: Sample, known: Known) -> tuple[int, ...]:
    return sample.candidates[:1]


def _all(policy: Policy, sample: Sample, known: Known) -> tuple[int, ...]:
    return sample.candidates


def _predicted(policy: Policy, sample: Sample, known: Known) -> tuple[int, ...]:
    rows = known.predicted.get(sample.id, ())
    if policy.pick is None:
        return choice.drawn_helpful(rows, random.Random(f"{known.seed}/{policy.name}/{sample.id}"))
    if policy.pick == "threshold":
        return choice.above(rows, known.threshold)
    top = _TOP.fullmatch(f"predicted/{policy.pick}")
    return choice.likeliest(rows, int(top.group(1)) if top else 1)


def _oracle(policy: Policy, sample: Sample, known: Known) -> tuple[int, ...]:
    return choice.best((known.measured if policy.pick == "measured" else known.truth).get(sample.id, ()))


_CHOICES: Mapping[str, Choice] = {"always": _first, "all": _all, "predicted": _predicted, "oracle": _oracle}


def _scattered(
    samples: Sequence[Sample], like: Mapping[str, tuple[int, ...]], seed: int, name: str
) -> dict[str, tuple[int, ...]]:
    """Return as many candidates as `like` has, dealt out blindly: its counts go to other samples of the same group.

    Samples without pictures take no part: what fell to them would be lost.
    """
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.candidates:
            groups[(sample.task, sample.split)].append(sample)
    dealt: dict[str, tuple[int, ...]] = {sample.id: () for sample in samples}
    for (task, split), mine in sorted(groups.items()):
        rng = random.Random(f"{seed}/{name}/{task}/{split}")
        counts = sorted(len(like[sample.id]) for sample in mine)
        rng.shuffle(counts)
        for sample, count in zip(sorted(mine, key=lambda s: s.id), counts, strict=True):
            dealt[sample.id] = tuple(sorted(rng.sample(sample.candidates, min(count, len(sample.candidates)))))
    return dealt
