"""Policies side by side: what each reader scored under each, what that cost, and what the choice lost.

In: the records of policies.json.  Out: frozen tables that terminal.py and html.py draw alike.  It reads no file and
computes no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookwise.report.tables import Reader, group_of, is_oracle, several_models
from lookwise.report.words import number, spread

__all__ = ["HEADS", "POLICY_NOTE", "PolicyLine", "PolicyTable", "policy_tables"]

HEADS = ("mean score", "pictures", "captions", "calls", "tokens in", "out", "regret, truth", "measured")
"""What the columns hold; each is a mean a sample."""
POLICY_NOTE = (
    "mean score: of the tasks' primary metrics, ± half of the 95 % interval; the rest are means a sample.  pictures, "
    "captions: shown to the reader.  calls, tokens: of captioner, judges, verifier and reader, as if the policy ran "
    "alone and nothing were merged; blind policies and oracles pay for what they show.  regret: what the best choice "
    "of one candidate, or none, would gain over this one, in nats of log p(target); a caption counts as its picture."
)


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """One reader under one policy.  `regret` is in nats a sample, by the truth and as measured; None: not known.

    `best`: no policy that one can have scores more; an oracle is none of these.
    """

    group: str
    policy: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    pictures: float
    captions: float
    calls: float
    tokens_in: float
    tokens_out: float
    regret: tuple[float | None, float | None]
    best: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's values as text, under `HEADS`."""
        half = "" if self.low is None or self.high is None else spread(self.low, self.high)
        score = "none" if self.value is None else f"{number(self.value)}{half}"
        regret = ("" if value is None else f"{value:.3f}" for value in self.regret)
        counts = (f"{self.pictures:.2f}", f"{self.captions:.2f}", f"{self.calls:.1f}")
        return (score, *counts, f"{self.tokens_in:,.0f}", f"{self.tokens_out:,.0f}", *regret)


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """All readers and policies of one benchmark, split and subset."""

    title: str
    lines: tuple[PolicyLine, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The readers, in order."""
        return tuple(dict.fromkeys(line.group for line in self.lines))


def policy_tables(records: Sequence[Mapping[str, Any]]) -> tuple[PolicyTable, ...]:
    """Return one table per benchmark, split and subset, in the order of the records."""
    places = dict.fromkeys((str(r["benchmark"]), str(r["split"]), r.get("subset")) for r in records)
    tables = []
    for place in places:
        mine = [r for r in records if (r["benchmark"], r["split"], r.get("subset")) == place]
        benchmark, split, subset = place
        title = f"policies, {benchmark}, {split}" + (f", {subset}" if subset else "")
        tables.append(PolicyTable(title, _lines(mine)))
    return tuple(tables)


def _lines(records: Sequence[Mapping[str, Any]]) -> tuple[PolicyLine, ...]:
    readers = [Reader(str(r["model"]), str(r["training"]), str(r["tuned_on"]), str(r["policy"])) for r in records]
    several = several_models(readers)
    top = max((r["value"] for r in records if r["value"] is not None and not is_oracle(str(r["policy"]))), default=None)
    lines = [
        PolicyLine(
            group=group_of(reader, several),
            policy=reader.policy,
            value=r["value"],
            low=r["low"],
            high=r["high"],
            n=int(r["n"]),
            pictures=float(r["pictures"]),
            captions=float(r["captions"]),
            calls=float(r["calls"]),
            tokens_in=float(r["tokens_in"]),
            tokens_out=float(r["tokens_out"]),
            regret=(r["regret"].get("truth"), r["regret"].get("measured")),
            best=r["value"] is not None and r["value"] == top and not is_oracle(reader.policy),
        )
        for reader, r in zip(readers, records, strict=True)
    ]
    order = {group: place for place, group in enumerate(dict.fromkeys(line.group for line in lines))}
    return tuple(sorted(lines, key=lambda line: order[line.group]))
