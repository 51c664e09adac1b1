"""Label accuracy by ranking: one forward where first tokens differ, whole options otherwise, equal to a naive count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lookwise.message import user
from lookwise.training.accuracy import Accuracy, Ranking
from lookwise.training.examples import Encoder, Example

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def opened(tiny_base: Path):
    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    return model, Encoder(AutoTokenizer.from_pretrained(tiny_base), "tiny")


@torch.no_grad()
def naive(opened, example: Example) -> list[float]:
    """One option at a time, end of turn included."""
    model, encoder = opened
    prompt = list(encoder.prompts([example.conversation])[0].ids)
    scores = []
    for ending in encoder.endings(example.conversation, example.options):
        logs = model(torch.tensor([prompt + list(ending)])).logits[0].log_softmax(-1)
        scores.append(sum(float(logs[len(prompt) + i - 1, token]) for i, token in enumerate(ending)))
    return scores


def test_options_sharing_a_beginning_are_ranked_as_a_whole(opened) -> None:
    options = ("red", "red kettle", "red kettle new", "blue")
    examples = [
        Example((user(f"query {word}"),), answer, "t", options)
        for word in ("sturdy", "small", "large")
        for answer in options
    ]
    model, encoder = opened
    expected = []
    for example in examples:
        scores = naive(opened, example)
        expected.append(options[scores.index(max(scores))] == example.answer)
    measured = Ranking(examples, encoder, None).measure(model, CPU, tokens=100)
    assert measured.tasks == {"t": sum(expected) / len(expected)}


def test_first_tokens_rank_in_one_forward(opened, shop_examples: Callable[..., list[Example]], monkeypatch) -> None:
    from lookwise.training import accuracy

    calls = []
    real = accuracy.answer_logits

    def counted(model: object, batch: object) -> torch.Tensor:
        calls.append(batch)
        return real(model, batch)

    monkeypatch.setattr(accuracy, "answer_logits", counted)
    model, encoder = opened
    examples = [*shop_examples(12), *shop_examples(6, seed=3, task="other")]
    measured = Ranking(examples, encoder, None).measure(model, CPU, tokens=10_000)
    assert len(calls) == 1
    right: dict[str, list[bool]] = {}
    with torch.no_grad():
        for example in examples:
            ids = encoder.prompts([example.conversation])[0].ids
            logits = model(torch.tensor([ids])).logits[0, -1]
            firsts = [float(logits[e[0]]) for e in encoder.endings(example.conversation, example.options)]
            best = example.options[firsts.index(max(firsts))]
            right.setdefault(example.task, []).append(best == example.answer)
    assert measured.tasks == {task: sum(hits) / len(hits) for task, hits in right.items()}
    assert measured.mean == pytest.approx(sum(measured.tasks.values()) / 2)


def test_loss_is_the_mean_over_all_supervised_tokens(opened) -> None:
    model, encoder = opened
    examples = [Example((user("red"),), "new small", "t"), Example((user("blue large"),), "no", "t")]
    total = count = 0.0
    with torch.no_grad():
        for row in encoder.encode(examples):
            ids = torch.tensor([row.ids])
            labels = ids.clone()
            labels[:, : row.start] = -100
            total += float(model(ids, labels=labels).loss) * row.supervised
            count += row.supervised
    measured = Ranking(examples, encoder, None).measure(model, CPU, tokens=100)
    assert measured.loss == pytest.approx(total / count, abs=1e-5)
    assert measured.mean is None
    assert measured.value == -measured.loss


def test_what_a_checkpoint_is_chosen_by() -> None:
    assert Accuracy({"a": 0.5}, 0.5, 3.0).value == 0.5
