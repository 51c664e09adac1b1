"""Lessons that a user gives in SUMEI's published shape, in place of those that a run makes from its own samples.

In: a folder with train.json and perhaps val.json (data/verification or data/downstream as the published programs, or
an earlier run, left them).  Out: examples, and how many rows cannot be lessons, by reason.  Pictures are paths inside
the dataset's folder, or web addresses that the run has fetched.  A row without an answer, of the verifier's one whose
answer is none of the four judgements, teaches nobody; neither does one with a picture that cannot be opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lookwise.benchmarks.utility import JUDGEMENTS, label_of, line_of
from lookwise.errors import DataError, RecipeError
from lookwise.message import Conversation, MediaPart
from lookwise.pipeline.context import Context
from lookwise.pipeline.lessons import faults
from lookwise.recipe import Recipe
from lookwise.sources.rejected import Rejected
from lookwise.sources.sumei import Exchange, read_exchanges
from lookwise.training.examples import Example

__all__ = ["Given", "check_given", "given_answers", "given_judgements"]


@dataclass(frozen=True, slots=True)
class Given:
    """Examples of one file, and the rows that are none, by reason."""

    examples: tuple[Example, ...]
    left_out: Mapping[str, int]


def check_given(recipe: Recipe) -> None:
    """Refuse, before anything loads, folders that are not there, and lessons that nobody could be taught."""
    for key, name in (("verification_files", recipe.verification_files), ("downstream_files", recipe.downstream_files)):
        if name and not (Path(name).expanduser() / "train.json").is_file():
            raise RecipeError(f"{key}: no train.json in {name}; give a folder with train.json and perhaps val.json")
    if recipe.verification_files and not recipe.teaches_verifier:
        raise RecipeError("verification_files teach a verifier, and none is tuned here; set verifying: tuned")
    if recipe.downstream_files and recipe.training != "generalist":
        raise RecipeError("downstream_files are of all tasks together; set training: generalist")
    if recipe.downstream_files and not any(name.startswith("visuals:predicted") for name in recipe.tune_on):
        raise RecipeError("downstream_files teach the reader tuned on visuals:predicted; add that to tune_on")


def given_judgements(context: Context, split: str) -> Given:
    """Return the verifier's lessons of a split; none where the folder has no such file."""

    def lesson(exchange: Exchange) -> Example | str:
        label = label_of(exchange.answer or "")
        if label is None:
            return "its answer is none of the four judgements"
        return Example(exchange.conversation, line_of(label), "utility/given", JUDGEMENTS)

    return _given(context, context.recipe.verification_files, split, lesson)


def given_answers(context: Context, split: str) -> Given:
    """Return the reader's lessons of a split; what else might have been answered, the published shape does not say."""

    def lesson(exchange: Exchange) -> Example | str:
        return Example(exchange.conversation, exchange.answer, "given") if exchange.answer else "it has no answer"

    return _given(context, context.recipe.downstream_files, split, lesson)


def _given(context: Context, name: str, split: str, lesson: Callable[[Exchange], Example | str]) -> Given:
    file = Path(name).expanduser() / f"{split}.json"
    if not file.is_file():
        return Given((), {})
    files = {address: path for path, address in context.published_places().items()}
    found: list[Example] = []
    reasons: Counter[str] = Counter()
    for row in read_exchanges(file, context.data.root):
        made = row.reason if isinstance(row, Rejected) else lesson(row)
        if isinstance(made, str):
            reasons[made] += 1
        else:
            found.append(replace(made, conversation=_here(made.conversation, files)))
    broken = faults(medium for one in found for turn in one.conversation for medium in turn.media)
    kept = []
    for one in found:
        why = next((broken[m.source] for turn in one.conversation for m in turn.media if m.source in broken), None)
        if why is None:
            kept.append(one)
        else:
            reasons[why] += 1
    if split == "train" and not kept:
        most = f" ({reasons.total()} rows, mostly: {reasons.most_common(1)[0][0]})" if reasons else ""
        raise DataError(f"{file} teaches nobody{most}; mend it, or leave the recipe's key out")
    return Given(tuple(kept), dict(sorted(reasons.items())))


def _here(talk: Conversation, files: Mapping[str, str]) -> Conversation:
    """Return a conversation with the files of pictures that were fetched in place of their addresses."""
    return tuple(
        replace(
            turn,
            parts=tuple(
                replace(part, media=replace(part.media, source=files.get(part.media.source, part.media.source)))
                if isinstance(part, MediaPart)
                else part
                for part in turn.parts
            ),
        )
        for turn in talk
    )
