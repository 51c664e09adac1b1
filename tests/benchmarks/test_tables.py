"""The published tables: transcribed rightly (they agree with each other and the text's sums), with their notes."""

import statistics

import pytest

from lookwise.benchmarks.mmecinstruct import MMECINSTRUCT
from lookwise.benchmarks.mmla import DATASETS
from lookwise.benchmarks.tables import published, published_cells, remarks

CELLS = published("mmecinstruct")
PRIMARY = [(t.short, "test", t.metrics[0].name) for t in MMECINSTRUCT.tasks]
OOD = [(t.short, "ood", t.metrics[0].name) for t in MMECINSTRUCT.tasks if "ood" in t.splits]
BASELINES = (
    "ft-FashionCLIP",
    "ft-Llama-2-13B",
    "ft-Mistral-7B-v0.3",
    "ft-Llama-3.2-3B",
    "eCeLLM-L",
    "eCeLLM-M",
    "ft-LLaVA-NExT-Interleave",
    "SoTA task-specific",
)


def row(table, system, columns):
    found = {
        (c.task, c.split, c.metric): c.value for c in CELLS if c.source.endswith(f", {table}") and c.system == system
    }
    return [found[column] for column in columns]


def gain(ours, theirs):
    """Mean improvement in percent, as the paper's text computes it."""
    return statistics.mean(100 * (a - b) / b for a, b in zip(ours, theirs, strict=True) if b)


def test_every_system_stands_in_table_2_with_all_twelve_cells():
    cells = [c for task, split, metric in PRIMARY + OOD for c in published_cells("mmecinstruct", task, split, metric)]
    assert len(cells) == 12 * 11
    assert {c.source for c in cells} == {"arXiv:2410.17337v1, Table 2"}


def test_table_2_agrees_with_the_appendix_except_where_a_note_says_so():
    main = {(c.system, c.task, c.split, c.metric): c for c in CELLS if c.source.endswith(", Table 2")}
    differ = set()
    compared = 0
    for cell in CELLS:
        twin = main.get((cell.system.removesuffix("-MV"), cell.task, cell.split, cell.metric))
        if ", Table A" in cell.source and twin is not None:
            compared += 1
            if twin.value != cell.value:
                differ.add((cell.system, cell.task))
                assert cell.note
    assert compared > 120
    assert differ == {
        ("CASLIE-L-MV", "product_substitute_identification"),
        ("CASLIE-M-MV", "multiclass_product_classification"),
        ("ft-Llama-3.2-3B", "sequential_recommendation"),
    }


def test_f1_is_the_harmonic_mean_where_the_heading_says_macro():
    for task in ("answerability_prediction", "product_substitute_identification"):
        rows = {(c.system, c.split) for c in CELLS if c.task == task and c.metric == "precision"}
        for system, split in rows:
            cell = {
                c.metric: c
                for c in CELLS
                if (c.system, c.task, c.split) == (system, task, split)
                and ", Table A" in c.source
                and "A9" not in c.source
            }
            p, r = cell["precision"].value, cell["recall"].value
            assert cell["f1"].value == pytest.approx(2 * p * r / (p + r), abs=1.5e-3), (system, split)
            assert "harmonic mean" in cell["f1"].note


@pytest.mark.parametrize(
    ("baseline", "percent"), list(zip(BASELINES, (45.8, 17.8, 6.5, 15.1, 25.2, 37.1, 52.9, 22.1), strict=True))
)
def test_the_texts_gains_of_caslie_m_over_each_baseline(baseline, percent):
    ours, theirs = row("Table 2", "CASLIE-M", PRIMARY), row("Table 2", baseline, PRIMARY)
    assert gain(ours, theirs) == pytest.approx(percent, abs=0.06)


def test_the_texts_gains_out_of_domain():
    ours = row("Table 2", "CASLIE-M", OOD)
    assert gain(ours, row("Table 2", "ft-FashionCLIP", OOD)) == pytest.approx(85.1, abs=0.06)
    assert gain(ours, row("Table 2", "eCeLLM-L", OOD)) == pytest.approx(6.4, abs=0.06)
    best = [max(values) for values in zip(*(row("Table 2", f"CASLIE-{s}", OOD) for s in "LMS"), strict=True)]
    mistral = row("Table 2", "ft-Mistral-7B-v0.3", OOD)
    assert gain(best, mistral) == pytest.approx(3.35, abs=0.06)
    assert gain(ours, mistral) == pytest.approx(2.6, abs=0.06)


def test_the_texts_gains_of_captions_and_votes():
    four = row("Table 4", "CASLIE-M, captions by Llama-3.2-Vision-Instruct", PRIMARY)
    assert gain(four, row("Table 4", "CASLIE-M, captions by BLIP2-OPT-2.7B (no context)", PRIMARY)) == pytest.approx(
        4.5, abs=0.1
    )
    vote = row("Table A9", "CASLIE-M-MV", PRIMARY)
    assert gain(vote, row("Table A9", "CASLIE-M-UIA", PRIMARY)) == pytest.approx(4.4, abs=0.06)
    assert gain(vote, row("Table A9", "CASLIE-M, judge Llama-3.2-Vision", PRIMARY)) == pytest.approx(1.7, abs=0.06)


def test_captions_used_do_not_average_as_printed():
    used = [c for c in CELLS if c.metric == "captions_used_percent"]
    shares, average = used[:-1], used[-1]
    assert statistics.mean(c.value for c in shares) == pytest.approx(55.8, abs=0.05)
    assert (average.task, average.value) == ("average", 45.0)
    assert "55.8" in average.note


@pytest.mark.parametrize(
    ("system", "average"),
    [("Qwen2-VL-7B", 47.12), ("GPT-4o", 52.60), ("VideoLLaMA2-7B", 42.82), ("Llama3-8B", 44.06), ("Qwen2-7B", 48.45)],
)
def test_mmlas_average_is_weighted_by_test_size(system, average):
    cells = {c.task: c for c in published("mmla") if c.system == f"{system} (zero-shot)" and c.task in DATASETS}
    assert set(cells) == set(DATASETS)
    sizes = [DATASETS[name].test for name in cells]
    weighted = sum(c.value * n for c, n in zip(cells.values(), sizes, strict=True)) / sum(sizes)
    assert weighted == pytest.approx(average, abs=0.06)
    assert all("Read by eye from a figure, 1 decimal" in c.note for c in cells.values())
    printed = [c for c in published("mmla") if c.system == f"{system} (zero-shot)" and c.task == "average"]
    assert printed[0].value == average


def test_mmlas_dev_sizes_add_up():
    left_out = ("MOSI", "IEMOCAP", "IEMOCAP-DA")
    assert sum(d.dev for name, d in DATASETS.items() if name not in left_out) == 6357
    assert sum(d.train for name, d in DATASETS.items() if name not in left_out) == 41512


def test_a_benchmark_without_tables_has_none():
    assert published("mmie") == ()
    assert published_cells("mmie", "sa", "test", "average") == ()
    assert remarks("mmecinstruct")
