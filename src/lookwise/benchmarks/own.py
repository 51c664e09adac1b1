"""A user's own table as a task: one short YAML file beside the table, and no Python.

In: the YAML.  Out: `OwnTable` (what each column is), and from it a `Task` with generated prompts.  sources/table.py
reads the rows; nothing here opens the table.

    table: products.csv              CSV, JSONL or Parquet, relative to this file
    question: Which kind is it?      in a sentence
    text: [title, origin]            columns shown as text; or {column: name shown}
    images: {photo: product}         column: slot (or a list of columns); a cell holds one path or URL, or a list
    clips: {video: product}          the same for videos
    candidates: [photo]              columns whose pictures are views of one thing, any of which may be shown for it;
                                     left out, every further picture of a cell has a slot of its own
    labels: [yes, no]                the answers as words; or
    options: [Fruit, Dairy]          the answers as lettered options; or
    options: {column: choices}       options of each row's own: a list, or texts joined by "|"
    gold: kind                       column with the right answer; leave out to predict only
    split: part                      column with train, val, test; left out, rows are dealt by a hash of their id
    id: sku                          column; left out, the row's number
    metric: accuracy                 accuracy, macro_f1, or f1 with `positive`
    recipe: {captioner: ...}         settings of the run, as in any recipe
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lookwise.benchmarks.answers import letters, option_letter, option_readings, parsers, robust
from lookwise.benchmarks.reading import Reading
from lookwise.benchmarks.rendering import OFFERED
from lookwise.benchmarks.wording import ALL_USES, PROMPT_SETS
from lookwise.errors import RecipeError, nearest
from lookwise.metrics import classification as score
from lookwise.prompt import Prompt
from lookwise.task import Benchmark, Metric, PromptUse, Task

__all__ = [
    "METRICS",
    "TEMPLATES",
    "OwnTable",
    "Pictures",
    "gold_answer",
    "is_own",
    "own_benchmark",
    "own_task",
    "read_own",
    "row_options",
]

KEYS = (
    "table", "name", "title", "question", "text", "images", "clips", "candidates", "labels", "options", "gold", "split",
    "id", "metric", "positive", "recipe",
)  # fmt: skip
METRICS = ("accuracy", "macro_f1", "f1")
NAME = "own"
_RESERVED = ("options", "caption", "caption 1", "caption 2", "this title", "other title", "judgements")
_MOST_OPTIONS = 26
_MARK = re.compile(r"<<(\w+)>>")
_FOLDER = Path(__file__).parent / "prompts"
TEMPLATES: Mapping[str, str] = {"mmecinstruct": "own", "tiny": "own-tiny"}
"""A recipe's prompt set, and the templates in the same style."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A column that holds pictures or clips, and the slot that they fill.

    `candidates`: they are views of one thing, numbered within the slot; otherwise each has a slot of its own.
    """

    column: str
    slot: str
    kind: Literal["image", "video"] = "image"
    candidates: bool = False


@dataclass(frozen=True)
class OwnTable:
    """What a user's table is: which column is what.

    `text` holds (column, field) pairs.  Exactly one of `labels`, `options` (full texts, "A: Fruit") and
    `options_column` is given.  `recipe` are the run's settings, unread here.
    """

    name: str
    table: Path
    question: str
    text: tuple[tuple[str, str], ...]
    pictures: tuple[Pictures, ...] = ()
    labels: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    options_column: str | None = None
    gold: str | None = None
    split: str | None = None
    id: str | None = None
    metric: str = "accuracy"
    positive: str = ""
    title: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be in the table."""
        named = [column for column, _ in self.text] + [p.column for p in self.pictures]
        single = [c for c in (self.options_column, self.gold, self.split, self.id) if c is not None]
        return tuple(dict.fromkeys([*named, *single]))


# ------------------------------------------------------------------------------------------------------------- reading


def is_own(file: Path) -> bool:
    """Return whether a YAML file describes a user's table rather than being a recipe."""
    return isinstance(document := _load(file, strings=True), dict) and "table" in document


def read_own(file: Path) -> OwnTable:
    """Return a user's table as described; RecipeError names an unknown key, or what is missing or wrong."""
    values = _load(file, strings=True)
    if not isinstance(values, dict):
        raise RecipeError(f"{file.name}: expected keys and values, beginning with table: and question:")
    for key in values:
        if key not in KEYS:
            raise RecipeError(f"{file.name}: unknown key {key!r}; {nearest(str(key), KEYS)}")
    return _Reader(file.name, values).table(file)


def _load(file: Path, *, strings: bool) -> Any:
    """Return the YAML's content; with `strings` every value as written, so that a label "no" is not a false."""
    import yaml

    try:
        return yaml.load(file.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader if strings else yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: cannot be read ({error}); give a YAML file that exists") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{file.name}: not YAML ({' '.join(str(error).split())})") from error


