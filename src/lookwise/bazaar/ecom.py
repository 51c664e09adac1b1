"""The shop as EcomMMMU: its eight tasks with a gallery of eight photos for every pictured product, and its rows.

In: a seed, a split, how many samples of each task.  Out: `Made`, and a sample as a row of the published layout.  The
six tasks that MMECInstruct has too are the same draws and the same words.  `vision-salient` marks what the published
`is_vc` means: here, a sample that no reader of the text could be expected to get right (the exact posterior's first
answer is another).  The options of a recommendation have no photos, and stand in the instruction, as published.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lookwise.bazaar.cases import ECOM_TASKS, Split
from lookwise.bazaar.ceiling import decide
from lookwise.bazaar.gallery import gallery_ceiling, pictured
from lookwise.bazaar.samples import INSTRUCTIONS, Made, Turn, draw_split, split_world, worded
from lookwise.benchmarks.ecommmmu import CANDIDATES, ECOMMMMU, INPUT_KEYS, PURCHASES, VISION_SALIENT, published_name
from lookwise.message import Media
from lookwise.sample import FieldValue, Sample, Visual

__all__ = ["ECOM_INSTRUCTIONS", "ECOM_SPLITS", "ecom_row", "make_ecom_split", "shot_path"]

ECOM_SPLITS: tuple[Split, ...] = ("train", "val", "test")

ECOM_INSTRUCTIONS: Mapping[str, str] = MappingProxyType(
    {
        **{name: text for name, text in INSTRUCTIONS.items() if name in ECOM_TASKS},
        "binary_question_answering": "Answer the question about the product. Say yes, no, or cannot answer.",
        "click_through_prediction": "Will the user click on the product that is offered? Say yes or no.",
    }
)
"""One sentence per task, as the published layout carries it with every row."""


def shot_path(listing_id: str, candidate: int) -> str:
    """Return where one of a listing's photos lies, relative to the dataset's folder."""
    return f"images/{listing_id}-{candidate}.png"


def make_ecom_split(
    seed: int,
    split: Split,
    samples: int,
    tasks: Collection[str] = ECOM_TASKS,
    most: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Made]:
    """Yield `samples` of every task (of those named), task by task; `most` caps single tasks."""
    ceiling = gallery_ceiling(split_world(split))
    named = tuple(task for task in ECOM_TASKS if task in tasks)
    for turn in draw_split(seed, split, samples, named, most):
        salient = decide(ceiling.posterior(turn.drawn.case)) != turn.drawn.target
        yield Made(_sample(turn, split, VISION_SALIENT if salient else None), turn.family, turn.drawn)


def _sample(turn: Turn, split: Split, subset: str | None) -> Sample:
    drawn, case = turn.drawn, turn.drawn.case
    fields, options = worded(turn)
    return Sample(
        id=f"{case.task}/{split}/{turn.number:06d}",
        benchmark=ECOMMMMU.name,
        task=f"{ECOMMMMU.name}/{case.task}",
        split=split,
        fields=fields,
        visuals=tuple(
            Visual(case.items[i].slot, Media(shot_path(drawn.listings[i].listing_id, candidate)), candidate)
            for i in pictured(case)
            for candidate in range(CANDIDATES)
        ),
        options=options,
        target=drawn.target,
        subset=subset,
    )


def ecom_row(sample: Sample) -> dict[str, Any]:
    """Return a sample as a row of the published layout, misspelt task ids and all."""
    short = sample.task.rsplit("/", 1)[-1]
    held = dict(sample.fields)
    given = {key: _published(key, held[name]) for key, name in INPUT_KEYS[short].items()}
    instruction = ECOM_INSTRUCTIONS[short]
    if not ECOMMMMU.task(short).labels:
        instruction = "\n".join((instruction, *sample.options))
    slots = dict.fromkeys(visual.slot for visual in sample.visuals)
    return {
        "task": published_name(short),
        "split": sample.split,
        "instruction": instruction,
        "input": json.dumps(given, ensure_ascii=False),
        "output": sample.target,
        "images": [[v.media.source for v in sample.visuals if v.slot == slot] for slot in slots],
        "is_vc": sample.subset == VISION_SALIENT,
    }


def _published(key: str, value: FieldValue) -> object:
    if key == PURCHASES:
        return [{"text": item} for item in value]
    return {"text": value} if key == "candidate" else value
