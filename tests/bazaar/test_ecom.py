"""The shop as EcomMMMU: the same samples as MMECInstruct's where both have the task, read back as drawn, same bytes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from lookwise.bazaar import words
from lookwise.bazaar.build import build
from lookwise.bazaar.cases import CLICK_SHARE, ECOM_TASKS, TASKS
from lookwise.bazaar.ceiling import decide
from lookwise.bazaar.ecom import make_ecom_split
from lookwise.bazaar.gallery import RIGHT, gallery_ceiling
from lookwise.bazaar.samples import Made, make_split, split_world
from lookwise.bazaar.truth import read_ceilings, read_drawn, read_utilities
from lookwise.benchmarks.ecommmmu import CANDIDATES, ECOMMMMU, VISION_SALIENT
from lookwise.errors import DataError
from lookwise.sample import Sample
from lookwise.sources.ecommmmu import read

SIZES = {"train": 2, "val": 1, "test": 1}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "shop"
    build(folder, 21, SIZES, size=16, layout="ecommmmu")
    return folder


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return [m for split, n in SIZES.items() for m in make_ecom_split(21, split, n)]  # type: ignore[arg-type]


def test_samples_come_back_as_they_were_drawn(shop: Path, made: list[Made]) -> None:
    found = [r for r in read(shop) if isinstance(r, Sample)]
    assert len(found) == len(list(read(shop))) == len(made) == 8 * 4
    for sample, m in zip(found, made, strict=True):
        expected = m.sample
        assert (sample.id, sample.task, sample.split) == (expected.id, expected.task, expected.split)
        assert (sample.fields, sample.options) == (expected.fields, expected.options)
        assert (sample.target, sample.subset) == (expected.target, expected.subset)
        places = [(v.slot, v.candidate, str((shop / v.media.source).resolve())) for v in expected.visuals]
        assert [(v.slot, v.candidate, v.media.source) for v in sample.visuals] == places
        assert sample.candidates == tuple(range(CANDIDATES))
        assert tuple(name for name, _ in sample.fields) == ECOMMMMU.task(sample.task).fields


def test_rows_bear_the_published_ids_and_columns(shop: Path) -> None:
    rows = json.loads((shop / "EcomMMMU.json").read_text())
    assert {row["task"] for row in rows} >= {"click-through_predction", "production_substitute_identification"}
    for row in rows:
        assert list(row) == ["task", "split", "instruction", "input", "output", "images", "is_vc"]
        assert isinstance(row["is_vc"], bool)
        assert all(len(product) == CANDIDATES for product in row["images"])


def test_every_picture_is_there(shop: Path) -> None:
    used = {v.media.source for s in read(shop) if isinstance(s, Sample) for v in s.visuals}
    assert used == {str(p.resolve()) for p in (shop / "images").iterdir()}


def test_truth_comes_back_with_a_utility_for_every_candidate(shop: Path, made: list[Made]) -> None:
    assert read_drawn(shop) == {m.sample.id: m.drawn for m in made}
    rows = read_utilities(shop)
    assert Counter(row.sample_id for row in rows) == {m.sample.id: CANDIDATES for m in made}
    assert any(set((row.kind or "").split(",")) <= set(RIGHT) for row in rows)
    assert len(read_ceilings(shop)) == 2 * len(made)


def test_same_seed_same_bytes_whatever_the_workers(shop: Path, tmp_path: Path) -> None:
    build(tmp_path / "again", 21, SIZES, size=16, workers=2, layout="ecommmmu")
    assert digests(tmp_path / "again") == digests(shop)


def test_another_layout_in_the_same_folder_is_refused(shop: Path) -> None:
    with pytest.raises(DataError, match="benchmark ecommmmu, not mmecinstruct"):
        build(shop, 21, SIZES, size=16)
    with pytest.raises(DataError, match="did you mean 'ecommmmu'"):
        build(shop, 21, SIZES, layout="ecomm")
    with pytest.raises(DataError, match="unknown split 'ood'"):
        build(shop, 21, {"ood": 1}, layout="ecommmmu")


def test_tasks_of_both_benchmarks_are_the_same_draws_in_the_same_words() -> None:
    shared = [task for task in ECOM_TASKS if task in TASKS]
    assert len(shared) == 6
    ours = {(m.drawn, m.sample.fields, m.sample.target) for m in make_ecom_split(5, "train", 3, shared)}
    theirs = {(m.drawn, m.sample.fields, m.sample.target) for m in make_split(5, "train", 3, shared)}
    assert ours == theirs


def test_vision_salient_is_what_no_text_reader_could_get_right() -> None:
    ceiling = gallery_ceiling(split_world("test"))
    found = list(make_ecom_split(2, "test", 25, ("binary_question_answering", "click_through_prediction")))
    for m in found:
        assert (m.sample.subset == VISION_SALIENT) == (decide(ceiling.posterior(m.drawn.case)) != m.sample.target)
    assert 0 < sum(m.sample.subset is not None for m in found) < len(found)


def test_shares_and_wording_of_the_two_new_tasks() -> None:
    found = list(make_ecom_split(3, "test", 400, ("binary_question_answering", "click_through_prediction")))
    clicks = Counter(m.sample.target for m in found if "click" in m.sample.task)
    assert abs(clicks["yes"] / 400 - CLICK_SHARE) < 4 * (CLICK_SHARE * (1 - CLICK_SHARE) / 400) ** 0.5
    assert sum(m.family == words.HELD_OUT for m in found) > 100
    known = set(words.lexicon())
    for m in found:
        if "binary" in m.sample.task:
            question = m.sample.text("question")
            assert question.endswith("?")
            ((attribute, value),) = m.drawn.case.asked
            assert words.facts_in(question) == {attribute: value}
            assert set(question.rstrip("?").replace(":", " ").replace(",", " ").split()) <= known
