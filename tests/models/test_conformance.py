"""Every family on one tiny random checkpoint of its own: what it says in a batch equals what it says alone.

"Alone" is transformers as its documentation shows it: the family's own processor class, its own `generate`, one request
at a time.  docs/models.md lists what passes here (test_models_page.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from alone import TOKENS, Alone
from families import FAMILIES, Family
from PIL import Image
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from lookwise.errors import ModelError
from lookwise.message import Media, Message, system, user
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.frames import frames
from lookwise.models.heads import is_tied, untie
from lookwise.models.hf.eyes import CLIP_FRAMES
from lookwise.models.open import Needs, check_spec, open_model

OPTIONS = ("yes", "no", "A: very positive", "A: positive", "B")
SEEING = [f for f in FAMILIES if f.most]
MANY = [f for f in FAMILIES if f.most > 1]
TALKING = [f for f in FAMILIES if f.most != 1]


def named(some: list[Family]) -> Callable[[Any], Any]:
    """Run a test once for each of some families."""
    return pytest.mark.parametrize("family", some, ids=[f.name for f in some])


@dataclass(frozen=True)
class Pair:
    """A checkpoint opened both ways."""

    family: Family
    alone: Alone
    model: Any

    def check(self, talks: list[Message]) -> list[Reply]:
        """Ask everything in one batch, ranked and written, and compare each reply with the model alone."""
        batch = [Request((talk,), want) for talk in talks for want in (Rank(OPTIONS), Generate(TOKENS))]
        replies: list[Reply] = self.model.answer(batch)
        for i, talk in enumerate(talks):
            ranked, written = replies[2 * i], replies[2 * i + 1]
            expected = [self.alone.score(talk, option) for option in OPTIONS]
            assert ranked.scores == pytest.approx(expected, abs=1e-4)
            assert ranked.text == OPTIONS[max(range(len(OPTIONS)), key=expected.__getitem__)]
            inputs = self.alone.inputs(talk)
            assert written.text == self.alone.write(inputs)
            assert ranked.tokens_in == written.tokens_in == inputs.input_ids.shape[1]
        return replies


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Family], Pair]:
    """Return family -> its checkpoint, opened both ways, each once a session."""
    made: dict[str, Pair] = {}

    def get(family: Family) -> Pair:
        if family.name not in made:
            folder = families.save(family, tmp_path_factory.mktemp("family") / "checkpoint")
            made[family.name] = Pair(family, Alone(family, folder), open_model(f"hf:{folder}"))
        return made[family.name]

    return get


def texts() -> list[Message]:
    """Three prompts, one of them long."""
    return [user("query: red kettle"), user(f"a review: {'sturdy kettle ' * 20} helpful?"), user("yes or no?")]


@named(TALKING)
def test_text_only(family: Family, pairs: Callable[[Family], Pair]) -> None:
    replies = pairs(family).check(texts())
    assert len({reply.scores for reply in replies[::2]}) == 3  # the prompts matter


@named(SEEING)
def test_one_picture_each_of_different_sizes_in_one_batch(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media]
) -> None:
    asked = [user(photo, "what is it?") for photo in photos]
    replies = pairs(family).check(asked)
    assert len({reply.scores for reply in replies[::2]}) == len(photos)  # the pictures matter


@named(SEEING)
def test_lengths_are_known_without_looking(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media], tmp_path: Path
) -> None:
    """Never too short, so that batches fit; exact where the size of a picture tells."""
    model = pairs(family).model
    for photo in photos:
        request = Request((user(photo, "?"),), Generate(1))
        real = model.answer([request])[0].tokens_in
        assert model.length(request) == real if family.name.startswith("Qwen") else model.length(request) >= real
    absent = Request((user(Media(str(tmp_path / "none.png")), "?"),), Generate(1))
    assert model.length(absent) >= model.length(Request((user(photos[0], "?"),), Generate(1)))


@named(MANY)
def test_several_pictures_interleaved_beside_one_and_none(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media]
) -> None:
    several = user("first", photos[0], "then", photos[1], "or again", photos[0], "which?")
    pairs(family).check([several, user(photos[2], photos[3], "both?"), user(photos[1], "one?"), user("none?")])


@named([f for f in TALKING if f.system])
def test_a_system_turn_reaches_the_model(family: Family, pairs: Callable[[Family], Pair]) -> None:
    plain, told = pairs(family).model.answer(
        [Request(talk, Rank(OPTIONS)) for talk in ((user("?"),), (system("be brief: blue kettle, " * 4), user("?")))]
    )
    assert told.tokens_in > plain.tokens_in
    assert told.scores != plain.scores


@named(TALKING)
def test_a_left_padded_batch_of_transformers_says_the_same(family: Family, pairs: Callable[[Family], Pair]) -> None:
    pair = pairs(family)
    words = AutoTokenizer.from_pretrained(pair.alone.folder, padding_side="left")
    inputs = words([pair.alone.prompt(t) for t in texts()], add_special_tokens=False, padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = pair.alone.model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)
    expected = [
        str(words.decode(row, skip_special_tokens=True)).strip() for row in found[:, inputs.input_ids.shape[1] :]
    ]
    replies = pair.model.answer([Request((talk,), Generate(TOKENS)) for talk in texts()])
    assert [reply.text for reply in replies] == expected


@named(list(FAMILIES))
def test_the_same_request_in_other_company_says_the_same(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media]
) -> None:
    model = pairs(family).model
    first = user(photos[0], "what is it?") if family.most else texts()[0]
    others = [user(photos[3], "a longer question " * 6)] if family.most else texts()[1:]
    wanted = [Request((first,), Generate(TOKENS)), Request((first,), Generate(TOKENS, temperature=1.0, seed=4))]
    alone = model.answer(wanted)
    beside = model.answer([*(Request((o,), Generate(TOKENS + 9)) for o in others), *wanted])[-2:]
    assert [(r.text, r.tokens_out) for r in alone] == [(r.text, r.tokens_out) for r in beside]
    assert model.answer(wanted)[1].text == alone[1].text


@named(list(FAMILIES))
def test_writing_stops_at_the_end_of_a_turn_and_repeats_no_prompt(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media], tmp_path: Path
) -> None:
    alone = pairs(family).alone
    talk = user(photos[1], "kettle?") if family.most else texts()[0]
    said = alone.tokens(alone.inputs(talk))
    end = alone.words.convert_tokens_to_ids(family.tokens.turn or family.tokens.end)
    place = next(i for i, token in enumerate(said) if token != end and i > 0)
    folder = _ending(alone, said[place], end, tmp_path)
    model, twin = open_model(f"hf:{folder}"), Alone(family, folder)
    (reply,) = model.answer([Request((talk,), Generate(40))])
    expected = twin.tokens(twin.inputs(talk), 40)
    assert expected[-1] == end
    assert reply.tokens_out == len(expected) < 40
    assert reply.text == twin.words.decode(expected, skip_special_tokens=True).strip()
    assert talk.text not in (reply.text or "")


def _ending(alone: Alone, token: int, end: int, folder: Path) -> Path:
    """Return a copy of a checkpoint that ends its turn wherever it would have said a token."""
    shutil.copytree(alone.folder, folder / "ending")
    kind: Any = AutoModelForImageTextToText if alone.family.images else AutoModelForCausalLM
    model: Any = kind.from_pretrained(alone.folder, dtype=torch.float32)
    if is_tied(model):
        untie(model)
    head = (model.language_model if alone.family.name == "BLIP-2-OPT" else model).get_output_embeddings()
    with torch.no_grad():
        row = head.weight[token].clone()
        head.weight[end] = row if alone.family.penalty is None else 2 * row  # a prompt that holds it makes it unlikely
        head.weight[token] = -row
    model.save_pretrained(folder / "ending")
    return folder / "ending"


def test_a_turn_ends_where_the_template_ends_it_even_where_the_configuration_forgets(
    pairs: Callable[[Family], Pair], tmp_path: Path
) -> None:
    family = next(f for f in FAMILIES if f.name == "Llama 3")
    alone = pairs(family).alone
    talk = texts()[0]
    end = alone.words.convert_tokens_to_ids("<|eot_id|>")
    folder = _ending(alone, alone.tokens(alone.inputs(talk))[1], end, tmp_path)
    (folder / "generation_config.json").write_text('{"eos_token_id": 2}', encoding="utf-8")
    (reply,) = open_model(f"hf:{folder}").answer([Request((talk,), Generate(40))])
    assert reply.tokens_out < 40


@named([f for f in FAMILIES if f.name.startswith("Llama 3.")][:2])
def test_answers_do_not_depend_on_the_day(family: Family, pairs: Callable[[Family], Pair]) -> None:
    ids = pairs(family).model._encoder.encode((user("?"),)).ids
    assert "26 Jul 2024" in pairs(family).alone.words.decode(list(ids))


@named([f for f in SEEING if f.most == 1])
def test_a_family_for_one_picture_and_one_question_says_so(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media]
) -> None:
    model = pairs(family).model
    for talk, words in (
        ((user("no picture"),), "takes exactly one picture with each request, but is given none"),
        ((user(photos[0], photos[1], "which?"),), "but is given 2; name a llava model"),
        ((system("be brief"), user(photos[0], "?")), "single user's turn"),
    ):
        with pytest.raises(ModelError, match=words):
            model.answer([Request(talk, Generate(2))])


@named([f for f in FAMILIES if f.clips is None and f.most > 1])
def test_a_family_without_clips_says_which_have_them(family: Family, pairs: Callable[[Family], Pair]) -> None:
    with pytest.raises(ModelError, match=r"is given a video; give pictures, or name .* llava_onevision, qwen2"):
        pairs(family).model.answer([Request((user(Media("a.mp4", "video"), "what?"),), Generate(2))])


@named([f for f in SEEING if f.most == 1])
def test_what_a_family_lacks_is_said_before_it_loads(family: Family, pairs: Callable[[Family], Pair]) -> None:
    spec = f"hf:{pairs(family).alone.folder}"
    check_spec(spec, needs=Needs(1, 1))
    for needs, words in (
        (Needs(0, 1), "exactly one picture with each request, but is given none; name a llava model"),
        (Needs(1, 8), "is given 8"),
        (Needs(1, 1, clips=True), "is given a video"),
        (Needs(1, 1, turns=True), "holds no conversation"),
    ):
        with pytest.raises(ModelError, match=f"^model {spec!r} .*{words}"):
            check_spec(spec, needs=needs)


@pytest.fixture
def clip(tmp_path: Path) -> Media:
    """An animation of ten frames, each another picture."""
    frames = [Image.linear_gradient("L").rotate(25 * i).resize((60, 40)).convert("RGB") for i in range(10)]
    frames[0].save(tmp_path / "clip.gif", save_all=True, append_images=frames[1:], duration=100)
    return Media(str(tmp_path / "clip.gif"), "video")


@named([f for f in FAMILIES if f.clips])
def test_a_clip_among_pictures(
    family: Family, pairs: Callable[[Family], Pair], photos: list[Media], clip: Media
) -> None:
    """The frames' pixels are ours; where they stand, what they become and what follows is the model's own pass."""
    pair = pairs(family)
    talks = [user(clip, "what moves?"), user(clip, photos[0], "the same?"), user("no clip")]
    replies = pair.model.answer([Request((t,), w) for t in talks for w in (Rank(OPTIONS), Generate(TOKENS))])
    assert len({reply.scores for reply in replies[::2]}) == 3
    clip_only = talks[0]
    inputs = clip_inputs(pair, clip_only, clip)
    start = inputs["input_ids"].shape[1]
    assert replies[0].tokens_in == start
    assert replies[1].text == pair.alone.write(inputs)
    for option, score in zip(OPTIONS, replies[0].scores, strict=True):
        longer = clip_inputs(pair, clip_only, clip, family.lead + option)
        assert pair.alone.chance(longer, start) == pytest.approx(score, abs=1e-4)


def clip_inputs(pair: Pair, talk: Message, clip: Media, more: str = "") -> dict[str, Any]:
    """Return what the family's own processor would return for a clip of these frames."""
    family, words = pair.family, pair.alone.words
    pixels = pair.model._pictures._eyes.clip(frames(clip.source, CLIP_FRAMES))
    content = [{"type": "video"}, {"type": "text", "text": talk.text}]
    text = words.apply_chat_template(
        [{"role": "user", "content": content}], chat_template=families.template(family), tokenize=False,
        add_generation_prompt=True,
    )  # fmt: skip
    marks, given, kind = _clip_marks(family, pixels)
    ids = words(text.replace(kind, marks) + more, add_special_tokens=False, return_tensors="pt").input_ids
    if "video_grid_thw" in given:
        given["mm_token_type_ids"] = (ids == words.convert_tokens_to_ids(kind)).int() * 2
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **given}


