"""Models from scratch: a tokenizer that encodes anything, models that Auto classes load, a captioner that learns."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from lookwise.errors import ModelError
from lookwise.message import Media, user
from lookwise.training.examples import Encoder, Example
from lookwise.training.scratch import Eyes, build_tokenizer, new_llava, new_reader, train_whole
from lookwise.training.tower import Seen, TowerSettings, alter_photo, train_tower
from lookwise.training.tune import TuneSettings, tune

COLOURS = ("red", "green", "blue")
SHAPES = ("disc", "box")
EYES = Eyes(side=32, widths=(8, 16), depths=(1, 1), heads=(1, 2))
Maker = Callable[..., list[Example]]


class Interrupted(Exception):
    pass


def draw(folder: Path, n: int) -> list[tuple[Media, int, int]]:
    """Coloured discs and boxes on grey."""
    rng = random.Random(7)
    made = []
    for i in range(n):
        colour, shape = rng.randrange(3), rng.randrange(2)
        image = Image.new("RGB", (40, 40), (128, 128, 128))
        x, y = rng.randrange(4, 14), rng.randrange(4, 14)
        pen = ImageDraw.Draw(image)
        (pen.ellipse if shape == 0 else pen.rectangle)((x, y, x + 20, y + 20), fill=COLOURS[colour])
        path = folder / f"{i}.png"
        image.save(path)
        made.append((Media(str(path)), colour, shape))
    return made


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Media, int, int]]:
    return draw(tmp_path_factory.mktemp("drawn"), 96)


def captions(drawn: list[tuple[Media, int, int]]) -> list[Example]:
    return [
        Example((user(picture, "what is this?"),), f"{COLOURS[c]} {SHAPES[s]}", "caption") for picture, c, s in drawn
    ]


def captioner():
    tokenizer = build_tokenizer(["what is this? red green blue disc box"] * 2)
    return new_llava(tokenizer, EYES, width=32, layers=1, heads=2, seed=3)


def test_any_text_can_be_encoded_and_frequent_words_are_whole() -> None:
    tokenizer = build_tokenizer(["Red kettle, 250 ml", "a red KETTLE"])
    assert tokenizer.tokenize("Red kettle") == ["red", "kettle"]
    assert tokenizer.tokenize("lid") == ["l", "##i", "##d"]
    assert tokenizer.unk_token_id not in tokenizer("Zebra-lid 9,50 + (new)!", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(tokenizer("red lid", add_special_tokens=False)["input_ids"]) == "red lid"
    assert tokenizer("漢", add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id]
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}) == 3
    again = build_tokenizer(["a red KETTLE", "Red kettle, 250 ml"])
    assert again.get_vocab() == tokenizer.get_vocab()


def test_a_reader_is_the_same_for_a_seed_and_loads_through_auto_classes(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(["red kettle"] * 2)
    model = new_reader(tokenizer, 32, 1, 2, seed=5)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = AutoTokenizer.from_pretrained(tmp_path)("red kettle", return_tensors="pt")["input_ids"]
    assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
    assert torch.equal(new_reader(tokenizer, 32, 1, 2, seed=5).lm_head.weight, model.lm_head.weight)


def test_a_whole_reader_learns_from_scratch(shop_examples: Maker, tmp_path: Path) -> None:
    examples = shop_examples(40)
    tokenizer = build_tokenizer([e.conversation[0].text + " yes no" for e in examples])
    model = new_reader(tokenizer, 32, 1, 2)
    out = train_whole(
        model, tokenizer, examples, examples, tmp_path / "m", TuneSettings(batch=8, epochs=10, learning_rate=1e-2)
    )
    facts = json.loads((out / "card.json").read_text())
    assert facts["best"]["accuracy"] >= 0.5
    assert facts["history"][-1]["loss"] < 0.75
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())


def test_a_captioner_learns_to_see_and_resumes_exactly(drawn, tmp_path: Path) -> None:
    examples = captions(drawn)
    settings = TuneSettings(batch=16, epochs=12, learning_rate=5e-3, save_every=7)

    def stop(progress: object) -> None:
        if progress.step == 17:
            raise Interrupted

    def altered(image: Image.Image, rng: random.Random) -> Image.Image:
        return image.rotate(rng.uniform(-10, 10))

    folders = tmp_path / "whole", tmp_path / "cut"
    train_whole(*captioner(), examples[:80], examples[80:], folders[0], settings, augment=altered)
    with pytest.raises(Interrupted):
        train_whole(*captioner(), examples[:80], examples[80:], folders[1], settings, augment=altered, watch=stop)
    train_whole(*captioner(), examples[:80], examples[80:], folders[1], settings, augment=altered)
    assert (folders[0] / "model.safetensors").read_bytes() == (folders[1] / "model.safetensors").read_bytes()

    model = AutoModelForImageTextToText.from_pretrained(folders[0]).eval()
    processor = AutoProcessor.from_pretrained(folders[0])
    right = 0
    for example in examples[80:]:
        text = Encoder(processor, "captioner").render(example.conversation)
        image = Image.open(example.conversation[0].media[0].source)
        inputs = processor(text=[text], images=[image], return_tensors="pt", add_special_tokens=False)
        said = model.generate(**inputs, max_new_tokens=3, do_sample=False, pad_token_id=0)[
            0, inputs["input_ids"].shape[1] :
        ]
        right += processor.tokenizer.decode(said, skip_special_tokens=True).split()[:1] == example.answer.split()[:1]
    assert right >= 10  # of 16; one colour of three by chance: about 5


def test_image_tokens_are_those_of_the_processor(drawn) -> None:
    _, processor = captioner()
    encoder = Encoder(processor, "captioner")
    example = captions(drawn)[0]
    (row,) = encoder.encode([example])
    image = Image.open(example.conversation[0].media[0].source)
    asked = processor(text=[encoder.render(example.conversation)], images=[image], add_special_tokens=False)
    assert list(row.ids[: row.start]) == list(asked["input_ids"][0])
    assert row.ids.count(processor.tokenizer.convert_tokens_to_ids("<image>")) == 16


def test_an_adapter_on_a_captioner_leaves_its_tower_alone(drawn, tmp_path: Path) -> None:
    model, processor = captioner()
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    examples = [replace(e, options=("red", "green", "blue"), answer=e.answer.split()[0]) for e in captions(drawn)]
    examples.append(Example((user("what is this?"),), "red", "text", ("red", "green", "blue")))  # a row without picture
    settings = TuneSettings(batch=16, epochs=2, learning_rate=1e-2, projector=True, rank=4, alpha=4)
    out = tune(f"hf:{tmp_path / 'base'}", examples[:80], examples[80:], tmp_path / "adapter", settings)
    facts = json.loads((out / "card.json").read_text())
    assert facts["modules"]["linear_1"] == facts["modules"]["linear_2"] == 1
    assert facts["merge_error"] < 1e-4
    assert set(facts["best"]["tasks"]) == {"caption", "text"}
    from safetensors import safe_open

    with safe_open(out / "adapter_model.safetensors", "pt") as tensors:
        assert not [name for name in tensors.keys() if "vision_tower" in name]  # noqa: SIM118


def test_a_tower_learns_classes_and_goes_on_where_it_was_cut(drawn, tmp_path: Path) -> None:
    seen = [Seen(picture, (c, s)) for picture, c, s in drawn]
    settings = TowerSettings(epochs=8, batch=16, learning_rate=5e-3)

    def stop(epoch: int, epochs: int, loss: float) -> None:
        if epoch == 3:
            raise Interrupted

    model, processor = captioner()
    reached = train_tower(model, processor, seen[:72], seen[72:], tmp_path / "a", settings, alter_photo)
    assert reached[0] > 0.6  # colour; chance is a third
    other, _ = captioner()
    with pytest.raises(Interrupted):
        train_tower(other, processor, seen[:72], seen[72:], tmp_path / "b", settings, alter_photo, stop)
    fresh, _ = captioner()
    assert train_tower(fresh, processor, seen[:72], seen[72:], tmp_path / "b", settings, alter_photo) == reached
    files = [tmp_path / name / "tower.safetensors" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    again, _ = captioner()
    assert train_tower(again, processor, seen[:72], seen[72:], tmp_path / "a", settings, alter_photo) == reached
    name = "model.vision_tower.stages.0.patch_embeddings.proj.weight"
    weights = {n: w for n, w in model.named_parameters() if "vision_tower" in n}
    same = dict(again.named_parameters())
    assert weights
    assert all(torch.equal(w, same[n]) for n, w in weights.items()), name


def test_only_llava_class_models_take_pictures_so_far() -> None:
    _, processor = captioner()

    class OtherProcessor(type(processor)):
        pass

    other = OtherProcessor(processor.image_processor, processor.tokenizer, chat_template="x")
    with pytest.raises(ModelError, match="LLaVA-class"):
        Encoder(other, "other")
