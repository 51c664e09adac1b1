"""One experiment as a frozen value: what config.py reads from a recipe and pipeline.py carries out.

Plain values only; every default is written out in a run's recipe.yaml.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

__all__ = ["GIVEN", "Recipe"]

GIVEN = "data"
"""The captioner of a run that takes the captions which came with the data."""


@dataclass(frozen=True)
class Recipe:
    """One experiment.  Lengths in tokens, shares in 0..1; sample counts are per task and split, 0 means all."""

    name: str
    title: str = ""
    # data
    data: str = "bazaar"
    """`bazaar` generates the shop; otherwise a path: MMECInstruct's layout, a table, or a named source's folder."""
    source: Literal["auto", "bazaar", "mmecinstruct", "ecommmmu", "table", "grocery"] = "auto"
    benchmark: Literal["mmecinstruct", "ecommmmu"] = "mmecinstruct"
    """The shape that the generated shop takes: one picture a product, or eight."""
    tasks: tuple[str, ...] = ()
    seed: int = 7
    samples_train: int = 0
    samples_val: int = 0
    samples_test: int = 0
    samples_ood: int = 0
    samples_most: Mapping[str, str] = field(default_factory=lambda: types.MappingProxyType({}))
    """Caps for single tasks: task, or split/task -> samples (per split) at most."""
    test_splits: tuple[str, ...] = ("test", "ood")
    published_data: bool = False
    """The user's word that this is the published data itself: only then do the paper's cells stand beside ours."""
    # pictures by web address
    fetching: Literal["auto", "pass", "never"] = "auto"
    """`auto` fetches, once, those that a step looks at; `pass` hands their addresses to models behind servers, and
    fetches only where a model in this process looks; `never` leaves them missing."""
    fetch_private: bool = False
    """Whether addresses inside one's own network may be asked."""
    fetch_at_once: int = 32
    fetch_per_host: int = 4
    """Requests under way, in all and to one host."""
    shelf: str = ""
    """The folder of fetched pictures, which runs may share; "" is one in the run's own folder."""
    pack: str = ""
    """A frozen pack to take the pictures from: nothing is fetched, and what it lacks is missing."""
    freeze: str = ""
    """A folder to freeze the fetched pictures into, so that others score the same."""
    # pictures in words, and votes
    prompts: str = "mmecinstruct"
    captioner: str = "tiny:captioner"
    """A model, or `data`: the captions that came with the data, where the source has them."""
    caption_files: str = ""
    """With the captioner `data`: a folder of CASLIE's captions/{task}_{split}.json, instead of those in the rows."""
    caption_context: bool = True
    caption_tokens: int = 128
    judges: Mapping[str, str] = field(default_factory=lambda: types.MappingProxyType({}))
    judging: Literal["rank", "generate"] = "rank"
    ballot_tokens: int = 16
    tie: Literal["drop", "keep", "published"] = "drop"
    audit: float = 0.0
    # pictures themselves: their worth, measured and predicted
    assessor: str = ""
    """The model whose answers with and without a picture measure its worth; "" is the reader, untuned."""
    assessing: Literal["rank", "generate"] = "rank"
    assessor_tuned: bool = False
    """Whether it is tuned first, as readers are, on their half of the samples, from the text alone and with each
    candidate: a small model answers at chance before that, and then so is what pictures do to its answers."""
    assessor_epochs: float | None = None
    """Rounds of that, each of which shows a sample once more than it has candidates; null: the readers'."""
    verifier: str = ""
    """The model that tells that worth beforehand; "" is the reader."""
    verifying: Literal["tuned", "zero-shot"] = "tuned"
    verifier_subset: Literal["", "vision-salient"] = ""
    """The samples of its half that teach the verifier: all, or those of one subset (the published system's way)."""
    verifier_balance: Literal["even", "none"] = "even"
    """What it is taught of the judgements: as many of each as the rarest has, drawn, as published; or all, as they
    fell, which is more to learn from, but then a judgement that is rare is seldom ranked first."""
    verification_files: str = ""
    """A folder with train.json (and val.json) as SUMEI publishes its verification data: the verifier learns from these
    rows, and its half of the training samples is not measured."""
    verifier_rank: int | None = None
    verifier_alpha: int | None = None
    verifier_dropout: float | None = None
    verifier_learning_rate: float | None = None
    verifier_batch: int | None = None
    verifier_epochs: float | None = None
    verifier_warmup: float | None = None
    verifier_head: bool | None = None
    verifier_max_tokens: int | None = None
    """How the verifier is tuned where it differs from the readers (below); null: as they are."""
    look_price: float = 0.0
    """What a look costs, in nats of gain, when the threshold of `visuals:predicted/threshold` is chosen."""
    # what is compared
    policies: tuple[str, ...] = ("none", "captions:always", "captions:vote")
    reader: str = "tiny:reader-s"
    readers: Literal["tuned", "zero-shot", "both"] = "tuned"
    answering: Literal["rank", "generate"] = "rank"
    ranking: Literal["raw", "normalised", "calibrated"] = "raw"
    """What decides among ranked answers: the sum of log-probabilities, its mean over the answer's tokens, or what the
    sample's content adds to the sum (an empty context is then asked about, too)."""
    also_rank: bool = False
    """Whether the options are ranked as well where answers are written: a second column, compared in the report."""
    answer_tokens: int = 100
    rule: Literal["robust", "published"] = "robust"
    resamples: int = 1000
    # tuning
    tune_on: tuple[str, ...] = ("none", "captions:always", "captions:vote")
    training: Literal["generalist", "per-task"] = "generalist"
    downstream_files: str = ""
    """The same of its downstream data: readers tuned on visuals:predicted learn from these rows."""
    rank: int = 16
    alpha: int = 16
    dropout: float = 0.0
    learning_rate: float = 1e-4
    batch: int = 128
    epochs: float = 3.0
    warmup: float = 0.05
    head: bool = True
    """Whether the adapter covers the language-model head, too."""
    max_tokens: int = 2048
    gradient_checkpointing: bool = False
    """Layers are computed twice instead of kept: the same gradients in less memory, in about a third more time."""
    micro_tokens: int | None = None
    """The most tokens, padding included, of one pass of a tuning; left out, it is found out on the device."""
    shard: bool = False
    """The base's frozen layers are cut over the processes that tune it, for one that does not fit a device."""
    quantized: Literal["", "nf4", "int8"] = ""
    """The bits that a base is held in while it is tuned: 4 (nf4: QLoRA) or 8; needs the package bitsandbytes."""
    published_tuning: str = ""
    """What a paper says that this tuning takes; it stands on the adapter's card beside what it took here."""
    # machine
    device: str = "auto"
    dtype: str = "auto"
    """What models in this process are asked in: auto (float32 on a CPU; on CUDA bfloat16, or float16 where the device
    does not compute in that), float32, bfloat16, float16; int8 and nf4 hold matrices in 8 and 4 bits, for which the
    package bitsandbytes is needed."""
    copies: int = 0
    """How many copies of a model answer at a time, each in a process of its own; 0: as many as there are CUDA devices,
    and of a small model on a CPU one a core, up to four."""
    processes: int = 1
    """How many processes tune one adapter on this machine, each with an accelerator of its own where there are any."""
    accelerate: str = ""
    """accelerate's configuration file instead, which says how many processes there are and where they run."""
    remote_code: tuple[str, ...] = ()
    """Models, by their specs above, whose checkpoint's own Python may be run here; read it before you name one."""
    html_samples: int = 300
    # models that the run trains itself ("scratch:…")
    caption_folds: int = 0
    """Training pictures are captioned by models that saw the other folds only; 0: by the captioner itself."""
    effort: float = 1.0
    """All epochs of models from scratch are multiplied by this; below 1 to try things out."""
    # models behind servers ("http://…"); limits of a whole run, 0 means none
    http_concurrency: int = 64
    """Requests under way at once, at most; how many it really is, the server's answers decide."""
    budget_requests: int = 0
    budget_tokens: int = 0
    budget_money: float = 0.0
    """In the currency of the prices that the models' addresses state."""

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that the recipe names, once."""
        named = (self.captioner, *self.judges.values(), self.assessor, self.verifier, self.reader)
        return tuple(dict.fromkeys(spec for spec in named if spec and spec != GIVEN))

    def may_run_code(self, spec: str) -> bool:
        """Return whether the Python of a model's checkpoint may be run; an adapter on it changes nothing."""
        return any(spec == named or spec.startswith(f"{named}+") for named in self.remote_code)

    @property
    def unlimited(self) -> Recipe:
        """Return the recipe without its limits on servers and the machine's share: equals are one experiment."""
        free = replace(self, http_concurrency=64, budget_requests=0, budget_tokens=0, budget_money=0.0)
        return replace(free, fetch_private=False, fetch_at_once=32, fetch_per_host=4, copies=0)

    @property
    def shows_pictures(self) -> bool:
        """Whether a policy shows pictures themselves."""
        return any(name.startswith("visuals:") for name in (*self.policies, *self.tune_on))

    @property
    def predicts(self) -> bool:
        """Whether a policy goes by what a verifier says of the pictures."""
        names = (*self.policies, *self.tune_on)
        return any(name.startswith(("visuals:predicted", "visuals:random@predicted")) for name in names)

    @property
    def teaches_verifier(self) -> bool:
        """Whether the run tunes that verifier: readers then learn from the other half of the samples."""
        return self.predicts and self.verifying == "tuned"

    @property
    def samples(self) -> dict[str, int]:
        """Return the sample count per task of each split."""
        return {
            "train": self.samples_train,
            "val": self.samples_val,
            "test": self.samples_test,
            "ood": self.samples_ood,
        }