def _clip_marks(family: Family, pixels: dict[str, torch.Tensor]) -> tuple[str, dict[str, torch.Tensor], str]:
    """Return what stands in the text for a clip, the model's inputs, and the template's own mark."""
    if family.name.startswith("Qwen"):
        grid = pixels["grid"]
        given = {"pixel_values_videos": pixels["clip"], "video_grid_thw": grid}
        return "<|video_pad|>" * (int(grid.prod()) // 4), given, "<|video_pad|>"
    if family.name == "InternVL":
        frame = f"<img>{'<IMG_CONTEXT>' * 4}</img>"
        shown = "\n".join(f"Frame{i + 1}: {frame}" for i in range(CLIP_FRAMES))
        return shown, {"pixel_values": pixels["frames"]}, "<video>"
    tokens = CLIP_FRAMES * 4 + (family.name == "LLaVA-OneVision")  # 16 patches pooled to 4, and a line's end
    return "<video>" * tokens, {"pixel_values_videos": pixels["clip"]}, "<video>"


def test_every_family_is_of_the_kind_that_its_checkpoint_says(pairs: Callable[[Family], Pair]) -> None:
    from lookwise.models.hf.families import ABILITIES

    shown = {AutoConfig.from_pretrained(pairs(f).alone.folder).model_type: f for f in FAMILIES}
    for kind, family in shown.items():
        can = ABILITIES[kind]
        assert (can.pictures, can.clips, can.turns) == (
            {0: "none", 1: "one"}.get(family.most, "many"), family.clips is not None, family.turns
        )  # fmt: skip
    assert {kind for kind, can in ABILITIES.items() if can.pictures != "none"} <= set(shown)
