"""Bench (d): questions with options of several tokens, ranked by Lookwise and by lm_eval 0.4.13.

    python -m venv /tmp/lmeval && /tmp/lmeval/bin/pip install torch lm_eval==0.4.13 accelerate datasets
    OMP_NUM_THREADS=1 python bench/lmeval.py --lmeval /tmp/lmeval/bin/python --options 4
    OMP_NUM_THREADS=1 python bench/lmeval.py --lmeval /tmp/lmeval/bin/python --options 20

lm_eval is installed apart and is no dependency (its torch should be the build that Lookwise has here).  Both sides
read one random 10-layer Llama in float32 from one folder, on a CPU, and are asked the same questions of about 150
tokens with the same options of three to six tokens each.  What they compare is the same sum of log-probabilities of an
option's tokens after `QUESTION\\nAnswer:`; the checkpoint's chat template adds nothing to that.  Two figures each:

    wall      seconds of the whole command, from its start to its end: `lm_eval run` with --log_samples, batches of
              --batch rows; `lookwise run` on the table, which ends with scores, intervals and a report
    rows/s    rows over the seconds spent in lm_eval's own `loglikelihood` (tokenising included, loading not), and in
              Lookwise's `run_stage` of the answers (opening the model and storing replies included)

Both have OMP_NUM_THREADS threads of one process (our command would by itself use a copy of a small model on every core;
--copies 0 lets it).  Sides take turns, every round anew; printed are the medians, the ratios, and how many rows both
answered alike.  Every option's score must agree to 1e-2 (float32 sums in another order), else the comparison means
nothing and it fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from checkpoints import WORDS, parameters, word_tokenizer

TARGETS = {4: (2.0, 4.0), 20: (8.0, 8.0)}
"""Options -> how many times the rows a second, and the share of the command's wall time, the issue asks for."""
TOLERANCE = 1e-2
RAW = "{% for m in messages %}{{ ' ' if m.role == 'assistant' else '' }}{{ m.content }}{% endfor %}"
NAME = "mcq"


@dataclass
class Times:
    """Seconds of every round of one side."""

    wall: list[float] = field(default_factory=list)
    scoring: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Answers:
    """What one side said: every row's scores (nats, option by option)."""

    scores: list[list[float]]

    @property
    def best(self) -> list[int]:
        """The option that each row was answered with."""
        return [max(range(len(row)), key=row.__getitem__) for row in self.scores]


