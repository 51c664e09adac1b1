"""What a verifier is taught (SUMEI): pictures whose worth was measured, an even share of each judgement.

In: samples, their measured utilities, a seed.  Out: `Example`s that ask exactly what the verifier is asked later and
answer in the same words, and a `Balance` that says what was left out.  `halves` parts the samples for good: what the
verifier learns from, no reader is tuned on.  The published programs keep the first rows of each class, and take half of
the data in one place and half of a split in the other, so that the halves overlap; here a seed draws, once.
No torch here.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookwise.benchmarks.rendering import answer_conversation, utility_conversation
from lookwise.benchmarks.utility import JUDGEMENTS, LABELS, line_of
from lookwise.message import Media
from lookwise.rows import Utility
from lookwise.sample import Sample
from lookwise.task import Task
from lookwise.training.examples import Example

__all__ = ["Balance", "balanced", "halves", "reader_examples", "verifier_examples"]


@dataclass(frozen=True, slots=True)
class Balance:
    """Rows per judgement before and after; `unlabelled` rows had none; `absent` judgements nobody could teach."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    unlabelled: int
    absent: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "before": dict(self.before),
            "after": dict(self.after),
            "unlabelled": self.unlabelled,
            "absent": list(self.absent),
        }


def halves(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return the verifier's samples and the reader's: half of each task and split each, drawn, in their old order.

    Of an odd number the reader gets the one more.
    """
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for sample in samples:
        places[(sample.task, sample.split)].append(sample.id)
    taken: set[str] = set()
    for (task, split), ids in places.items():
        taken.update(random.Random(f"{seed}/halves/{task}/{split}").sample(sorted(ids), len(ids) // 2))
    return [s for s in samples if s.id in taken], [s for s in samples if s.id not in taken]


def balanced(utilities: Sequence[Utility], seed: int, *, even: bool = True) -> tuple[list[Utility], Balance]:
    """Return as many rows of each judgement as the rarest one that occurs has, drawn, in their old order.

    Not `even`: all rows that have a judgement.
    """
    places: dict[str, list[int]] = {label: [] for label in LABELS}
    for place, row in enumerate(utilities):
        if row.label is not None:
            places[row.label].append(place)
    present = {label: mine for label, mine in places.items() if mine}
    size = min(map(len, present.values()), default=0)
    sizes = {label: size if even else len(mine) for label, mine in present.items()}
    kept = sorted(
        i for label, mine in present.items() for i in random.Random(f"{seed}/{label}").sample(mine, sizes[label])
    )
    balance = Balance(
        before={label: len(mine) for label, mine in places.items()},
        after={label: sizes.get(label, 0) for label in LABELS},
        unlabelled=len(utilities) - sum(map(len, places.values())),
        absent=tuple(label for label in LABELS if label not in present),
    )
    return [utilities[i] for i in kept], balance


def verifier_examples(
    tasks: Mapping[str, Task], samples: Sequence[Sample], utilities: Sequence[Utility]
) -> list[Example]:
    """Return one example per labelled row whose sample is among these, in the order of the rows."""
    known = {sample.id: sample for sample in samples}
    found = []
    for row in utilities:
        sample = known.get(row.sample_id)
        if sample is None or row.label is None:
            continue
        pictures = [visual.media for visual in sample.view(row.candidate)]
        talk = utility_conversation(tasks[sample.task], sample, pictures)
        found.append(Example(talk, line_of(row.label), f"utility/{sample.task}", JUDGEMENTS))
    return found


def reader_examples(
    tasks: Mapping[str, Task],
    samples: Sequence[Sample],
    captions: Mapping[str, Mapping[str, str]],
    pictures: Mapping[str, Sequence[Media]],
) -> list[Example]:
    """Return one example per sample with a target, with what a policy shows of it: captions, pictures, nothing."""
    found = []
    for sample in samples:
        if sample.target is not None:
            task = tasks[sample.task]
            talk = answer_conversation(task, sample, captions.get(sample.id, {}), pictures.get(sample.id, ()))
            found.append(Example(talk, sample.target, sample.task, task.answers(sample)))
    return found
