"""A vision tower learns alone first: to name the classes of pictures, before a language model listens to it.

In: a LLaVA-class model and its processor, pictures, one or more class labels each.  Out: the same model with a trained
tower, and tower.json with what it reached.  A small captioner learned from scratch on a few thousand photos learns to
see far faster from labels than from captions.  Killed, the same call goes on from the last epoch and ends with the same
weights.  It knows no captions; the heads that it trains with are thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lookwise.errors import DataError
from lookwise.message import Media
from lookwise.runs.files import read_json, write_json_atomic
from lookwise.training import checkpoint
from lookwise.training.collate import Augment, Pictures

__all__ = ["Seen", "TowerSettings", "alter_photo", "train_tower"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture and its classes, one per label set (fine, coarse, …)."""

    picture: Media
    classes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TowerSettings:
    """How a tower is trained; `smoothing` is of the labels, `warmup` a share of all steps."""

    epochs: int = 20
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    smoothing: float = 0.1
    seed: int = 0
    bfloat16: bool = False


_PARTS = ("heads", "optimizer", "schedule", "tower")


@dataclass
class _State:
    """Everything that a training changes."""

    tower: nn.Module
    heads: nn.ModuleList
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0

    def save(self, folder: Path) -> None:
        state = {name: getattr(self, name).state_dict() for name in _PARTS}
        torch.save(state | {"epoch": self.epoch, "random": torch.get_rng_state()}, folder / "state.pt")

    def load(self, folder: Path) -> None:
        state = torch.load(folder / "state.pt", weights_only=True)
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.epoch = state["epoch"]
        torch.set_rng_state(state["random"])


def train_tower(
    model: Any,
    processor: Any,
    train: Sequence[Seen],
    val: Sequence[Seen],
    out: Path,
    settings: TowerSettings | None = None,
    augment: Augment | None = None,
    watch: Callable[[int, int, float], None] | None = None,
) -> tuple[float, ...]:
    """Train `model`'s tower in place; return the share of `val` named right, per label set.

    `out` keeps the epochs' states and, at the end, the tower's weights; a finished folder is only read.  `watch` is
    told the epoch, how many there are, and the epoch's mean loss.
    """
    settings = settings or TowerSettings()
    tower = model.model.vision_tower
    plan = {"settings": asdict(settings), "train": _key(train), "val": _key(val)}
    done = out / "tower.json"
    if done.is_file() and read_json(done)["plan"] == plan:
        tower.load_state_dict(load_file(out / "tower.safetensors"))
        return tuple(read_json(done)["accuracy"])
    checkpoint.same_plan(out / "work", plan)
    pictures = Pictures(processor, augment=augment)
    with torch.random.fork_rng(devices=[]):
        heads = _fit(model, pictures, train, out / "work", settings, watch)
    accuracy = _accuracy(model, heads, pictures, val)
    save_file({k: v.contiguous() for k, v in tower.state_dict().items()}, out / "tower.safetensors")
    write_json_atomic(done, {"plan": plan, "accuracy": accuracy})
    checkpoint.clear(out / "work")
    return accuracy


def _fit(
    model: Any,
    pictures: Pictures,
    train: Sequence[Seen],
    work: Path,
    settings: TowerSettings,
    watch: Callable[[int, int, float], None] | None,
) -> nn.ModuleList:
    if not train:
        raise DataError("a tower needs pictures to learn from, and got none")
    torch.manual_seed(settings.seed)
    state = _begin(model, train, settings)
    last = checkpoint.latest(work)
    if last is not None:
        state.load(last)
    state.tower.train()
    while state.epoch < settings.epochs:
        losses = [_step(model, state, pictures, rows, settings) for rows in _batches(train, state.epoch, settings)]
        state.epoch += 1
        checkpoint.commit(work, state.epoch, state.save)
        if watch is not None:
            watch(state.epoch, settings.epochs, sum(losses) / len(losses))
    state.tower.eval()
    return state.heads


def _begin(model: Any, train: Sequence[Seen], settings: TowerSettings) -> _State:
    width = model.config.vision_config.hidden_size
    counts = [max(column) + 1 for column in zip(*(s.classes for s in train), strict=True)]
    heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, n)) for n in counts)
    weights = [*model.model.vision_tower.parameters(), *heads.parameters()]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
    steps = settings.epochs * math.ceil(len(train) / settings.batch)
    warm = max(1, round(settings.warmup * steps))

    def rate(step: int) -> float:
        return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps)))

    return _State(model.model.vision_tower, heads, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate))


