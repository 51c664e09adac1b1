"""The grocery folder: samples that follow from seed and photo, declared shares, reasons for rows that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from grocery_shop import TASKS, make_shop

from lookwise.benchmarks.grocery import EXAMPLES, GROCERY
from lookwise.errors import DataError
from lookwise.sample import Sample
from lookwise.sources.grocery import TOPICS, caption_of, named_kind, open_shop, read, samples_of
from lookwise.sources.rejected import Rejected

REAL = Path(__file__).parents[3] / "shared" / "data" / "grocery"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the grocery folder is not here")


def found(folder: Path, seed: int = 1, splits: tuple[str, ...] = ("train", "val", "test")) -> list[Sample]:
    return [s for s in read(folder, tasks=TASKS, splits=splits, seed=seed) if isinstance(s, Sample)]


def test_one_sample_per_task_and_photo_the_same_for_a_seed(tmp_path: Path) -> None:
    folder = make_shop(tmp_path)
    samples = found(folder)
    assert len(samples) == 2 * 32
    assert len({s.id for s in samples}) == len(samples)
    assert samples == found(folder)
    assert samples != found(folder, seed=2)
    assert {s.split for s in found(folder, splits=("test",))} == {"test"}
    for sample in samples:
        task = GROCERY.task(sample.task)
        assert sample.target in task.answers(sample)
        assert task.parse["robust"](sample.target, sample) == sample.target


def test_a_hidden_title_keeps_grade_and_origin_and_never_the_kind(tmp_path: Path) -> None:
    shop = open_shop(make_shop(tmp_path))
    photo = shop.of("train")[0]
    titles = {s.subset: s.text("title") for i in range(30) for s in samples_of(shop, photo, TASKS[:1], str(i))}
    assert titles == {"hidden": "Class 1, Italy, ca 200g", "told": "Apple Red Class 1, Italy, ca 180g"}
    questions = {(s.subset, s.text("question")) for i in range(60) for s in samples_of(shop, photo, TASKS[1:], str(i))}
    assert all(("apple" in text) == (subset == "named") for subset, text in questions)


def test_a_caption_names_the_kind_first(tmp_path: Path) -> None:
    product = open_shop(make_shop(tmp_path)).products[0]
    assert caption_of(product) == "apple, red apple, fruit"
    assert named_kind(caption_of(product)) == "apple"


def test_folds_cut_every_product_in_the_order_of_the_table(tmp_path: Path) -> None:
    shop = open_shop(make_shop(tmp_path))
    folds = shop.folds(2)
    assert set(folds) == {p.image for p in shop.of("train")}
    for product in shop.products.values():
        mine = [folds[p.image] for p in shop.of("train") if p.product is product]
        assert mine == sorted(mine)
        assert set(mine) == {1, 2}


def test_bad_rows_have_reasons_and_stop_nothing(tmp_path: Path) -> None:
    folder = make_shop(tmp_path)
    good = len(found(folder))
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"")
    (folder / "images" / "link.jpg").symlink_to(outside)
    with (folder / "photos.csv").open("a") as file:
        file.write(
            "images/x.jpg,trian,0,0\nimages/x.jpg,train,99,0\n../outside.jpg,train,0,0\nimages/link.jpg,train,0,0\n"
        )
        file.write("images/train-0-0.png,train,0,0\n,train,0,0\nimages/y.jpg,train\n")
    reasons = [r.reason for r in read(folder, tasks=TASKS, splits=("train",), seed=1) if isinstance(r, Rejected)]
    said = (
        "unknown split 'trian'",
        "'99' is not in",
        "no path inside",
        "no path inside",
        "twice",
        "no image",
        "2 values",
    )
    assert len(reasons) == len(said)
    assert all(part in reason for part, reason in zip(said, reasons, strict=True))
    assert len(found(folder)) == good


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--set data=PATH"):
        open_shop(tmp_path / "nowhere")
    folder = make_shop(tmp_path)
    text = (folder / "products.csv").read_text()
    (folder / "products.csv").write_text(text.replace("coarse_name", "course_name", 1))
    with pytest.raises(DataError, match="coarse_name"):
        open_shop(folder)


@pytest.mark.parametrize("task", GROCERY.tasks, ids=lambda t: t.short)
def test_the_gold_answer_of_the_example_scores_one(task) -> None:
    sample = EXAMPLES[task.name]
    answer = task.parse["robust"](sample.target, sample)
    assert all(m.score([sample.target], [answer]) == 1.0 for m in task.metrics)


@real
def test_the_real_folder_has_what_the_recipe_says() -> None:
    shop = open_shop(REAL)
    assert [len(shop.of(split)) for split in ("train", "val", "test")] == [2640, 296, 1247]
    samples = found(REAL, splits=("test",))
    kinds = {p.kind.lower() for p in shop.products.values()}
    assert len(kinds) == 43
    hidden = [s for s in samples if s.subset == "hidden"]
    assert len(hidden) / 1247 == pytest.approx(0.6, abs=0.05)
    assert not [s for s in hidden if any(f" {k} " in f" {s.text('title').lower()} " for k in kinds)]
    assert {len(s.options) for s in samples if s.task.endswith("kind")} == {10}
    bare = [s for s in hidden if s.options and s.text("title") == "Class 1"]
    open_kinds = {p.kind for p in shop.products.values() if p.remains == "Class 1"}
    assert len(bare) > 100
    assert all(open_kinds.issuperset(s.options) for s in bare)
    for topic in TOPICS.values():
        mine = [s.target for s in samples if s.options == () and s.text("question").startswith(topic[0].split("{")[0])]
        assert 0.05 < mine.count("yes") / len(mine) < 0.95, topic
