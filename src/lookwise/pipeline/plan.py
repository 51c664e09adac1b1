"""What a run would do, before it does it: `lookwise run RECIPE --dry-run`.

In: a recipe.  Out: lines that name the steps, models, samples and requests, what merging saves, memory and disk.  The
shop's samples are drawn in memory without their pictures; other data is read.  No sample is kept, so that memory does
not grow with their number (docs/design/utility.md).  Requests that depend on replies (how many judges a caption needs,
which picture a verifier picks) are given as a range.  No model loads, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lookwise.fetching import Shelf
from lookwise.pipeline.data import Data, open_data
from lookwise.pipeline.demand import Demand, Requests
from lookwise.pipeline.fetch_steps import way
from lookwise.pipeline.flow import check_names
from lookwise.pipeline.holdings import holdings
from lookwise.pipeline.tuning import assessor_settings, verifier_settings
from lookwise.recipe import GIVEN, Recipe
from lookwise.sample import Sample

__all__ = ["plan"]


def plan(recipe: Recipe, folder: Path, prompts: Path | None) -> list[str]:
    """Return the lines of a dry run; unknown models, policies and tasks are refused as in a real one."""
    check_names(recipe)
    data = open_data(recipe, folder, prompts)
    shelf = Path(recipe.shelf or folder / "fetched")
    demand, rejected = Demand(data, fetched=Shelf(shelf).known), 0
    for row in _rows(data):
        if isinstance(row, Sample):
            demand.add(row)
        else:
            rejected += 1
    lines = [f"recipe {recipe.name}: {recipe.title}", f"folder {folder}, data {data.kind} ({data.path})"]
    lines += [f"samples      {task.split('/')[-1]} {split}: {n}" for (task, split), n in demand.samples.items()]
    lines += [f"rejected     {rejected} rows; `lookwise data check {data.path}` says why"] if rejected else []
    lines += _pictures(demand, shelf)
    lines += [*_captions(demand), *_utilities(demand), *_adapters(demand), *_answers(demand), _merging(demand)]
    return [*lines, *holdings(demand)]


def _rows(data: Data) -> Iterator[object]:
    if data.kind != "bazaar":
        yield from data.read()
        return
    from lookwise.bazaar.layouts import LAYOUTS

    layout = LAYOUTS[data.recipe.benchmark]
    for split in layout.splits:
        count = data.recipe.samples[split]
        if count:
            tasks = [task.short for task in data.tasks.values()]
            made = (m.sample for m in layout.make(data.recipe.seed, split, count, tasks, data.most))
            yield from data.capped(made)


def _pictures(demand: Demand, shelf: Path) -> list[str]:
    """Say what becomes of web addresses; what is on the shelf already is not fetched again."""
    recipe, count = demand.recipe, demand.addresses.count
    if not count:
        return []
    about = "" if demand.addresses.exact else "about "
    how = {
        "fetch": f"{demand.held.count} fetched before, the others once into {shelf}",
        "pass": "handed to the models behind servers, none fetched",
        "never": "none fetched (fetching: never): all missing",
        "pack": f"taken from the pack {recipe.pack}, none fetched",
    }[way(recipe)]
    return [f"pictures     {about}{count} web addresses, {how}"]


def _captions(demand: Demand) -> list[str]:
    recipe, captions = demand.recipe, demand.captions
    if not captions.asked:
        return _given(demand)
    count = captions.most
    least, most = count * (len(recipe.judges) // 2 + 1), count * len(recipe.judges)
    judges = ", ".join(recipe.judges.values()) or "nobody"
    return [
        f"captions     {recipe.captioner}: {_merged(captions)}, {recipe.caption_tokens} tokens each",
        f"ballots      {judges}: {captions.about}{least} to {most} requests",
    ]


def _given(demand: Demand) -> list[str]:
    """Say that captions came with the data; how many there are is not counted."""
    if demand.recipe.captioner != GIVEN:
        return []
    return [
        f"captions     those that came with the data; ballots by {', '.join(demand.recipe.judges.values()) or 'nobody'}"
    ]


def _utilities(demand: Demand) -> list[str]:
    recipe, lines = demand.recipe, []
    if demand.assessing:
        settings = assessor_settings(recipe)
        steps = int(-(-demand.assessing // settings.batch) * settings.epochs)
        lines.append(
            f"assessor     {recipe.assessor or recipe.reader} tuned on {demand.assessing} questions: "
            f"about {steps} steps of {settings.batch} rows"
        )
    if demand.measured.asked:
        lines.append(f"measured     {recipe.assessor or recipe.reader}: {_merged(demand.measured)}")
    if recipe.teaches_verifier:
        settings = verifier_settings(recipe)
        steps = int(-(-demand.lessons // settings.batch) * settings.epochs)
        lines.append(
            f"verifier     {recipe.verifier or recipe.reader} taught with at most {demand.lessons} pictures: "
            f"at most {steps} steps of {settings.batch} rows"
        )
    if demand.predicted.asked:
        lines.append(f"predicted    {recipe.verifier or recipe.reader}: {_merged(demand.predicted)}")
    return lines


def _adapters(demand: Demand) -> list[str]:
    recipe = demand.recipe
    steps = int(-(-demand.learning // recipe.batch) * recipe.epochs)
    return [
        f"adapter      {recipe.reader} tuned on {p.name}: about {steps} steps of {recipe.batch} rows"
        for p in demand.tuning
    ]


def _answers(demand: Demand) -> list[str]:
    answers, recipe = demand.answers, demand.recipe
    tested = sum(n for (_, split), n in demand.samples.items() if split in recipe.test_splits)
    least, most = answers.least * _readers(demand), answers.most * _readers(demand)
    who = f"{_readers(demand)} readers on {recipe.reader}" if demand.tuning else recipe.reader
    line = f"predictions  {who} x {len(demand.policies)} policies x {tested} samples: "
    span = f"{most}" if least == most else f"{least} to {most}"
    return [f"{line}{answers.about}{span} requests after merging"]


def _readers(demand: Demand) -> int:
    return len(demand.tuning) + (demand.recipe.readers != "tuned")


def _merged(requests: Requests) -> str:
    return f"{requests.about}{requests.most} requests after merging"


def _merging(demand: Demand) -> str:
    """Say what merging saves: within a step, and answers that an earlier step had from the same model."""
    weights = [(demand.captions, 1), (demand.measured, 1), (demand.predicted, 1), (demand.answers, _readers(demand))]
    asked = sum(n * requests.asked for requests, n in weights)
    saved = sum(n * (requests.asked - requests.most) for requests, n in weights) + demand.shared
    share = f" ({saved / asked:.1%})" if asked else ""
    about = "" if all(requests.different.exact for requests, _ in weights) else "about "
    return f"merging      saves at least {about}{saved} of {asked} requests{share}, ballots aside"
