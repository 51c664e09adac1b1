"""MMECInstruct (CASLIE, arXiv 2410.17337 v1): seven shopping tasks.

Each task: its fields as the published data names them, the answers, where captions go, prompts in our own words, how a
reply is read, and the paper's metrics, the primary one first.  Failures are left out of every metric, as the paper and
its program do (appendix D); their number stands beside each score.  `EXAMPLES` holds one row of every task.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lookwise.benchmarks.answers import letters, parsers
from lookwise.benchmarks.wording import prompts
from lookwise.message import Media
from lookwise.metrics import classification as metric
from lookwise.sample import Sample, Visual
from lookwise.task import Benchmark, Metric, Task

__all__ = ["ACRONYMS", "EXAMPLES", "FITS", "MMECINSTRUCT", "RELATIONS", "SENTIMENTS"]

NAME: Final = "mmecinstruct"
_SOURCE = "arXiv:2410.17337v1"
_OVER: Final = "parsed"
_IN_DOMAIN = ("train", "val", "test")
_BOTH = (*_IN_DOMAIN, "ood")
_YES_NO = ("yes", "no")

RELATIONS = (
    "A: Users who buy product 1 may also buy product 2.",
    "B: Users who view product 1 may also view product 2.",
    "C: The product 1 is similar with the product 2.",
)
FITS = (
    "A: The product is relevant to the query, and satisfies all the query specifications.",
    "B: The product is somewhat relevant. It fails to fulfill some aspects of the query but the product can be used as "
    "a functional substitute.",
    "C: The product does not fulfill the query, but could be used in combination with a product exactly matching the "
    "query.",
    "D: The product is irrelevant to the query.",
)
SENTIMENTS = ("A: very positive", "B: positive", "C: neutral", "D: negative", "E: very negative")


def _binary() -> tuple[Metric, ...]:
    return (
        metric.f1(_OVER, _YES_NO, "yes"),
        metric.accuracy(_OVER, _YES_NO),
        metric.precision(_OVER, _YES_NO, "yes"),
        metric.recall(_OVER, _YES_NO, "yes"),
    )


def _macro(labels: tuple[str, ...], primary: str) -> tuple[Metric, ...]:
    four = (
        metric.accuracy(_OVER, labels),
        metric.macro_precision(_OVER, labels),
        metric.macro_recall(_OVER, labels),
        metric.macro_f1(_OVER, labels),
    )
    return tuple(sorted(four, key=lambda m: m.name != primary))


ANSWERABILITY = Task(
    name=f"{NAME}/answerability_prediction",
    title="Can the question be answered from the document?",
    source=f"{_SOURCE}, appendices B.1 and C.1",
    fields=("question", "document"),
    labels=_YES_NO,
    option_texts=(),
    prompts=prompts(NAME, "answerability_prediction"),
    parse=parsers(labels=_YES_NO),
    metrics=_binary(),
    splits=_BOTH,
)

CATEGORY = Task(
    name=f"{NAME}/category_classification",
    title="Which category is the product in?",
    source=f"{_SOURCE}, appendices B.2 and C.2",
    fields=("title",),
    labels=(),
    option_texts=(),
    prompts=prompts(NAME, "category_classification"),
    parse=parsers(),
    metrics=(metric.recall_at_1(_OVER),),
    splits=_BOTH,
)

RELATION = Task(
    name=f"{NAME}/product_relation_prediction",
    title="How are the two products related?",
    source=f"{_SOURCE}, appendices B.3 and C.3",
    fields=("product 1", "product 2"),
    labels=letters(3),
    option_texts=RELATIONS,
    prompts=prompts(NAME, "product_relation_prediction"),
    parse=parsers(options=RELATIONS),
    metrics=_macro(letters(3), "macro_f1"),
    fusion="per-product",
    splits=_BOTH,
)

SUBSTITUTE = Task(
    name=f"{NAME}/product_substitute_identification",
    title="Can the product stand in for what was searched?",
    source=f"{_SOURCE}, appendices B.4 and C.4",
    fields=("query", "product title"),
    labels=_YES_NO,
    option_texts=(),
    prompts=prompts(NAME, "product_substitute_identification"),
    parse=parsers(labels=_YES_NO),
    metrics=_binary(),
    splits=_IN_DOMAIN,
)

RELEVANCE = Task(
    name=f"{NAME}/multiclass_product_classification",
    title="How well does the product fit the search?",
    source=f"{_SOURCE}, appendices B.5 and C.5",
    fields=("query", "product title"),
    labels=letters(4),
    option_texts=FITS,
    prompts=prompts(NAME, "multiclass_product_classification"),
    parse=parsers(options=FITS),
    metrics=_macro(letters(4), "accuracy"),
    splits=_IN_DOMAIN,
)

SENTIMENT = Task(
    name=f"{NAME}/sentiment_analysis",
    title="How does the reviewer feel?",
    source=f"{_SOURCE}, appendices B.6 and C.6",
    fields=("review",),
    labels=letters(5),
    option_texts=SENTIMENTS,
    prompts=prompts(NAME, "sentiment_analysis"),
    parse=parsers(options=SENTIMENTS),
    metrics=_macro(letters(5), "macro_f1"),
    splits=_BOTH,
)

RECOMMENDATION = Task(
    name=f"{NAME}/sequential_recommendation",
    title="What will the customer buy next?",
    source=f"{_SOURCE}, appendices B.7 and C.7",
    fields=("history",),
    labels=(),
    option_texts=(),
    prompts=prompts(NAME, "sequential_recommendation"),
    parse=parsers(),
    metrics=(metric.recall_at_1(_OVER),),
    fusion="inline",
    splits=_BOTH,
)

MMECINSTRUCT = Benchmark(
    name=NAME,
    title="MMECInstruct: seven shopping tasks, in and out of domain",
    source=_SOURCE,
    tasks=(ANSWERABILITY, CATEGORY, RELATION, SUBSTITUTE, RELEVANCE, SENTIMENT, RECOMMENDATION),
)

ACRONYMS: Mapping[str, str] = MappingProxyType(
    {"".join(word[0] for word in task.short.split("_")): task.short for task in MMECINSTRUCT.tasks}
    | {"ori_psi": SUBSTITUTE.short}
)
"""The published programs' short names: ap, cc, prp, psi, mpc, sa, sr (and ori_psi, which evaluate.py wants)."""