@dataclass(frozen=True, slots=True)
class _Reader:
    """The file's values, read key by key."""

    origin: str
    values: Mapping[str, Any]

    def table(self, file: Path) -> OwnTable:
        labels, options, column = self._answers()
        metric, positive = self._metric(labels)
        return OwnTable(
            name=self._word("name") or file.stem,
            table=file.parent / self._needed("table"),
            question=self._needed("question"),
            text=self._text(),
            pictures=self._pictures(),
            labels=labels,
            options=options,
            options_column=column,
            gold=self._word("gold"),
            split=self._word("split"),
            id=self._word("id"),
            metric=metric,
            positive=positive,
            title=self._word("title") or self._needed("question"),
            recipe=self._recipe(file),
        )

    def _word(self, key: str) -> str | None:
        value = self.values.get(key, "")
        if not isinstance(value, str):
            raise RecipeError(f"{self.origin}: {key} must be one word or sentence, not a {type(value).__name__}")
        return value.strip() or None

    def _needed(self, key: str) -> str:
        value = self._word(key)
        if value is None:
            raise RecipeError(f"{self.origin}: {key} is missing; add a line `{key}: ...`")
        return value

    def _pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return (column, name) pairs from one column, a list of them, or a mapping."""
        value = self.values.get(key) or ()
        if isinstance(value, str):
            return ((value, value),)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple((item, item) for item in value)
        if isinstance(value, dict) and all(isinstance(item, str) and item for item in value.values()):
            return tuple(value.items())
        if value:
            raise RecipeError(f"{self.origin}: {key} must be a column, a list of columns, or column: name lines")
        return ()

    def _text(self) -> tuple[tuple[str, str], ...]:
        pairs = self._pairs("text")
        if not pairs:
            raise RecipeError(f"{self.origin}: text is missing; list the columns to show, e.g. `text: [title]`")
        for _, name in pairs:
            if name in _RESERVED or set(name) & set("{}\n"):
                raise RecipeError(
                    f"{self.origin}: text cannot be shown as {name!r}; rename it: `text: {{column: name}}`"
                )
        if len({name for _, name in pairs}) < len(pairs):
            raise RecipeError(f"{self.origin}: two text columns have one name; give each its own")
        return pairs

    def _pictures(self) -> tuple[Pictures, ...]:
        named = [Pictures(column, slot, "image") for column, slot in self._pairs("images")]
        named += [Pictures(column, slot, "video") for column, slot in self._pairs("clips")]
        columns = [column for column, _ in self._pairs("candidates")]
        for column in columns:
            if column not in (known := [one.column for one in named]):
                raise RecipeError(
                    f"{self.origin}: candidates: {column!r} is no column of images or clips; {nearest(column, known)}"
                )
        slots = {one.slot for one in named if one.column in columns}
        for one in named:
            if one.slot in slots and one.column not in columns:
                raise RecipeError(
                    f"{self.origin}: {one.column} fills the slot {one.slot!r} beside candidates; name it among the "
                    "candidates too, or give it a slot of its own: `images: {column: slot}`"
                )
        return tuple(replace(one, candidates=one.column in columns) for one in named)

    def _answers(self) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
        """Return labels, lettered options, and the options' column: one of the three."""
        labels, options = self.values.get("labels"), self.values.get("options")
        if bool(labels) == bool(options):
            raise RecipeError(
                f"{self.origin}: give either labels (answers as words) or options (lettered), one of them"
            )
        if labels:
            return self._list("labels", labels), (), None
        if isinstance(options, dict):
            if set(options) != {"column"} or not isinstance(options["column"], str):
                raise RecipeError(f"{self.origin}: options of each row's own are written `options: {{column: NAME}}`")
            return (), (), options["column"]
        return (), lettered(self._list("options", options), self.origin), None

    def _list(self, key: str, value: object) -> tuple[str, ...]:
        known = isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)
        if not isinstance(value, list) or not known or len(value) < 2:
            raise RecipeError(f"{self.origin}: {key} must be a list of at least two answers")
        texts = tuple(item.strip() for item in value)
        if len({text.casefold() for text in texts}) < len(texts):
            raise RecipeError(f"{self.origin}: {key} names an answer twice")
        return texts

    def _metric(self, labels: tuple[str, ...]) -> tuple[str, str]:
        metric, positive = self._word("metric") or "accuracy", self._word("positive") or ""
        if metric not in METRICS:
            raise RecipeError(f"{self.origin}: unknown metric {metric!r}; {nearest(metric, METRICS)}")
        if metric == "f1" and positive not in labels:
            raise RecipeError(f"{self.origin}: f1 needs `positive:`, one of the labels {', '.join(labels) or '(none)'}")
        if metric == "macro_f1" and isinstance(self.values.get("options"), dict):
            raise RecipeError(f"{self.origin}: macro_f1 needs the same answers in every row; use accuracy")
        return metric, positive

    def _recipe(self, file: Path) -> Mapping[str, Any]:
        if not self.values.get("recipe"):
            return {}
        settings = _load(file, strings=False)["recipe"]
        if not isinstance(settings, dict):
            raise RecipeError(f"{self.origin}: recipe must be key: value lines, as in a recipe file")
        return settings


