"""Bench (e): captions of many pictures, in Lookwise's loop and one picture at a time.

    OMP_NUM_THREADS=1 python bench/captions.py [--pictures 500] [--alone 25] [--rounds 3] [--tokens 32]

A random LLaVA (CLIP tower of 96-pixel pictures in 36 patches, 6 layers, width 192; Llama, 6 layers, width 256; its size
is printed) captions JPEG files of 200 to 500 pixels, greedily, up to so many tokens.  The other side is the published
way: open a picture, run the checkpoint's own processor, call `generate`, unmodified, one picture at a time, everything
loaded before its clock starts; a part of the pictures is timed and scaled to all.  Ours is the loop with the caption
stage: opening the checkpoint, reading pictures and storing every reply are on the clock.  Sides take turns.

The model's head gives the markers no chance, so both sides write all the tokens that they are given.  The captions of
the pictures that both saw are compared as text, and the bench fails when fewer than 95 % are equal (two nearly equal
logits may change places when sums are taken in another order).
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from checkpoints import TASK, WORDS, Clock, parameters, word_tokenizer
from PIL import Image

from lookwise.benchmarks.rendering import caption_conversation
from lookwise.inference import ModelSource, run_stage
from lookwise.message import Media
from lookwise.model import Generate
from lookwise.models.open import fingerprint, open_model
from lookwise.runs.ledger import Ledger
from lookwise.runs.replies import ReplyStore
from lookwise.sample import Sample, Visual
from lookwise.stages.caption import CaptionStage

TARGET = 6
EQUAL = 0.95
SIDE, PATCH = 96, 16
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% for p in m.content %}"
    "{{ ' <image> ' if p.type == 'image' else p.text }}{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def draw(folder: Path, count: int) -> list[Sample]:
    """Return samples that show one new picture each, with a query and a title."""
    rng = random.Random(3)
    folder.mkdir()
    samples = []
    for i in range(count):
        size = rng.randint(200, 500), rng.randint(200, 500)
        shade = Image.linear_gradient("L").rotate(rng.randrange(360)).resize(size)
        grain = Image.effect_noise(size, rng.uniform(10, 80))
        path = folder / f"{i}.jpg"
        Image.merge("RGB", (shade, grain, Image.new("L", size, rng.randrange(256)))).save(path, quality=90)
        fields = (
            ("query", " ".join(rng.choices(WORDS, k=3))),
            ("product title", " ".join(rng.choices(WORDS, k=rng.randint(6, 14)))),
        )
        visual = Visual("product", Media(str(path), digest=f"{i:064x}"))
        samples.append(Sample(f"bench-{i}", "mmecinstruct", TASK.name, "test", fields, visuals=(visual,)))
    return samples


def save_model(folder: Path, texts: Sequence[str]) -> Path:
    """Save a random LLaVA with its processor."""
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = word_tokenizer(texts, TEMPLATE)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
    vision = CLIPVisionConfig(
        hidden_size=192, intermediate_size=768, num_hidden_layers=6, num_attention_heads=6, image_size=SIDE,
        patch_size=PATCH,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=256, intermediate_size=688, num_hidden_layers=6, num_attention_heads=8,
        max_position_embeddings=1024, tie_word_embeddings=False, initializer_range=0.1, pad_token_id=0, eos_token_id=1,
        bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="default", initializer_range=0.1,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():  # a marker's logit is always 0, which is never the largest: no caption ends early
        model.lm_head.weight[tokenizer.convert_tokens_to_ids(tokenizer.all_special_tokens)] = 0
    model.save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    LlavaProcessor(
        image_processor=images, tokenizer=tokenizer, patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, image_token="<image>", chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return folder


class Alone:
    """The published way: one picture, one prompt, one call of `generate`."""

    def __init__(self, folder: Path, tokens: int) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self._processor: Any = AutoProcessor.from_pretrained(folder)
        self._model: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
        self._tokens = tokens
        self.written: list[int] = []

    def captions(self, samples: Sequence[Sample]) -> list[str]:
        """Return a caption of every sample's picture."""
        return [self._one(sample) for sample in samples]

    def _one(self, sample: Sample) -> str:
        visual = sample.visuals[0]
        question = caption_conversation(TASK, sample, visual, "caption")[0].text
        talk = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        prompt = self._processor.apply_chat_template(talk, add_generation_prompt=True)
        with Image.open(visual.media.source) as image:
            inputs = self._processor(images=image.convert("RGB"), text=prompt, return_tensors="pt")
        out = self._model.generate(**inputs, do_sample=False, max_new_tokens=self._tokens, pad_token_id=0)
        new = out[0, inputs["input_ids"].shape[1] :]
        self.written.append(len(new))
        return str(self._processor.decode(new, skip_special_tokens=True))


def ours(folder: Path, samples: Sequence[Sample], tokens: int, store: Path) -> dict[str, str]:
    """Return the captions of our loop by sample id, from an empty store on disk."""
    spec = f"hf:{folder}"
    source = ModelSource("captioner", lambda: open_model(spec), lambda: fingerprint(spec))
    store.unlink(missing_ok=True)
    stage = CaptionStage({TASK.name: TASK}, Generate(max_new_tokens=tokens))
    with ReplyStore(store) as replies:
        rows = run_stage(stage, samples, models={"captioner": source}, replies=replies, ledger=Ledger(run="bench"))
    failed = [row.reason for mine in rows.values() for row in mine if row.reason is not None]
    if failed:
        raise SystemExit(f"{len(failed)} captions failed: {failed[0]}")
    return {name: row.text or "" for name, (row,) in rows.items()}


def main() -> None:
    """Measure both sides and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--alone", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=32)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench(args, Path(name))


def bench(args: argparse.Namespace, work: Path) -> None:
    """Run the rounds and print what they gave."""
    samples = draw(work / "pictures", args.pictures)
    asked = [caption_conversation(TASK, s, s.visuals[0], "caption")[0].text for s in samples]
    folder = save_model(work / "model", asked)
    alone, some = Alone(folder, args.tokens), samples[: args.alone]
    alone.captions(some[:1])
    one, all_ = Clock(), Clock()
    for _ in range(args.rounds):
        with one.on():
            said = alone.captions(some)
        with all_.on():
            found = ours(folder, samples, args.tokens, work / "replies.sqlite")
    equal = sum(" ".join(a.split()) == found[s.id] for a, s in zip(said, some, strict=True))
    scale = args.pictures / len(some)
    wall, processor = one.median() * scale / all_.median(), one.median(True) * scale / all_.median(True)
    print(
        f"LLaVA of {parameters(folder):,} parameters; {args.pictures} pictures, {scale:g} x {len(some)} alone; "
        f"{sum(alone.written) / len(alone.written):.1f} tokens a caption\n"
        f"equal captions {equal}/{len(some)}\n"
        f"alone   {one.median() * scale:8.1f} s (cpu {one.median(True) * scale:.1f})\n"
        f"loop    {all_.median():8.1f} s (cpu {all_.median(True):.1f})\n"
        f"{wall:.1f} times by the clock, {processor:.1f} by the processor; target {TARGET}"
    )
    if equal < EQUAL * len(some):
        raise SystemExit("captions differ: the comparison means nothing")


if __name__ == "__main__":
    main()