def _example(
    task: Task,
    fields: tuple[tuple[str, str | tuple[str, ...]], ...],
    target: str,
    slots: tuple[str, ...] = ("product",),
    options: tuple[str, ...] = (),
) -> Sample:
    pictures = tuple(Visual(slot, Media(f"images/{slot}.jpg")) for slot in slots)
    sample_id = f"{task.short}-example"
    return Sample(sample_id, NAME, task.name, "test", fields, pictures, options or task.option_texts, target)


EXAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        sample.task: sample
        for sample in (
            _example(
                ANSWERABILITY,
                (
                    ("question", "Does the lid lock?"),
                    ("document", ("Keeps soup hot.", "The lid clicks shut and stays shut.")),
                ),
                "yes",
            ),
            _example(
                CATEGORY, (("title", "Larkin 12 oz stoneware, set of 2"),), "B", options=("A: Kettles", "B: Mugs")
            ),
            _example(
                RELATION,
                (("product 1", "Cordless drill, 18 V"), ("product 2", "Drill bit set, 20 pieces")),
                "A",
                slots=("product 1", "product 2"),
            ),
            _example(
                SUBSTITUTE, (("query", "steel water bottle 1 l"), ("product title", "Plastic bottle, 1 l")), "yes"
            ),
            _example(RELEVANCE, (("query", "steel water bottle 1 l"), ("product title", "Steel bottle, 1 l")), "A"),
            _example(SENTIMENT, (("review", "It came with a crack and the shop never wrote back."),), "E"),
            _example(
                RECOMMENDATION,
                (("history", ("1st: Easel, beech", "2nd: Oil colours, 12 tubes")),),
                "B",
                slots=("history[0]", "history[1]", "options[0]", "options[1]"),
                options=("A: Garden hose, 20 m", "B: Brushes, hog bristle"),
            ),
        )
    }
)
"""One example of every task, by the task's full name."""
