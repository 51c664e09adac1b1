"""Two tasks on real photos of groceries, for the Grocery Store Dataset as the shared folder lays it out.

What kind a product is, from a title that often leaves the kind out; and whether the shop's entry for a product answers
a question, where often only the photo tells which product is meant.  Both are this project's own; sources/grocery.py
says how their samples are made from photos.csv and products.csv.  `EXAMPLES` holds one row of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lookwise.benchmarks.answers import parsers
from lookwise.benchmarks.wording import prompts
from lookwise.message import Media
from lookwise.metrics import classification as metric
from lookwise.sample import Sample, Visual
from lookwise.task import Benchmark, Task

__all__ = ["EXAMPLES", "FIELD_ANSWERABILITY", "GROCERY", "PRODUCT_KIND"]

NAME: Final = "grocery"
_SOURCE = "this project, on the Grocery Store Dataset (Klasson et al., MIT)"
_OVER: Final = "all"
_YES_NO = ("yes", "no")

PRODUCT_KIND = Task(
    name=f"{NAME}/product_kind",
    title="Which of ten kinds is the product?",
    source=_SOURCE,
    fields=("title",),
    labels=(),
    option_texts=(),
    prompts=prompts(NAME, "product_kind"),
    parse=parsers(),
    metrics=(metric.accuracy(_OVER),),
)

FIELD_ANSWERABILITY = Task(
    name=f"{NAME}/field_answerability",
    title="Does the shop's entry for the product answer the question?",
    source=_SOURCE,
    fields=("question",),
    labels=_YES_NO,
    option_texts=(),
    prompts=prompts(NAME, "field_answerability"),
    parse=parsers(labels=_YES_NO),
    metrics=(metric.accuracy(_OVER, _YES_NO), metric.f1(_OVER, _YES_NO, "yes")),
)

GROCERY = Benchmark(
    name=NAME,
    title="Groceries photographed in shops: kind of product, and questions to the shop's entry",
    source=_SOURCE,
    tasks=(PRODUCT_KIND, FIELD_ANSWERABILITY),
)


def _example(task: Task, field: str, text: str, target: str, options: tuple[str, ...] = ()) -> Sample:
    photo = (Visual("product", Media("images/photo.jpg")),)
    return Sample(f"{task.short}-example", NAME, task.name, "test", ((field, text),), photo, options, target)


EXAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        sample.task: sample
        for sample in (
            _example(PRODUCT_KIND, "title", "Class 1, Peru, ca 90g", "Plum", ("Leek", "Plum", "Sour Milk")),
            _example(FIELD_ANSWERABILITY, "question", "Which country does this product come from?", "yes"),
        )
    }
)
"""One example of every task, by the task's full name."""
