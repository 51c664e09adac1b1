"""Where the gates disagree: the samples of which one policy looks at a picture and another does not.

In: a run's rows.  Out: how often every pair of gates agrees, and the samples to look at, those with most at stake first
(the worth of their best picture, true or else measured).  It writes no HTML and computes no score.

A gate is a policy that decides sample by sample.  Oracles decide too, but by what nobody has at hand: they stand beside
the others as a measure, and count as gates only where there are no two others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from lookwise.metrics.choice import best, by_candidate, worth
from lookwise.report.gather import rows_of
from lookwise.rows import Evidence, Prediction, Utility
from lookwise.sample import Sample

__all__ = ["Decision", "Disagreements", "Pair", "Split", "disagreements"]

_BLIND = ("always", "all")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a gate showed of a sample ("" is nothing), and what was answered then."""

    shown: str
    answer: str | None
    right: bool | None


@dataclass(frozen=True, slots=True)
class Split:
    """A sample about which gates disagree; `decisions` in the order of the gates, `worth` in nats where known."""

    sample: str
    task: str
    subset: str | None
    about: str
    target: str | None
    worth: float | None
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two gates over the same samples: of how many both look, one alone, or neither."""

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int


@dataclass(frozen=True, slots=True)
class Disagreements:
    """The gates, every pair of them, and the samples, of `total` that there are."""

    gates: tuple[str, ...]
    pairs: tuple[Pair, ...]
    samples: tuple[Split, ...]
    total: int


def disagreements(folder: Path, limit: int) -> Disagreements:
    """Return where a run's gates disagree, at most `limit` samples one by one."""
    samples = {s.id: s for s in rows_of(folder, "samples", Sample)}
    answers: dict[str, dict[str, list[Prediction]]] = {}
    for row in rows_of(folder, "predictions", Prediction):
        answers.setdefault(row.sample_id, {}).setdefault(row.policy, []).append(row)
    shown: dict[str, dict[str, list[str]]] = {}
    for one in rows_of(folder, "evidence", Evidence):
        if one.sample_id in answers:
            places = shown.setdefault(one.policy, {}).setdefault(one.sample_id, [])
            places += [f"{one.slot}[{one.candidate or 0}]"] if one.kind != "none" else []
    gates = tuple(policy for policy in shown if _decides(policy))
    found = [name for name in answers if name in samples and _split(_deciding(gates), shown, name)]
    stakes = _stakes(folder, set(found))
    order = sorted(found, key=lambda name: (-stakes.get(name, 0.0), name))
    return Disagreements(
        gates=gates,
        pairs=tuple(_pair(a, b, shown) for a, b in combinations(gates, 2)),
        samples=tuple(_sample(samples[name], gates, shown, answers[name], stakes.get(name)) for name in order[:limit]),
        total=len(found),
    )


def _decides(policy: str) -> bool:
    selector = policy.partition(":")[2]
    return bool(selector) and selector not in _BLIND and not selector.startswith("random@")


def _deciding(gates: Sequence[str]) -> Sequence[str]:
    """Return the gates whose disagreement counts."""
    own = [gate for gate in gates if ":oracle/" not in gate]
    return own if len(own) > 1 else gates


def _split(gates: Sequence[str], shown: Mapping[str, Mapping[str, Sequence[str]]], sample: str) -> bool:
    return len({bool(shown[gate].get(sample)) for gate in gates}) > 1


def _stakes(folder: Path, wanted: set[str]) -> dict[str, float]:
    """Return the worth of each sample's best picture: the truth where it is known, else what was measured."""
    rows: dict[str, list[Utility]] = {}
    for stage in ("measured", "utilities"):
        mine: dict[str, list[Utility]] = {}
        for row in rows_of(folder, stage, Utility):
            if row.sample_id in wanted:
                mine.setdefault(row.sample_id, []).append(row)
        rows |= mine
    return {
        name: max((worth(by_candidate(found)[i]) for i in best(found)), default=0.0) for name, found in rows.items()
    }


def _pair(first: str, second: str, shown: Mapping[str, Mapping[str, Sequence[str]]]) -> Pair:
    both = [name for name in shown[first] if name in shown[second]]
    counts = Counter((bool(shown[first][name]), bool(shown[second][name])) for name in both)
    looks = ((True, True), (True, False), (False, True), (False, False))
    return Pair(first, second, *(counts[look] for look in looks))


def _sample(
    sample: Sample,
    gates: Sequence[str],
    shown: Mapping[str, Mapping[str, Sequence[str]]],
    answers: Mapping[str, Sequence[Prediction]],
    stake: float | None,
) -> Split:
    name, value = sample.fields[0] if sample.fields else ("", "")
    text = value if isinstance(value, str) else " / ".join(value)
    return Split(
        sample=sample.id,
        task=sample.task.rsplit("/", 1)[-1],
        subset=sample.subset,
        about=f"{name}: {text}" if name else "",
        target=sample.target,
        worth=stake,
        decisions=tuple(
            _decision(sample, shown[gate].get(sample.id, ()), _answer(gate, answers.get(gate, ()))) for gate in gates
        ),
    )


def _decision(sample: Sample, places: Sequence[str], row: Prediction | None) -> Decision:
    answer = None if row is None else row.answer
    right = None if row is None or sample.target is None else answer == sample.target
    return Decision(", ".join(places), answer, right)


def _answer(policy: str, rows: Sequence[Prediction]) -> Prediction | None:
    """Return the answer of the reader that was tuned on this policy, else of the untuned one, else of any."""
    for tuned_on in (policy, ""):
        for row in rows:
            if row.tuned_on == tuned_on:
                return row
    return rows[0] if rows else None
