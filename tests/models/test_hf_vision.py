"""Vision-language checkpoints against transformers' own processor and model, one request at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from lookwise.errors import ModelError
from lookwise.message import Media, Message, TextPart, user
from lookwise.model import Generate, Rank, Request
from lookwise.models.hf.model import HFModel
from lookwise.models.hf.pictures import Pictures
from lookwise.models.open import open_model

LABELS = ("yes", "no", "A: very positive")


class Plain:
    """Transformers as its documentation shows it."""

    def __init__(self, folder: Path) -> None:
        loader: Any = AutoProcessor
        self.processor = loader.from_pretrained(folder)
        self.model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    def inputs(self, talk: Message, more: str = "") -> Any:
        parts = [{"type": "text", "text": p.text} if isinstance(p, TextPart) else {"type": "image"} for p in talk.parts]
        prompt = self.processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        images = [Image.open(m.source) for m in talk.media] or None
        return self.processor(images=images, text=[prompt + more], add_special_tokens=False, return_tensors="pt")

    def score(self, talk: Message, option: str) -> float:
        start = self.inputs(talk).input_ids.shape[1]
        inputs = self.inputs(talk, option)
        with torch.inference_mode():
            chances = self.model(**inputs).logits[0].log_softmax(-1)
        ids = inputs.input_ids[0]
        return float(sum(chances[i - 1, ids[i]] for i in range(start, len(ids))))

    def write(self, talk: Message, tokens: int) -> str:
        inputs = self.inputs(talk)
        with torch.inference_mode():
            found = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        ids = found[0, inputs.input_ids.shape[1] :]
        return str(self.processor.tokenizer.decode(ids, skip_special_tokens=True)).strip()


def talks(photos: list[Media]) -> list[Message]:
    """One picture, two, the same twice with text between, none."""
    return [
        user("query: red kettle", photos[0], "help?"),
        user(photos[1], photos[2], "and which?"),
        user(photos[0], "or", photos[3], photos[0]),
        user("no picture at all here, only a longer text about a kettle"),
    ]


@pytest.mark.parametrize("family", ["llava", "llava_next"])
def test_a_packed_batch_says_what_each_request_alone_says(
    family: str, saved: Callable[..., Path], photos: list[Media]
) -> None:
    folder = saved(family)
    model, plain = open_model(f"hf:{folder}"), Plain(folder)
    said = talks(photos)
    replies = model.answer([Request((t,), want) for t in said for want in (Rank(LABELS), Generate(8))])
    for i, talk in enumerate(said):
        expected = [plain.score(talk, option) for option in LABELS]
        assert replies[2 * i].scores == pytest.approx(expected, abs=1e-4)
        assert replies[2 * i + 1].text == plain.write(talk, 8)
        assert replies[2 * i].tokens_in == plain.inputs(talk).input_ids.shape[1]


@pytest.mark.parametrize("family", ["llava", "llava_next"])
def test_lengths_are_known_before_any_picture_is_opened(
    family: str, saved: Callable[..., Path], photos: list[Media]
) -> None:
    model = open_model(f"hf:{saved(family)}")
    for talk in talks(photos):
        request = Request((talk,), Rank(LABELS))
        real = model.answer([request])[0].tokens_in
        if family == "llava":
            assert model.length(request) == real
        else:  # depends on the picture's shape: never less, at most a crop more for each
            assert real <= model.length(request) <= real + 40 * len(talk.media)


def test_other_decoders_see_too(saved: Callable[..., Path], photos: list[Media]) -> None:
    folder = saved("llava", text="qwen2")
    (reply,) = open_model(f"hf:{folder}").answer([Request((talks(photos)[2],), Rank(LABELS))])
    assert reply.scores == pytest.approx([Plain(folder).score(talks(photos)[2], o) for o in LABELS], abs=1e-4)


def test_an_equal_picture_is_looked_at_once_with_equal_results(
    saved: Callable[..., Path], photos: list[Media], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(f"hf:{saved('llava')}")
    looked: list[int] = []
    look = Pictures._look

    def counted(self: Pictures, pixels: Any, **how: bool) -> Any:
        looked.append(len(pixels))
        return look(self, pixels, **how)

    monkeypatch.setattr(Pictures, "_look", counted)
    copies = [replace(photos[0], source=photos[0].source.replace("0.png", "./0.png")), photos[0]]
    batch = [Request((user(m, "help?"),), Rank(LABELS)) for m in (*copies, photos[1])]
    first, second = model.answer(batch), model.answer(batch)
    assert looked == [2]
    fresh = open_model(f"hf:{saved('llava')}").answer([batch[0]])[0]
    assert first[0].scores == pytest.approx(first[1].scores, abs=1e-5)
    assert first[0].scores == pytest.approx(second[0].scores, abs=1e-5)
    assert first[0].scores == pytest.approx(fresh.scores, abs=1e-5)
    assert abs(first[0].scores[0] - first[2].scores[0]) > 1e-3


def test_a_broken_picture_fails_alone(saved: Callable[..., Path], photos: list[Media], tmp_path: Path) -> None:
    model = open_model(f"hf:{saved('llava')}")
    (tmp_path / "cut.png").write_bytes(Path(photos[0].source).read_bytes()[:60])
    broken = [Media(str(tmp_path / "cut.png")), Media(str(tmp_path / "none.png"))]
    batch = [Request((user(m, "help?"),), Rank(LABELS)) for m in (broken[0], photos[0], broken[1])]
    for prepared in (False, True):
        if prepared:
            model.prepare(batch)  # type: ignore[attr-defined]
        cut, good, none = model.answer(batch)
        assert good.ok
        assert cut.failure is not None
        assert none.failure == "no such file"


def test_pictures_prepared_in_another_thread_are_not_opened_again(
    saved: Callable[..., Path], photos: list[Media], tmp_path: Path
) -> None:
    model = open_model(f"hf:{saved('llava')}")
    assert isinstance(model, HFModel)
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(photos[2].source).read_bytes())
    batch = [Request((user(Media(str(copy)), "help?"),), Rank(LABELS))]
    model.prepare(batch)
    copy.unlink()
    expected = model.answer([Request((user(photos[2], "help?"),), Rank(LABELS))])[0].scores
    assert model.answer(batch)[0].scores == pytest.approx(expected, abs=1e-5)


def test_the_word_for_a_picture_in_a_user_s_text_makes_no_place_for_one(
    saved: Callable[..., Path], photos: list[Media]
) -> None:
    model = open_model(f"hf:{saved('llava')}")
    (reply,) = model.answer([Request((user(photos[0], "a review that says <image>"),), Generate(2))])
    assert reply.ok


def test_a_video_is_refused_by_name(saved: Callable[..., Path]) -> None:
    model = open_model(f"hf:{saved('llava')}")
    with pytest.raises(ModelError, match="is given a video"):
        model.answer([Request((user(Media("a.mp4", "video"), "what?"),), Generate(2))])


def test_a_template_that_forgets_pictures_is_an_error(saved: Callable[..., Path], photos: list[Media]) -> None:
    model = open_model(f"hf:{saved('llava', template='{% for m in messages %}{{ m.role }}{% endfor %}')}")
    with pytest.raises(ModelError, match="made 0 places for 1 pictures"):
        model.length(Request((user(photos[0], "x"),), Generate(1)))
