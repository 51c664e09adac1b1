"""EcomMMMU (arXiv 2508.15721): eight shopping tasks with eight pictures a product, in four capabilities.

Two spellings are in use: `TASKS` is keyed by the ids of the data, misspelt ones included (`canonical` finds them), and
holds what scoring published predictions needs; the declarations in `ECOMMMMU` bear the usual names (`our_name`).
Fields bear MMECInstruct's names where both benchmarks have the same ones, so that both are asked in the same words.

Ours is the first metric of each task: a failure is a wrong answer everywhere.  The published program counts failures as
wrong in accuracy and leaves them out of precision, recall and F1; its F1 stands beside ours under a name of its own.
Which task belongs to which capability is inferred from their names: the sources name only the four capabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from lookwise.benchmarks.answers import letters, option_readings, published_ecommmmu, robust
from lookwise.benchmarks.mmecinstruct import FITS, RELATIONS, SENTIMENTS
from lookwise.benchmarks.reading import Reading
from lookwise.benchmarks.wording import prompts
from lookwise.message import Media
from lookwise.metrics import classification as metric
from lookwise.sample import FieldValue, Sample, Visual
from lookwise.task import Benchmark, Fusion, Metric, Parse, Rule, Task

__all__ = [
    "CANDIDATES",
    "CAPABILITIES",
    "ECOMMMMU",
    "EXAMPLES",
    "INPUT_KEYS",
    "PURCHASES",
    "TASKS",
    "VISION_SALIENT",
    "EcomTask",
    "canonical",
    "is_vision_salient",
    "our_name",
    "published_name",
]

NAME: Final = "ecommmmu"
CANDIDATES = 8
"""Pictures of a product, in the published data."""
VISION_SALIENT = "vision-salient"
"""The subset that the data marks `is_vc`: text alone does not suffice."""
_SOURCE = "arXiv:2508.15721"
_OVER: Final = "all"


@dataclass(frozen=True, slots=True)
class EcomTask:
    """One published task: its answers, and which of the published metric functions scores it."""

    answers: tuple[str, ...]
    kind: Literal["binary", "multiclass", "recall"]


_YES_NO = EcomTask(("yes", "no"), "binary")

TASKS: Mapping[str, EcomTask] = MappingProxyType(
    {
        "answerability_prediction": _YES_NO,
        "binary-question_answering": EcomTask(("yes", "no", "cannot answer"), "multiclass"),
        "click-through_predction": _YES_NO,
        "sequential_recommendation": EcomTask(letters(20), "recall"),
        "multiclass_product_classification": EcomTask(letters(4), "multiclass"),
        "production_substitute_identification": _YES_NO,
        "product_relation_prediction": EcomTask(letters(3), "multiclass"),
        "sentiment_analysis": EcomTask(letters(5), "multiclass"),
        "verfication": EcomTask(letters(4), "multiclass"),
    }
)
"""Every published task, and SUMEI's own question to its verifier (A helpful ... D misleading)."""

_SPELLINGS = {
    "click_through_prediction": "click-through_predction",
    "click_through_predction": "click-through_predction",
    "product_substitute_identification": "production_substitute_identification",
    "binary_question_answering": "binary-question_answering",
    "verification": "verfication",
}


def canonical(name: str) -> str:
    """Return the data's id for a task name in either spelling; an unknown name comes back as it is."""
    short = name.rsplit("/", 1)[-1]
    return short if short in TASKS else _SPELLINGS.get(short.replace("-", "_"), short)


def is_vision_salient(mark: object) -> bool | None:
    """Return what a row's is_vc says, a row without it being not marked; None where it is neither true nor false."""
    if mark is None or isinstance(mark, bool):
        return bool(mark)
    return {"true": True, "1": True, "false": False, "0": False, "": False}.get(str(mark).strip().lower())


_OURS: Mapping[str, str] = MappingProxyType(
    {
        "click-through_predction": "click_through_prediction",
        "production_substitute_identification": "product_substitute_identification",
        "binary-question_answering": "binary_question_answering",
        "verfication": "verification",
    }
)


def our_name(name: str) -> str:
    """Return the usual spelling of a task's name, whichever is given; an unknown name comes back as it is."""
    published = canonical(name)
    return _OURS.get(published, published)


def published_name(name: str) -> str:
    """Return the id that the data and the published programs use, for a declared task."""
    return canonical(name)


PURCHASES = "purchase history"
"""The published key of a history: a list of objects that hold a text."""
_DOCUMENT = {"question": "question", "document": "document"}
_QUERY = {"query": "query", "product title": "product title"}
INPUT_KEYS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "answerability_prediction": _DOCUMENT,
        "binary_question_answering": _DOCUMENT,
        "click_through_prediction": {PURCHASES: "history", "candidate": "candidate"},
        "sequential_recommendation": {PURCHASES: "history"},
        "multiclass_product_classification": _QUERY,
        "product_substitute_identification": _QUERY,
        "product_relation_prediction": {"product1 title": "product 1", "product2 title": "product 2"},
        "sentiment_analysis": {"user review": "review"},
    }
)
"""By task (usual name): the published keys of its input, and our fields."""


# --------------------------------------------------------------------------------------------------------- declarations


