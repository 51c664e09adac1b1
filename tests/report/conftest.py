"""A run folder as a finished run leaves it, small, with the texts that an attacker would write into a review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from lookwise.message import Media
from lookwise.rows import Ballot, Caption, Evidence, Prediction, caption_id
from lookwise.runs.store import write_rows
from lookwise.sample import Sample, Visual

HOSTILE = '</script><img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script><!--&lt;\u2028'
POLICIES = ("none", "captions:always", "captions:vote")
TASKS = ("sentiment_analysis", "product_relation_prediction")
SPLITS = ("test", "ood")
COLOURS = ("firebrick", "steelblue", "seagreen", "goldenrod", "slategray")


def draw(path: Path, colour: str) -> Path:
    image = Image.new("RGB", (192, 128), "white")
    ImageDraw.Draw(image).ellipse((30, 10, 160, 118), fill=colour)
    image.save(path)
    return path


def make_samples(folder: Path, each: int) -> list[Sample]:
    pictures = [draw(folder / f"{colour}.png", colour) for colour in COLOURS]
    (folder / "broken.jpg").write_bytes(b"")
    samples = []
    for task in TASKS:
        for split in SPLITS:
            for i in range(each):
                media = [Media(str(pictures[(i + k) % 5])) for k in range(2)]
                if i == 1:
                    media[1] = Media(str(folder / "broken.jpg"))
                hostile = HOSTILE if i == 0 else "a {plain} review & more, <b>bold</b>"
                samples.append(
                    Sample(
                        id=f"{task}-{split}-{i}",
                        benchmark="mmecinstruct",
                        task=f"mmecinstruct/{task}",
                        split=split,
                        fields=(("review", hostile), ("history", ("first thing", HOSTILE))),
                        visuals=tuple(Visual(f"product {k + 1}", m) for k, m in enumerate(media)),
                        options=("A: very positive", f"B: {hostile}"),
                        target="A" if i % 2 else "B",
                    )
                )
    return samples


def score(task: str, split: str, policy: str, tuned_on: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "benchmark": "mmecinstruct",
        "task": f"mmecinstruct/{task}",
        "split": split,
        "subset": None,
        "policy": policy,
        "model": "tiny:reader-s",
        "training": "generalist",
        "tuned_on": tuned_on,
        "captioner": "tiny:captioner",
        "judges": ["a", "b"],
        "seed": 7,
        "metric": "macro_f1",
        "primary": True,
        "value": value,
        "low": None if value is None else value - 0.04,
        "high": None if value is None else value + 0.03,
        "n": 400,
        "failed": 3,
        "over": "all",
        "data_digest": "0" * 64,
        "published": [],
        "one_sided": tuned_on == "none",
        "commonest_share": 0.97 if tuned_on == "none" else 0.5,
        **more,
    }


def make_scores() -> list[dict[str, Any]]:
    found = []
    for split in SPLITS:
        for i, task in enumerate(TASKS):
            majority = {"model": "majority", "training": "", "failed": 0}
            found.append(score(task, split, "majority", "", 0.31, **majority))
            for j, tuned_on in enumerate(POLICIES):
                for k, policy in enumerate(POLICIES):
                    found.append(score(task, split, policy, tuned_on, 0.5 + 0.03 * i + 0.05 * min(j, k)))
                    found.append(score(task, split, policy, tuned_on, 0.4, metric="accuracy", primary=False))
            for name in ("text", "pictures"):
                model = {"model": f"scripted:ceiling-{name}", "training": "", "failed": 0}
                found.append(score(task, split, f"ceiling/{name}", "", 0.7 if name == "text" else 0.9, **model))
    return found


CALLS = {
    "caption": {"tiny:captioner": {"asked": 4000, "merged": 900, "sent": 3100, "seconds": 61.5, "failed": 1}},
    "answer": {
        "reader[none]": {"asked": 600, "sent": 600, "seconds": 3.2},
        "reader[captions:always]": {"asked": 600, "sent": 600, "seconds": 5.2},
        "reader[captions:vote]": {"asked": 600, "sent": 600, "seconds": 4.2},
    },
    "caption_quality": {
        "judge-a": {"asked": 900, "sent": 900, "seconds": 4.0, "decided_early": 0},
        "judge-b": {"asked": 500, "sent": 400, "stored": 100, "seconds": 3.0, "decided_early": 400},
    },
}


def make_run(folder: Path, each: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    samples = make_samples(folder, each)
    captions, ballots, evidence, predictions = [], [], [], []
    for i, sample in enumerate(samples):
        for visual in sample.visuals:
            key = caption_id(sample.id, visual.slot, 0)
            broken = visual.media.source.endswith("broken.jpg")
            text = None if broken else f"a round thing {HOSTILE if i == 0 else 'in one colour'}"
            captions.append(Caption(sample.id, key, visual.slot, 0, text, "f1", "zero bytes" if broken else None))
            if not broken:
                ballots.append(Ballot(sample.id, key, "judge-a", "yes" if i % 3 else "no", HOSTILE, "f2"))
                ballots.append(Ballot(sample.id, key, "judge-b", None, "hm", "f3", "unreadable"))
            for policy in POLICIES:
                shown = not broken and (policy == "captions:always" or (policy == "captions:vote" and i % 3 > 0))
                kind = "caption" if shown else "none"
                evidence.append(Evidence(sample.id, policy, visual.slot, kind, key if shown else None, 0))
        for tuned_on in POLICIES:
            for policy in POLICIES:
                answer = None if i == 2 else "A" if (i + len(policy)) % 2 else "B"
                if tuned_on == "none":
                    answer = "A"
                reply = HOSTILE if i == 0 else "A"
                common = (sample.id, sample.task, sample.split, policy, tuned_on, reply, answer, ())
                why = None if answer else "two answers"
                predictions.append(Prediction(*common, "f4", "tiny:reader-s", "generalist", why))
        ceiling = (sample.id, sample.task, sample.split, "ceiling/text", "", None, sample.target, ())
        predictions.append(Prediction(*ceiling, "scripted:ceiling-text", "scripted:ceiling-text"))
    for stage, kind, rows in (
        ("samples", Sample, samples),
        ("captions", Caption, captions),
        ("ballots", Ballot, ballots),
        ("evidence", Evidence, evidence),
        ("predictions", Prediction, predictions),
    ):
        write_rows(folder / "rows" / stage, kind, rows)
    (folder / "scores.json").write_text(json.dumps(make_scores()))
    (folder / "calls.json").write_text(json.dumps(CALLS))
    (folder / "recipe.yaml").write_text(f"name: little\ntitle: {json.dumps('A shop ' + HOSTILE)}\nhtml_samples: 300\n")
    record = {"id": "little", "lookwise": "0.1.0", "seed": 7, "state": "done", "versions": {"torch": HOSTILE}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("report") / "run")
