"""What every step of a run is given: the recipe, the folder, the samples' tasks, the reply store and the ledger.

Arguments, not ambient state: a `Context` is built once by `flow.run` and handed down.  It offers the places of a run
folder (INTERFACES, "A run folder") and opens models for the loop; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from lookwise.fetching import Fetched, Shelf
from lookwise.inference import Display, ModelSource, Pictures, Stage, Team, run_stage
from lookwise.models.http.budget import Budget
from lookwise.models.open import ModelOptions, fingerprint, open_model
from lookwise.pipeline.data import Data
from lookwise.recipe import Recipe
from lookwise.rows import Row
from lookwise.runs.ledger import Ledger
from lookwise.runs.replies import ReplyStore
from lookwise.runs.store import is_complete, read_rows, write_rows
from lookwise.sample import Sample
from lookwise.stages.evidence import Policy, parse_policy
from lookwise.stages.fetch import Absent, with_files
from lookwise.task import Task

__all__ = ["SCRATCH", "TUNING_SPLITS", "Context", "by_sample", "scratch_models", "slug"]

R = TypeVar("R", bound=Row)
S = TypeVar("S")

TUNING_SPLITS = ("train", "val")
SCRATCH = "scratch"
"""The scheme of models that a run trains itself."""


_FILES = {
    "scores": "scores.json",
    "gates": "gates.json",
    "exports": "sumei/manifest.json",
    "policies": "policies.json",
}
"""Stages that end in a file of their own instead of rows."""


def slug(name: str) -> str:
    """Return a policy's or task's name as a folder name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def by_sample(rows: Sequence[R]) -> dict[str, list[R]]:
    """Return rows grouped by sample id, in their order."""
    groups: dict[str, list[R]] = {}
    for row in rows:
        groups.setdefault(row.sample_id, []).append(row)
    return groups


def scratch_models(recipe: Recipe) -> dict[str, list[str]]:
    """Return the models that a run trains itself, by the step that trains them; fold captioners among them."""
    seeing = [recipe.captioner]
    reading = [*recipe.judges.values(), recipe.reader]
    names = {
        step: [spec.partition(":")[2] for spec in specs if spec.startswith(f"{SCRATCH}:")]
        for step, specs in (("captioners", seeing), ("text_models", reading))
    }
    folds = [f"{name}-fold-{i + 1}" for name in names["captioners"] for i in range(recipe.caption_folds)]
    return {**names, "captioners": names["captioners"] + folds}