def _metrics(task: EcomTask) -> tuple[Metric, ...]:
    """Ours first; then the parts that the published program takes over readable answers only."""
    labels = task.answers
    if task.kind == "recall":
        return (metric.recall_at_1(_OVER),)
    if task.kind == "binary":
        ours = [metric.f1(_OVER, labels, "yes"), metric.accuracy(_OVER, labels)]
        ours += [metric.precision(_OVER, labels, "yes"), metric.recall(_OVER, labels, "yes")]
        return (*ours, replace(metric.f1("parsed", labels, "yes"), name="published_f1"))
    ours = [metric.macro_f1(_OVER, labels), metric.accuracy(_OVER, labels)]
    ours += [metric.macro_precision(_OVER, labels), metric.macro_recall(_OVER, labels)]
    return (*ours, replace(metric.macro_f1("parsed", labels), name="published_macro_f1"))


def _parsers(task: EcomTask, options: tuple[str, ...]) -> Mapping[Rule, Parse]:
    """Return both readings.  The published yes/no metric lower-cases the answer; the multi-class one does not."""
    fixed = option_readings(options) if options else Reading(task.answers)

    def ours(reply: str, sample: Sample) -> str | None:
        return robust(reply, option_readings(sample.options) if task.kind == "recall" else fixed)

    def published(reply: str, sample: Sample) -> str | None:
        answer = published_ecommmmu(reply, task.answers)
        return answer.lower() if answer is not None and task.kind == "binary" else answer

    return MappingProxyType({"robust": ours, "published": published})


def _task(
    short: str, title: str, fields: tuple[str, ...], options: tuple[str, ...] = (), fusion: Fusion = "field"
) -> Task:
    published = TASKS[canonical(short)]
    return Task(
        name=f"{NAME}/{short}",
        title=title,
        source=f"{_SOURCE}, task id {canonical(short)!r}",
        fields=fields,
        labels=() if published.kind == "recall" else published.answers,
        option_texts=options,
        prompts=prompts(NAME, short),
        parse=_parsers(published, options),
        metrics=_metrics(published),
        fusion=fusion,
    )


CAPABILITIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shopping question perception": ("answerability_prediction", "binary_question_answering"),
        "user behavior alignment": ("click_through_prediction", "sequential_recommendation"),
        "query-product perception": ("multiclass_product_classification", "product_substitute_identification"),
        "shopping concept understanding": ("product_relation_prediction", "sentiment_analysis"),
    }
)
"""The four capabilities, and the short names of their tasks."""

ECOMMMMU = Benchmark(
    name=NAME,
    title="EcomMMMU: eight shopping tasks, eight pictures a product, the vision-salient ones marked",
    source=_SOURCE,
    tasks=(
        _task("answerability_prediction", "Can the question be answered from the document?", ("question", "document")),
        _task("binary_question_answering", "Is it so, or can it not be told?", ("question", "document")),
        _task("click_through_prediction", "Will the customer click on it?", ("history", "candidate"), fusion="inline"),
        _task("sequential_recommendation", "What will the customer buy next?", ("history",), fusion="inline"),
        _task(
            "multiclass_product_classification",
            "How well does the product fit the search?",
            ("query", "product title"),
            FITS,
        ),
        _task(
            "product_substitute_identification",
            "Can the product stand in for what was searched?",
            ("query", "product title"),
        ),
        _task(
            "product_relation_prediction",
            "How are the two products related?",
            ("product 1", "product 2"),
            RELATIONS,
            "per-product",
        ),
        _task("sentiment_analysis", "How does the reviewer feel?", ("review",), SENTIMENTS),
    ),
    capabilities=CAPABILITIES,
    subsets=(VISION_SALIENT,),
)


# ------------------------------------------------------------------------------------------------------------- examples


def _example(
    short: str,
    fields: Sequence[tuple[str, FieldValue]],
    target: str,
    slots: tuple[str, ...] = ("product",),
    options: tuple[str, ...] = (),
) -> Sample:
    task = ECOMMMMU.task(short)
    pictures = tuple(Visual(slot, Media(f"images/{slot}-{i}.jpg"), i) for slot in slots for i in range(CANDIDATES))
    chosen = options or task.option_texts
    return Sample(f"{short}-example", NAME, task.name, "test", tuple(fields), pictures, chosen, target)


_QUESTION = (("question", "Does the lid lock?"), ("document", ("Keeps soup hot.", "The lid clicks shut.")))
_SEARCH = (("query", "steel water bottle 1 l"), ("product title", "Plastic bottle, 1 l"))
_BOUGHT = ("1st: Easel, beech", "2nd: Oil colours, 12 tubes")

EXAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        sample.task: sample
        for sample in (
            _example("answerability_prediction", _QUESTION, "yes"),
            _example("binary_question_answering", _QUESTION, "yes"),
            _example(
                "click_through_prediction",
                (("history", _BOUGHT), ("candidate", "Brushes, hog bristle")),
                "yes",
                ("history[0]", "history[1]", "candidate"),
            ),
            _example(
                "sequential_recommendation",
                (("history", _BOUGHT),),
                "B",
                ("history[0]", "history[1]"),
                ("A: Garden hose, 20 m", "B: Brushes, hog bristle"),
            ),
            _example("multiclass_product_classification", _SEARCH, "B"),
            _example("product_substitute_identification", _SEARCH, "yes"),
            _example(
                "product_relation_prediction",
                (("product 1", "Cordless drill, 18 V"), ("product 2", "Drill bit set, 20 pieces")),
                "A",
                ("product 1", "product 2"),
            ),
            _example(
                "sentiment_analysis",
                (("review", "It came with a crack and the shop never wrote back."),),
                "E",
                ("review",),
            ),
        )
    }
)
"""One example of every task, by the task's full name."""
