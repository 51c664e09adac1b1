"""A captioner with a convolutional tower from scratch: plain transformers load it, the engine asks it, it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from lookwise.message import Media, user
from lookwise.model import Generate, Request
from lookwise.models.open import open_model, takes_pictures
from lookwise.training.examples import Example
from lookwise.training.fresh import CaptionerShape, fresh_captioner
from lookwise.training.scratch import ConvEyes
from lookwise.training.tower import Seen

SHAPE = CaptionerShape(ConvEyes(32, 8, (8, 16, 32), (1, 1, 1), 2), 32, 1, 2, tower_epochs=2, epochs=2, batch=4)
COLOURS = ("red", "green", "blue", "white")


class Stopped(Exception):
    pass


class Counting:
    """A display that may stop the training: after so many steps of a title."""

    def __init__(self, title: str = "", steps: int = 0) -> None:
        self.title, self.steps, self.now = title, steps, ""

    def begin(self, title: str, total: int) -> None:
        self.now = title

    def advance(self, sent: int = 0, stored: int = 0) -> None:
        self.steps -= sent if self.now == self.title else 0
        if self.title == self.now and self.steps <= 0:
            raise Stopped

    def end(self) -> None:
        self.now = ""


def lessons(folder: Path) -> tuple[list[Example], list[Seen]]:
    examples, seen = [], []
    for number, colour in enumerate(COLOURS):
        path = folder / f"{colour}.png"
        Image.new("RGB", (32, 32), colour).save(path)
        picture = Media(str(path))
        examples += [Example((user(picture, "which colour?"),), colour, "caption")] * 2
        seen.append(Seen(picture, (number, number // 2)))
    return examples, seen * 2


@pytest.mark.parametrize("title", ["tower c", "train c"])
def test_it_loads_answers_and_goes_on_where_it_was_stopped(tmp_path: Path, title: str) -> None:
    examples, seen = lessons(tmp_path)
    whole = fresh_captioner(tmp_path / "whole" / "c", examples, seen, SHAPE, 1, checked=seen)
    with pytest.raises(Stopped):
        fresh_captioner(tmp_path / "cut" / "c", examples, seen, SHAPE, 1, checked=seen, display=Counting(title, 1))
    cut = fresh_captioner(tmp_path / "cut" / "c", examples, seen, SHAPE, 1, checked=seen)
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()

    model = AutoModelForImageTextToText.from_pretrained(whole).eval()
    processor = AutoProcessor.from_pretrained(whole)
    given = processor(
        images=Image.new("RGB", (40, 30), "red"), text="<|user|> <image> which colour?", return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(**given).logits
    assert torch.isfinite(logits).all()
    assert int((given["input_ids"] == model.config.image_token_index).sum()) == 4

    spec = f"hf:{whole}"
    assert takes_pictures(spec)
    opened = open_model(spec)
    reply = opened.answer([Request(examples[0].conversation, Generate(max_new_tokens=3))])[0]
    opened.close()
    assert reply.failure is None