# ---------------------------------------------------------------------------------------------------------- for a row


def lettered(texts: tuple[str, ...], origin: str = "options") -> tuple[str, ...]:
    """Return option texts with their letters, "A: Fruit"; those that have theirs already stay."""
    if len(texts) > _MOST_OPTIONS:
        raise RecipeError(f"{origin}: {len(texts)} options; at most {_MOST_OPTIONS} can be lettered, use labels")
    marked = [option_letter(text) for text in texts]
    if tuple(letter for letter, _ in marked) == letters(len(texts)):
        return tuple(f"{letter}: {text}" for letter, text in marked)
    return tuple(f"{letter}: {text}" for letter, text in zip(letters(len(texts)), texts, strict=True))


def row_options(cell: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a row's own options with their letters, from a cell: a list, a JSON list, or texts joined by "|".

    RecipeError when there are too many.
    """
    if isinstance(cell, tuple):
        return lettered(cell)
    try:
        value = json.loads(cell) if cell.lstrip().startswith("[") else cell.split("|")
    except json.JSONDecodeError:
        value = cell.split("|")
    return lettered(tuple(text for item in value if (text := str(item).strip())))


def gold_answer(table: OwnTable, cell: str, options: tuple[str, ...]) -> str | None:
    """Return a gold cell as a canonical answer: a label, or an option's letter; None when it is neither.

    `options` are the sample's: the table's own, or the row's.
    """
    reading = Reading(table.labels) if table.labels else option_readings(options)
    return robust(cell, reading)


# --------------------------------------------------------------------------------------------------------- declaration


def own_benchmark(table: OwnTable, prompt_set: str = "mmecinstruct", folder: Path | None = None) -> Benchmark:
    """Return a benchmark of the one task."""
    return Benchmark(NAME, table.title, table.table.name, (own_task(table, prompt_set, folder),))


def own_task(table: OwnTable, prompt_set: str = "mmecinstruct", folder: Path | None = None) -> Task:
    """Return a user's table as a task.

    Prompts are generated in the style of a prompt set; files <use>/<name>.txt in `folder` replace them one by one.
    """
    if prompt_set not in TEMPLATES:
        raise RecipeError(f"no prompt set {prompt_set!r}; {nearest(prompt_set, TEMPLATES)}")
    labels = table.labels or letters(len(table.options))
    return Task(
        name=f"{NAME}/{table.name}",
        title=table.title,
        source=table.table.name,
        fields=tuple(name for _, name in table.text),
        labels=labels,
        option_texts=table.options,
        prompts={use: _prompt(table, use, prompt_set, folder) for use in ALL_USES},
        parse=parsers(table.labels, table.options),
        metrics=_metrics(table, labels),
    )


def _metrics(table: OwnTable, labels: tuple[str, ...]) -> tuple[Metric, ...]:
    """Return the metric asked for, then the others that the answers allow; a failure is a wrong answer."""
    metrics = [score.accuracy("all", labels)]
    if labels:
        metrics.append(score.macro_f1("all", labels))
    if table.positive:
        metrics += [make("all", labels, table.positive) for make in (score.f1, score.precision, score.recall)]
    return tuple(sorted(metrics, key=lambda m: m.name != table.metric))


def _prompt(table: OwnTable, use: PromptUse, prompt_set: str, folder: Path | None) -> Prompt:
    name = f"{use}/{table.name}.txt"
    yours = folder / name if folder is not None else None
    if yours is not None and yours.is_file():
        prompt = Prompt(yours.read_text(encoding="utf-8"), f"{name} (yours)")
        prompt.check(OFFERED[use] | {field_name for _, field_name in table.text})
        return prompt
    text = (_FOLDER / TEMPLATES[prompt_set] / f"{use}.txt").read_text(encoding="utf-8")
    marks = _tiny_marks(table) if prompt_set == "tiny" else _marks(table)
    filled = ((line, _MARK.sub(lambda match: marks[match[1]], line)) for line in text.split("\n"))
    lines = [new for line, new in filled if new or not line]
    return Prompt(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)), f"own/{name} ({PROMPT_SETS[prompt_set]})")


def _marks(table: OwnTable) -> dict[str, str]:
    """Return what the templates' marks stand for; braces of the user's own are literal."""
    said = _literal(", ".join(table.labels))
    return {
        "question": _literal(table.question),
        "fields": "\n".join(f"{_literal(name)}: {{{name}}}" for _, name in table.text),
        "how": f"Reply with one of {said}, and nothing else." if said else "Reply with one of the options.",
        "options": "" if said else "### Options:\n{options}",
        "answers": f"Possible answers: {said}" if said else "Possible answers:\n{options}",
    }


def _tiny_marks(table: OwnTable) -> dict[str, str]:
    """Return the same for the bundled models."""
    said = _literal(" or ".join(table.labels))
    return _marks(table) | {
        "how": f"answer {said}" if said else "answer with the letter",
        "options": "" if said else "{options}",
        "answers": f"answers: {said}" if said else "{options}",
    }


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