def questions(rows: int, options: int, words: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Return random questions, the options that all of them have, and which option is called right."""
    rng = random.Random(seed)
    asked = [" ".join(rng.choices(WORDS, k=words)) for _ in range(rows)]
    offered: list[str] = []
    while len(offered) < options:
        option = " ".join(rng.choices(WORDS, k=rng.randint(3, 6)))
        offered += [] if option in offered else [option]
    return asked, offered, [rng.randrange(options) for _ in range(rows)]


def save_model(folder: Path, width: int, texts: list[str]) -> Path:
    """Save a random Llama of ten layers whose prompts are their text and nothing else."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = word_tokenizer(texts, RAW)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=width * 43 // 16, num_hidden_layers=10,
        num_attention_heads=max(1, width // 32), max_position_embeddings=1024, tie_word_embeddings=False,
        initializer_range=0.1, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_tasks(work: Path, model: Path, asked: list[str], offered: list[str], right: list[int], copies: int) -> None:
    """Write the questions for both sides: a JSONL file with a task of lm_eval, a table with its description."""
    lines = [
        {"question": q, "answer": r, "gold": offered[r], "split": "test"} for q, r in zip(asked, right, strict=True)
    ]
    table = "".join(json.dumps(line) + "\n" for line in lines)
    (work / "mcq.jsonl").write_text(table)
    (work / "yaml").mkdir()
    task = {
        "task": NAME,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(work / "mcq.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}\nAnswer:",
        "doc_to_choice": offered,
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 0.0},
    }
    (work / "yaml" / f"{NAME}.yaml").write_text(json.dumps(task))  # JSON is YAML
    prompts = work / "prompts" / "answer"
    prompts.mkdir(parents=True)
    (prompts / f"{NAME}.txt").write_text("{question}\nAnswer:")
    own = {
        "table": "mcq.jsonl",
        "question": "Which is it?",
        "text": ["question"],
        "labels": offered,
        "gold": "gold",
        "split": "split",
        "recipe": {
            "reader": f"hf:{model}",
            "readers": "zero-shot",
            "policies": ["none"],
            "device": "cpu",
            "copies": copies,
        },
    }
    (work / f"{NAME}.yaml").write_text(json.dumps(own))


def theirs(python: str, model: Path, work: Path, batch: int, times: Times) -> Answers:
    """Run lm_eval's command and return its scores, row by row."""
    out, clock = work / "lmeval", work / "clock"
    command = [
        python, str(Path(__file__).with_name("lmeval_side.py")), "run", "--model", "hf",
        "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu", "--include_path", str(work / "yaml"),
        "--tasks", NAME, "--batch_size", str(batch), "--output_path", str(out), "--log_samples",
    ]  # fmt: skip
    environment = {**os.environ, "LMEVAL_CLOCK": str(clock), "HF_DATASETS_CACHE": str(work / "datasets")}
    times.wall.append(timed(command, environment))
    times.scoring.append(json.loads(clock.read_text()))
    samples = max(out.rglob("samples_*.jsonl"), key=lambda path: path.stat().st_mtime)
    rows = sorted((json.loads(line) for line in samples.open()), key=lambda row: int(row["doc_id"]))
    return Answers([[float(_first(option)) for option in row["resps"]] for row in rows])


def _first(value: Any) -> Any:
    """Return the log-likelihood in what lm_eval logs of an option: [[ll, greedy]], or [ll, greedy]."""
    while isinstance(value, list):
        value = value[0]
    return value


def ours(work: Path, round_: int, times: Times) -> Answers:
    """Run our command and return its scores; then time the answers alone, in this process."""
    from lookwise.rows import Prediction
    from lookwise.runs.store import read_rows

    out = work / f"run-{round_}"
    command = [sys.executable, "-m", "lookwise", "run", str(work / f"{NAME}.yaml"), "--out", str(out)]
    times.wall.append(timed([*command, "--prompts", str(work / "prompts")], dict(os.environ)))
    rows = read_rows(out / "rows" / "predictions", Prediction)
    times.scoring.append(answers_alone(work, out))
    failed = [row.reason for row in rows if row.option_scores is None or not row.option_scores]
    if failed:
        raise SystemExit(f"{len(failed)} rows of ours have no scores: {failed[0]}")
    return Answers([list(row.option_scores or ()) for row in rows])


def answers_alone(work: Path, run: Path) -> float:
    """Return the seconds that the loop takes for the answers of the run's samples, from an empty store."""
    from lookwise.benchmarks.own import own_task, read_own
    from lookwise.inference import ModelSource, run_stage
    from lookwise.models.open import fingerprint, open_model
    from lookwise.runs.ledger import Ledger
    from lookwise.runs.replies import ReplyStore
    from lookwise.runs.store import read_rows
    from lookwise.sample import Sample
    from lookwise.stages.answer import AnswerStage, Reader

    own = read_own(work / f"{NAME}.yaml")
    task = own_task(own, folder=work / "prompts")
    samples, spec = read_rows(run / "rows" / "samples", Sample), str(own.recipe["reader"])
    stage = AnswerStage(tasks={task.name: task}, readers=[Reader("reader", spec, "zero-shot", "")], shown={"none": {}})
    store = work / "replies.sqlite"
    store.unlink(missing_ok=True)
    source = ModelSource("reader", lambda: open_model(spec), lambda: fingerprint(spec))
    start = time.perf_counter()
    with ReplyStore(store) as replies:
        run_stage(stage, samples, models={"reader": source}, replies=replies, ledger=Ledger(run="bench"))
    return time.perf_counter() - start


def timed(command: list[str], environment: dict[str, str]) -> float:
    """Return a command's wall seconds; its last words when it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds


def check(mine: Answers, other: Answers) -> None:
    """Fail unless both sides scored every option of every row alike."""
    if len(mine.scores) != len(other.scores):
        raise SystemExit(f"{len(mine.scores)} rows here, {len(other.scores)} there: the comparison means nothing")
    pairs = [(a, b) for x, y in zip(mine.scores, other.scores, strict=True) for a, b in zip(x, y, strict=True)]
    furthest = max(abs(a - b) for a, b in pairs)
    equal = sum(a == b for a, b in zip(mine.best, other.best, strict=True))
    print(f"equal answers {equal}/{len(mine.scores)}; scores of {len(pairs)} options differ by at most {furthest:.1e}")
    if furthest > TOLERANCE or equal < len(mine.scores):
        raise SystemExit("answers differ: the comparison means nothing")


def table(rows: int, options: int, sides: dict[str, Times]) -> str:
    """Return medians and ratios as text."""
    lines = [f"{'side':<10}{'wall s':>9}{'(range)':>17}{'scoring s':>11}{'rows/s':>9}"]
    middle = {name: (statistics.median(t.wall), statistics.median(t.scoring)) for name, t in sides.items()}
    for name, (wall, scoring) in middle.items():
        span = f"{min(sides[name].wall):.1f}-{max(sides[name].wall):.1f}"
        lines.append(f"{name:<10}{wall:>9.1f}{span:>17}{scoring:>11.1f}{rows / scoring:>9.1f}")
    faster = middle["lm_eval"][1] / middle["lookwise"][1]
    sooner = middle["lm_eval"][0] / middle["lookwise"][0]
    lines.append(f"{faster:.1f} times the rows a second, {sooner:.1f} times in wall time of the whole command")
    if options in TARGETS:
        lines.append("targets: {} and {} times".format(*TARGETS[options]))
    return "\n".join(lines)


def main() -> None:
    """Run the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lmeval", required=True, help="the interpreter of the environment that has lm_eval 0.4.13")
    parser.add_argument("--options", type=int, default=4)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--words", type=int, default=148, help="words of a question, each one token")
    parser.add_argument("--width", type=int, default=256, help="of the Llama, which has ten layers")
    parser.add_argument("--batch", type=int, default=16, help="lm_eval's batch size")
    parser.add_argument("--copies", type=int, default=1, help="of the model in our command; 1 is one core, as theirs")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        asked, offered, right = questions(args.rows, args.options, args.words, seed=1)
        model = save_model(work / "model", args.width, asked + offered)
        write_tasks(work, model, asked, offered, right, args.copies)
        print(
            f"{args.rows} rows, {args.options} options; Llama of {parameters(model):,} parameters, 10 layers, float32"
        )
        sides = {"lm_eval": Times(), "lookwise": Times()}
        for i in range(args.rounds):
            other = theirs(args.lmeval, model, work, args.batch, sides["lm_eval"])
            check(ours(work, i, sides["lookwise"]), other)
        print(table(args.rows, args.options, sides))


if __name__ == "__main__":
    main()
