"""What a recipe will ask of its models, counted sample by sample without asking.

In: a run's data and its samples, one after the other; none is kept.  Out: for every step how many requests its samples
make and how many of these differ, as the loop would merge them: by conversation, pictures (by place, since no picture
is opened) and what is wanted.  What a policy shows that goes by replies is not known yet; such requests are counted as
`open`: one each at most.  Which samples the verifier's half holds is drawn in a run; here it is every other one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

from lookwise.benchmarks.rendering import answer_conversation, caption_conversation, utility_conversation
from lookwise.message import Conversation, TextPart
from lookwise.pipeline.context import TUNING_SPLITS
from lookwise.pipeline.data import Data
from lookwise.pipeline.distinct import ROOM, Distinct, key_of
from lookwise.pipeline.utility_steps import SHORT, looks
from lookwise.pipeline.wanted import captions, certain, main_pictures, wanted
from lookwise.sample import Sample
from lookwise.stages.evidence import Policy, parse_policy
from lookwise.stages.fetch import is_fetchable

__all__ = ["Demand", "Requests"]


@dataclass
class Requests:
    """The requests of one step: asked in all, different ones, and open ones among those asked."""

    different: Distinct
    asked: int = 0
    open: int = 0

    def add(self, key: int) -> None:
        """Count a request."""
        self.asked += 1
        self.different.add(key)

    @property
    def least(self) -> int:
        """How many are sent if every open one turns out to be the same as another."""
        return min(self.different.count, self.asked)

    @property
    def most(self) -> int:
        """How many are sent if no open one does."""
        return min(self.different.count + self.open, self.asked)

    @property
    def about(self) -> str:
        """`about ` where the number of different ones is an estimate."""
        return "" if self.different.exact else "about "


class Demand:
    """The requests of a run, step by step; `answers` are those of one reader."""

    def __init__(self, data: Data, room: int = ROOM, fetched: Container[str] = ()) -> None:
        self.recipe = recipe = data.recipe
        self.policies = tuple(parse_policy(name, recipe.judges) for name in recipe.policies)
        tuned = recipe.tune_on if recipe.readers != "zero-shot" else ()
        self.tuning = tuple(parse_policy(name, recipe.judges) for name in tuned)
        self.samples: Counter[tuple[str, str]] = Counter()
        self.learning = 0
        """Samples that a reader is tuned on."""
        self.lessons = 0
        """Pictures that the verifier may be taught with, at most."""
        self.assessing = 0
        """Questions that the assessor is tuned on, where it is: from the text alone, and with each candidate."""
        self.captions, self.measured, self.predicted, self.answers = (Requests(Distinct(room)) for _ in range(4))
        self.addresses, self.held = Distinct(room), Distinct(room)
        """Pictures by web address that a step looks at, and those of them that were fetched before."""
        self._fetched = fetched
        self._both = Distinct(room)
        self._tasks = data.tasks
        self._borne: set[str] = set()
        self._teaches = recipe.teaches_verifier
        self._captioned = self._splits(*(captions(recipe, some) for some in self._some))
        self._measured = self._splits(*(looks(some, "oracle", "measured") for some in self._some))
        self._judged = self._splits(*(looks(some, "predicted") for some in self._some))
        gated = looks((*self.policies, *self.tuning), "predicted", "threshold")
        if self._teaches or gated:
            self._measured |= {"val"}
        if gated:
            self._judged |= {"val"}

    @property
    def _some(self) -> tuple[tuple[Policy, ...], tuple[Policy, ...]]:
        return self.tuning, self.policies

    def _splits(self, tuning: bool, testing: bool) -> frozenset[str]:
        """Return the splits that a step looks at, given whose policies need it."""
        return frozenset((*(TUNING_SPLITS if tuning else ()), *(self.recipe.test_splits if testing else ())))

    @property
    def shared(self) -> int:
        """Answers of the untuned reader that are known since they were measured."""
        recipe = self.recipe
        if recipe.assessor_tuned or recipe.readers == "tuned" or (recipe.assessor or recipe.reader) != recipe.reader:
            return 0
        return max(self.measured.different.count + self.answers.different.count - self._both.count, 0)

    def add(self, sample: Sample) -> None:
        """Count what one sample asks."""
        place = (sample.task, sample.split)
        verifiers = self._teaches and sample.split in TUNING_SPLITS and self.samples[place] % 2 == 1
        self.samples[place] += 1
        taught = sample.split == "train" and not verifiers
        self.learning += taught
        self.assessing += (1 + len(sample.candidates)) * (taught and self.recipe.assessor_tuned)
        self._look(sample, verifiers)
        if sample.split in self._captioned:
            self._caption(sample)
        text = _text(answer_conversation(self._tasks[sample.task], sample, {}))
        if self._is_measured(sample, verifiers):
            self._measure(sample, text)
            self.lessons += len(sample.candidates) if verifiers and sample.split == "train" else 0
        if sample.split in self._judged and not verifiers:
            self._predict(sample)
        if sample.split in self.recipe.test_splits:
            self._answer(sample, text)

    def _look(self, sample: Sample, verifiers: bool) -> None:
        shown = self.policies if sample.split in self.recipe.test_splits else ()
        shown += self.tuning if sample.split in TUNING_SPLITS and not verifiers else ()
        judged = sample.split in self._judged and not verifiers
        assessed = self.recipe.assessor_tuned and sample.split == "train" and not verifiers
        whole = self._is_measured(sample, verifiers) or judged or assessed
        for visual in wanted(sample, captioned=sample.split in self._captioned, whole=whole, policies=shown):
            if is_fetchable(visual):
                key = key_of(visual.media.source)
                self.addresses.add(key)
                if visual.media.source in self._fetched:
                    self.held.add(key)

    def _is_measured(self, sample: Sample, verifiers: bool) -> bool:
        """Return whether a sample is asked with and without its pictures (utility_steps.measured)."""
        given = self.recipe.verification_files and sample.split == "train"
        lesson = verifiers and not given and self.recipe.verifier_subset in ("", sample.subset)
        return sample.target is not None and (sample.split in self._measured or lesson)

    def _caption(self, sample: Sample) -> None:
        task, use = self._tasks[sample.task], "caption" if self.recipe.caption_context else "caption_plain"
        for visual in main_pictures(sample):
            talk = caption_conversation(task, sample, visual, use)  # type: ignore[arg-type]
            self.captions.add(key_of(_text(talk), visual.media.source))

    def _measure(self, sample: Sample, text: str) -> None:
        if not sample.candidates:
            return
        for want in self._assessed(sample):
            for candidate in (None, *sample.candidates):
                key = _shown(f"{want}\0{text}", sample, () if candidate is None else (candidate,))
                self.measured.add(key)
                self._both.add(key)

    def _assessed(self, sample: Sample) -> tuple[str, ...]:
        ranked = self._ranked(sample)
        return (ranked,) if self.recipe.assessing == "rank" else (f"generate {SHORT}", ranked)

    def _ranked(self, sample: Sample) -> str:
        return "\0".join(("rank", *self._tasks[sample.task].answers(sample)))

    def _predict(self, sample: Sample) -> None:
        if not sample.candidates:
            return
        text = _text(utility_conversation(self._tasks[sample.task], sample, ()))
        for want in ("rank",) if self.recipe.assessing == "rank" else (f"generate {SHORT}", "rank"):
            for candidate in sample.candidates:
                self.predicted.add(_shown(f"{want}\0{text}", sample, (candidate,)))

    def _answer(self, sample: Sample, text: str) -> None:
        recipe = self.recipe
        ranked, written = self._ranked(sample), f"generate {recipe.answer_tokens}"
        ranks = recipe.answering == "rank" or recipe.also_rank
        if recipe.answering == "generate":
            self._answer_as(sample, text, written)
        if ranks:
            self._answer_as(sample, text, ranked)
        is_bearer = self._tasks[sample.task].labels and sample.task not in self._borne
        if ranks and (recipe.ranking == "calibrated" or is_bearer):
            self._borne.add(sample.task)
            key = key_of("empty", sample.task, ranked)
            self.answers.add(key)
            self._both.add(key)

    def _answer_as(self, sample: Sample, text: str, want: str) -> None:
        known = [certain(policy, sample) for policy in self.policies]
        for shown in known:
            if shown is not None:
                key = _shown(f"{want}\0{text}", sample, shown)
                self.answers.add(key)
                self._both.add(key)
        open_ones = [policy for policy, shown in zip(self.policies, known, strict=True) if shown is None]
        single = sum(map(_one_at_most, open_ones))
        left = len(sample.candidates) + 1 - len({shown for shown in known if shown is not None and len(shown) <= 1})
        self.answers.asked += len(open_ones)
        self.answers.open += min(single, left) + len(open_ones) - single


def _one_at_most(policy: Policy) -> bool:
    """Return whether a policy shows one candidate, or none."""
    plain = parse_policy(policy.base) if policy.base and policy.form == "visuals" else policy
    return plain.form == "visuals" and plain.selector != "all" and not (plain.pick or "").startswith("top-")


def _text(talk: Conversation) -> str:
    return "\0".join(part.text for message in talk for part in message.parts if isinstance(part, TextPart))


def _shown(text: str, sample: Sample, candidates: Sequence[int]) -> int:
    """Return the key of a question with the pictures of these candidates."""
    return key_of(text, *(visual.media.source for i in candidates for visual in sample.view(i)))