@dataclass(frozen=True)
class Context:
    """One run under way."""

    recipe: Recipe
    folder: Path
    data: Data
    replies: ReplyStore
    ledger: Ledger
    display: Display | None
    budget: Budget | None = None
    team: Team | None = None
    home: Path | None = None
    """The folder of the run that trained the models, where the rows lie in another one (predictions of new rows)."""

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The run's tasks by full name."""
        return self.data.tasks

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies that test samples are answered under."""
        return tuple(parse_policy(name, self.recipe.judges) for name in self.recipe.policies)

    @property
    def tuning_policies(self) -> tuple[Policy, ...]:
        """The policies that readers are tuned under; none for a run without tuning."""
        if self.recipe.readers == "zero-shot":
            return ()
        return tuple(parse_policy(name, self.recipe.judges) for name in self.recipe.tune_on)

    def rows_folder(self, stage: str) -> Path:
        """Return the folder of a stage's rows."""
        return self.folder / "rows" / stage

    def model_folder(self, name: str) -> Path:
        """Return the folder of a model that the run trains itself."""
        return (self.home or self.folder) / "models" / name

    @property
    def assessor_folder(self) -> Path:
        """The folder of the assessor's adapter, where it is tuned."""
        return (self.home or self.folder) / "adapters" / "assessor"

    @property
    def verifier_folder(self) -> Path:
        """The folder of the verifier's adapter."""
        return (self.home or self.folder) / "adapters" / "verifier"

    def spec(self, spec: str) -> str:
        """Return a spec that opens: a model from scratch is a checkpoint in the run's folder."""
        scheme, _, name = spec.partition(":")
        return f"hf:{self.model_folder(name)}" if scheme == SCRATCH else spec

    def done(self, stage: str) -> bool:
        """Return whether a stage's rows (or its file, or models from scratch) are complete."""
        names = scratch_models(self.recipe).get(stage)
        if names is not None:
            return all((self.model_folder(name) / "card.json").is_file() for name in names)
        if stage == "assessor":
            return not self.recipe.assessor_tuned or (self.assessor_folder / "card.json").is_file()
        if stage == "verifier":
            return not self.recipe.teaches_verifier or (self.verifier_folder / "card.json").is_file()
        if stage in ("gates", "policies") and not self.recipe.shows_pictures:
            return True
        if stage == "exports" and not self.recipe.predicts:
            return True
        file = _FILES.get(stage)
        return (self.folder / file).exists() if file else is_complete(self.rows_folder(stage))

    def read(self, stage: str, kind: type[S]) -> list[S]:
        """Return a finished stage's rows."""
        return read_rows(self.rows_folder(stage), kind)

    def write(self, stage: str, kind: type[S], rows: Sequence[S]) -> None:
        """Write a stage's rows; the manifest, written last, makes them complete."""
        write_rows(self.rows_folder(stage), kind, rows)

    @property
    def shelf_folder(self) -> Path:
        """The folder of fetched pictures."""
        return Path(self.recipe.shelf or (self.home or self.folder) / "fetched").resolve()

    def samples(self, splits: Sequence[str] | None = None) -> list[Sample]:
        """Return the run's samples, of the given splits; files stand in for web addresses that were fetched."""
        samples = [s for s in self.read("samples", Sample) if splits is None or s.split in splits]
        fetched = self.fetched()
        return with_files(samples, fetched, Shelf(self.shelf_folder)) if fetched else samples

    def fetched(self) -> dict[str, Fetched]:
        """Return what became of the web addresses that the run looks at; nothing before they were fetched."""
        known = is_complete(self.rows_folder("pictures"))
        return {row.url: row for row in self.read("pictures", Fetched)} if known else {}

    def published_places(self) -> dict[str, str]:
        """Return the web address of every fetched file."""
        shelf = Shelf(self.shelf_folder)
        return {str(shelf.path(f.digest)): url for url, f in self.fetched().items() if f.digest is not None}

    def ask(
        self, stage: Stage[R], samples: Sequence[Sample], models: Mapping[str, ModelSource]
    ) -> dict[str, tuple[R, ...]]:
        """Carry a stage out: every sample's rows."""
        copies = min((source.copies for source in models.values() if source.copy is not None), default=1)
        with self._room_for(copies):
            return run_stage(
                stage,
                samples,
                models={key: replace(source, copies=copies) for key, source in models.items()},
                replies=self.replies,
                ledger=self.ledger,
                display=self.display,
                pictures=self._pictures(),
                team=self.team,
            )

    @staticmethod
    def _room_for(copies: int) -> AbstractContextManager[None]:
        if copies < 2:
            return nullcontext()
        from lookwise.models.hf.copies import fewer_threads

        return fewer_threads(copies)

    def _pictures(self) -> Pictures:
        """Return why pictures are missing.  Those that were not to be fetched are opened by the models themselves."""
        if not is_complete(self.rows_folder("absences")):
            return Pictures()
        missing = {row.url: row.reason for row in self.read("absences", Absent)}
        passed = self.recipe.fetching == "pass" and not self.fetched()
        return Pictures(missing, by_address=passed)

    def source(self, key: str, spec: str) -> ModelSource:
        """Return a model for the loop under a key: opened when first needed, its fingerprint known before."""
        from lookwise.pipeline.able import needs_of_model

        recipe = self.recipe
        code, needs = recipe.may_run_code(spec), needs_of_model(recipe, spec)
        options = ModelOptions(recipe.device, recipe.dtype, None, recipe.http_concurrency, self.budget, code, needs)
        found = self.spec(spec)
        opens, names = partial(open_model, found, options), partial(fingerprint, found, options)
        if self.team is None or spec.partition(":")[0] not in ("tiny", "hf", SCRATCH):
            return ModelSource(key, opens, names)
        from lookwise.models.hf.copies import most_copies, open_copy

        copies = recipe.copies or most_copies(found, options)
        return ModelSource(key, opens, names, partial(open_copy, found, options, copies), copies)
