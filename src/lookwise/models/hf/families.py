"""The architectures that can be asked, as plain tables: what a checkpoint's config.json may say in `model_type`.

In: a checkpoint's folder.  Out: whether it is known, and what it can be given.  Plain Python: a recipe is checked with
it before torch is loaded.  A family stands here once a test shows that packed answers equal those of the model called
alone (tests/models/test_hf_families.py, tests/models/test_conformance.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lookwise.errors import ModelError, nearest
from lookwise.message import Conversation

__all__ = [
    "ABILITIES",
    "OWN_CODE",
    "TEXT",
    "VISION",
    "Abilities",
    "Needs",
    "abilities_of",
    "classes_of",
    "code_of",
    "family_of",
    "lacks",
    "needs_of",
    "sees_pictures",
]

TEXT = ("gemma", "granite", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3")
"""Decoders that read text."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a family can be given: how many pictures a request may hold ("one": exactly one), clips, other turns.

    Without `turns` a request is a single user's turn: the family was made to go on with one text.
    """

    pictures: Literal["none", "one", "many"] = "none"
    clips: bool = False
    turns: bool = True


@dataclass(frozen=True, slots=True)
class Needs:
    """What requests will hold: at least and at most so many pictures each, clips, turns other than a single user's.

    `writes`: some of them want text written, and not only options ranked.
    """

    fewest: int = 0
    most: int = 0
    clips: bool = False
    turns: bool = False
    writes: bool = False


_EYES = {
    "blip-2": Abilities("one", turns=False),
    "internvl": Abilities("many", clips=True),
    "llava": Abilities("many"),
    "llava_next": Abilities("many"),
    "llava_next_video": Abilities("many", clips=True),
    "llava_onevision": Abilities("many", clips=True),
    "mllama": Abilities("many"),
    "qwen2_5_vl": Abilities("many", clips=True),
    "qwen2_vl": Abilities("many", clips=True),
}

ABILITIES: Mapping[str, Abilities] = {**dict.fromkeys(TEXT, Abilities()), **_EYES}
"""Every family that can be asked."""

VISION = tuple(_EYES)
"""Families that see."""

OWN_CODE = "own code"
"""The family of a checkpoint that transformers has no class for and whose own Python may be run: it reads text."""

_DECODERS: Mapping[str, tuple[str, ...]] = {
    "blip-2": ("opt",),
    **dict.fromkeys(("internvl", "llava", "llava_next", "llava_next_video", "llava_onevision"), TEXT),
}
"""Which decoders a family that sees may have, where it may have several."""


def needs_of(conversation: Conversation) -> Needs:
    """Return what a conversation needs."""
    media = [medium for message in conversation for medium in message.media]
    pictures = sum(medium.kind == "image" for medium in media)
    return Needs(pictures, pictures, pictures < len(media), [m.role for m in conversation] != ["user"])


def lacks(can: Abilities, needs: Needs) -> str | None:
    """Return why a family with these abilities cannot be given such requests, and what to do, as a sentence's end."""
    if can.pictures == "none" and (needs.most or needs.clips):
        what = "a picture" if needs.most else "a video"
        return f"reads text only, but is given {what}; name one that sees"
    if can.pictures == "one" and not needs.fewest == needs.most == 1:
        count = needs.most if needs.most != 1 else needs.fewest
        return f"takes exactly one picture with each request, but is given {count or 'none'}; name a llava model"
    if needs.clips and not can.clips:
        watching = ", ".join(sorted(name for name, able in ABILITIES.items() if able.clips))
        return f"is given a video; give pictures, or name a model of one of the families that watch: {watching}"
    if needs.turns and not can.turns:
        return "goes on with a single user's turn and holds no conversation; give one turn, or name a llava model"
    return None


def abilities_of(folder: Path, name: str, *, remote_code: bool = False) -> Abilities:
    """Return what a checkpoint can be given."""
    return ABILITIES.get(family_of(folder, name, remote_code=remote_code), Abilities())


def family_of(folder: Path, name: str, *, remote_code: bool = False) -> str:
    """Return a checkpoint's family; ModelError, naming the model as `name`, when it is none that can be asked.

    A checkpoint of another family that brings a class of its own is `OWN_CODE` where that code may be run.
    """
    config = _config(folder, name)
    family = str(config.get("model_type", ""))
    if family not in ABILITIES:
        return _foreign(folder, name, family, remote_code)
    decoders = _DECODERS.get(family, ())
    text = config.get("text_config")
    inner = text.get("model_type") if isinstance(text, dict) else None
    if decoders and inner is not None and inner not in decoders:
        cure = nearest(str(inner), decoders)
        raise ModelError(f"model {name!r}: its decoder is of the family {inner!r}; {cure}")
    return family


def classes_of(folder: Path, name: str) -> dict[str, str]:
    """Return a checkpoint's own classes by what they stand for ("AutoModelForCausalLM": "modeling_x.X")."""
    named = _config(folder, name).get("auto_map")
    return {str(k): v for k, v in named.items() if isinstance(v, str)} if isinstance(named, dict) else {}


def code_of(folder: Path, name: str) -> tuple[str, ...]:
    """Return the Python classes that a checkpoint's configuration names as its own ("modeling_x.XForCausalLM")."""
    found: list[str] = []
    for value in (_config(folder, name), _tokenizer_config(folder)):
        named = value.get("auto_map")
        for one in named.values() if isinstance(named, dict) else ():
            found += [ref for ref in (one if isinstance(one, list) else [one]) if isinstance(ref, str)]
    return tuple(dict.fromkeys(found))


def _foreign(folder: Path, name: str, family: str, remote_code: bool) -> str:
    """Return OWN_CODE, or say why a checkpoint of an unknown family cannot be asked."""
    if "AutoModelForCausalLM" not in classes_of(folder, name):
        raise ModelError(
            f"model {name!r} is of the family {family!r}, which cannot be asked in this process; "
            f"{nearest(family, ABILITIES)}; or serve it and name its address (docs/models.md)"
        )
    if not remote_code:
        raise ModelError(
            f"model {name!r} is of the family {family!r}, whose Python code comes with the checkpoint and is not run "
            f"unasked; read that code and permit it with remote_code: [{name!r}] in the recipe, or serve the model and "
            "name its address (docs/models.md)"
        )
    return OWN_CODE


def sees_pictures(folder: Path, name: str, *, remote_code: bool = False) -> bool:
    """Return whether a checkpoint takes pictures."""
    return abilities_of(folder, name, remote_code=remote_code).pictures != "none"


def _tokenizer_config(folder: Path) -> dict[str, object]:
    path = folder / "tokenizer_config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        return {}  # said when the tokenizer is loaded
    return value if isinstance(value, dict) else {}


def _config(folder: Path, name: str) -> dict[str, object]:
    path = folder / "config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"model {name!r}: {folder} holds no config.json; expected a saved checkpoint") from None
    except ValueError:
        raise ModelError(f"model {name!r}: its config.json is not JSON; save the checkpoint again") from None
    if not isinstance(value, dict):
        raise ModelError(f"model {name!r}: its config.json holds no keys; save the checkpoint again")
    return value