def _batches(train: Sequence[Seen], epoch: int, settings: TowerSettings) -> list[list[Seen]]:
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
    order = torch.randperm(len(train), generator=generator).tolist()
    return [[train[i] for i in order[j : j + settings.batch]] for j in range(0, len(order), settings.batch)]


def _step(model: Any, state: _State, pictures: Pictures, rows: list[Seen], settings: TowerSettings) -> float:
    pixels = pictures.tensors([r.picture for r in rows], training=True)
    labels = torch.tensor([r.classes for r in rows])
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        seen = _features(model, pixels)
        losses = [
            nn.functional.cross_entropy(head(seen).float(), labels[:, i], label_smoothing=settings.smoothing)
            for i, head in enumerate(state.heads)
        ]
    loss = torch.stack(losses).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([w for g in state.optimizer.param_groups for w in g["params"]], 1.0)
    state.optimizer.step()
    state.schedule.step()
    state.optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _features(model: Any, pixels: dict[str, Tensor]) -> Tensor:
    """Return what the language model will be shown, before the projector, as a mean over places: (pictures, width)."""
    states = model.model.vision_tower(**pixels, output_hidden_states=True, return_dict=True).hidden_states
    mean: Tensor = states[model.config.vision_feature_layer].mean(1)
    return mean


@torch.no_grad()
def _accuracy(model: Any, heads: nn.ModuleList, pictures: Pictures, val: Sequence[Seen]) -> tuple[float, ...]:
    hits = torch.zeros(len(heads))
    for i in range(0, len(val), 64):
        rows = val[i : i + 64]
        seen = _features(model, pictures.tensors([r.picture for r in rows], training=False))
        labels = torch.tensor([r.classes for r in rows])
        hits += torch.stack([(head(seen).argmax(-1) == labels[:, k]).sum() for k, head in enumerate(heads)])
    return tuple((hits / max(len(val), 1)).tolist())


def _key(seen: Sequence[Seen]) -> list[Any]:
    return [[s.picture.digest or s.picture.source, list(s.classes)] for s in seen]


def alter_photo(image: Image.Image, rng: Any) -> Image.Image:
    """Return a photo cropped, turned, mirrored, shaded and partly hidden at random, at half its size.

    The photo comes twice as large as the tower wants it; half the size makes room for a sharp crop.
    """
    image = _moved(image, rng)
    image = image.convert("RGB", _shades(rng))
    if rng.random() < 0.5:
        a, b = rng.uniform(0.1, 0.35) * image.width, rng.uniform(0.1, 0.35) * image.height
        x, y = rng.uniform(0, image.width - a), rng.uniform(0, image.height - b)
        grey = tuple(rng.randrange(256) for _ in range(3))
        image.paste(grey, (int(x), int(y), int(x + a), int(y + b)))
    return image


def _moved(image: Image.Image, rng: Any) -> Image.Image:
    """Return a random part of the picture, turned by up to 20 degrees and mirrored or not, in one pass over pixels."""
    width, height = image.size
    size = max(1, width // 2), max(1, height // 2)
    scale = rng.uniform(0.7, 1.0)
    w, h = min(1.0, scale * rng.uniform(0.9, 1.1)) * width, min(1.0, scale * rng.uniform(0.9, 1.1)) * height
    x, y = rng.uniform(w / 2, width - w / 2), rng.uniform(h / 2, height - h / 2)
    turn, across = math.radians(rng.uniform(-20, 20)), rng.choice((-1, 1)) * w / size[0]
    down = h / size[1]
    a, b, d, e = across * math.cos(turn), -down * math.sin(turn), across * math.sin(turn), down * math.cos(turn)
    cx, cy = size[0] / 2, size[1] / 2
    data = (a, b, x - a * cx - b * cy, d, e, y - d * cx - e * cy)
    return image.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)


def _shades(rng: Any) -> tuple[float, ...]:
    """Return brightness, contrast and saturation, changed at random, as one matrix over red, green, blue and one."""
    light, contrast, colour = (rng.uniform(0.7, 1.3) for _ in range(3))
    gain, rest = light * contrast, 128 * (1 - contrast)
    grey = [gain * (1 - colour) * share for share in (0.299, 0.587, 0.114)]
    return tuple(v for i in range(3) for v in (*(g + gain * colour * (i == j) for j, g in enumerate(grey)), rest))
