"""The Grocery Store Dataset as a folder of photos.csv, products.csv and pictures, to samples of two tasks.

In: the folder, the tasks and splits wanted, a seed.  Out: one `Sample` per task and photo in the order of photos.csv,
or a `Rejected` with its reason for a row that is none.  A photo that is missing or broken keeps its samples and gets
its reason later, from the loop.  Nothing outside the folder is read.  Every draw follows from products.csv, seed, task
and photo alone.

- product_kind: the title of the photo's product and ten kinds (coarse classes).  In 60 % of the samples (subset
  "hidden") the title keeps brand, grade, country and pack (the weight up to the next 100 g or kg), but not the kind;
  then kinds that have products with the very same remains stand among the ten first.  The rest is drawn, the product's
  department first.
- field_answerability: a question of one of six topics, and whether the product's entry answers it (`TOPICS`).  A fair
  coin draws the answer, then a topic that has it, so weighted that a topic alone tells little.  In 60 % of the samples
  (subset "pictured") the question says "this product"; otherwise it names the kind.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lookwise.errors import DataError, nearest
from lookwise.message import Media
from lookwise.sample import Sample, Visual
from lookwise.sources.records import Record, column_names, read_records
from lookwise.sources.rejected import Rejected

__all__ = [
    "TOPICS",
    "Photo",
    "Product",
    "Shop",
    "caption_of",
    "named_kind",
    "open_shop",
    "read",
    "sample_id",
    "samples_of",
]

BENCHMARK = "grocery"
SPLITS = ("train", "val", "test")
HIDDEN = 0.6
"""Share of samples whose text does not say what the product is."""
OPTIONS = 10
_PHOTOS = ("image", "split", "class_id")
_PRODUCTS = ("class_id", "class_name", "coarse_id", "coarse_name", "department", "title", "origin", "description")
_GRADE = re.compile(r"(?:class|klass) \d|ecological|ekologisk", re.IGNORECASE)
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?)\s*(k?g)\b")
_BRANDED = "Packages"
_TWO_WORD_BRANDS = ("God",)


@dataclass(frozen=True, slots=True)
class Product:
    """One product: its fine class, its kind (coarse class), and the shop's entry."""

    number: int
    name: str
    kind_number: int
    kind: str
    department: str
    title: str
    origin: str
    description: str

    @property
    def brand(self) -> str:
        """The brand of a packaged product, else nothing; it stands in front of the class's name."""
        words = self.name.split()
        return " ".join(words[: 2 if words[0] in _TWO_WORD_BRANDS else 1]) if self.department == _BRANDED else ""

    @property
    def remains(self) -> str:
        """What is left of the title when the kind is hidden: brand, grade, country, pack."""
        grade = " ".join(_GRADE.findall(self.title)).replace("Klass", "Class")
        origin = _WEIGHT.sub(_rounded, self.origin)
        return ", ".join(part for part in (self.brand, grade, origin) if part) or "no title"


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo: its path inside the folder, its split, and the product on it."""

    row: int
    image: str
    split: str
    product: Product


@dataclass(frozen=True)
class Shop:
    """The folder, read: its products by class number, and its photos in order, each or why it is none."""

    folder: Path
    products: Mapping[int, Product]
    photos: tuple[Photo | Rejected, ...]

    def media(self, photo: Photo) -> Media:
        """Return a photo's picture by reference."""
        return Media(str(self.folder / photo.image))

    def of(self, split: str) -> list[Photo]:
        """Return a split's photos."""
        return [p for p in self.photos if isinstance(p, Photo) and p.split == split]

    def folds(self, count: int) -> dict[str, int]:
        """Return the fold (from 1) of every training photo, by its path.

        A product's photos are cut in the order of the table, where those of one visit to one shop stand together: a
        model that saw the twin of a photo would caption it too well.
        """
        folds: dict[str, int] = {}
        for product in self.products.values():
            mine = [p.image for p in self.of("train") if p.product is product]
            folds |= {image: 1 + i * count // len(mine) for i, image in enumerate(mine)}
        return folds

    def weight(self, topic: str, answer: bool) -> float:
        """Return how often to draw a topic for products with this answer, so that both answers come alike."""
        yes = sum(TOPICS[topic][1](p) for p in self.products.values()) / len(self.products)
        mine = yes if answer else 1 - yes
        return max(min(yes, 1 - yes), 0.01) / max(mine, 0.01)


TOPICS: Mapping[str, tuple[str, Callable[[Product], bool]]] = MappingProxyType(
    {
        "origin": ("Which country does {it} come from?", lambda p: bool(_WEIGHT.sub("", p.origin.split(",")[0]))),
        "weight": ("How much does {it} weigh?", lambda p: bool(_WEIGHT.search(p.origin))),
        "taste": ("What does {it} taste like?", lambda p: _says(p, r"tast|flavou?r|sweet|sour\b|acid|bitter")),
        "use": ("What is {it} good for in the kitchen?", lambda p: _says(p, r"fits|suitable|used|cook|excellent|good")),
        "vitamins": ("Which vitamins are in {it}?", lambda p: _says(p, r"vitamin")),
        "keeping": ("How should {it} be kept?", lambda p: _says(p, r"\bstor|shelf life|kept|refrigerator")),
    }
)
"""Topic -> the question's wording, and whether a product's entry answers it."""


def _rounded(weight: re.Match[str]) -> str:
    step = 100 if weight[2] == "g" else 1
    return f"{math.ceil(float(weight[1]) / step) * step}{weight[2]}"


def _says(product: Product, words: str) -> bool:
    return re.search(words, product.description, re.IGNORECASE) is not None


def caption_of(product: Product) -> str:
    """Return what a captioner should say of a product: kind, name, department."""
    own = product.name if product.name != product.kind else ""
    return ", ".join(part.lower() for part in (product.kind, own, product.department) if part)


def named_kind(caption: str) -> str:
    """Return the kind that a caption of that shape names, in lower case."""
    return caption.split(",")[0].strip().lower()


def open_shop(folder: Path) -> Shop:
    """Return the folder's products and photos; DataError when a table or column is missing, or no row is usable."""
    if not folder.is_dir():
        raise DataError(f"no data at {folder}; give the folder of photos.csv and products.csv with --set data=PATH")
    products = {p.number: p for p in _products(folder / "products.csv")}
    return Shop(folder, products, tuple(_photos(folder, products)))


def _table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Record | Rejected]]:
    known = column_names(path)
    for column in columns:
        if column not in known:
            raise DataError(f"{path.name} has no column {column!r}; {nearest(column, known)}")
    return read_records(path, columns)


def _products(path: Path) -> Iterator[Product]:
    """Yield the products: every row counts, so a malformed one is an error."""
    for row, record in _table(path, _PRODUCTS):
        if isinstance(record, Rejected):
            raise DataError(f"{path.name} row {row}: {record.reason}")
        try:
            numbers = int(record["class_id"]), int(record["coarse_id"])
        except ValueError:
            raise DataError(f"{path.name} row {row}: class_id and coarse_id must be whole numbers") from None
        if not record["class_name"].strip() or not record["coarse_name"].strip():
            raise DataError(f"{path.name} row {row}: a product needs class_name and coarse_name")
        name, kind = (record[c].replace("-", " ").strip() for c in ("class_name", "coarse_name"))
        texts = (" ".join(record[c].split()) for c in ("department", "title", "origin", "description"))
        yield Product(numbers[0], name, numbers[1], kind, *texts)


def _photos(folder: Path, products: Mapping[int, Product]) -> Iterator[Photo | Rejected]:
    root = folder.resolve()
    seen: set[str] = set()
    for row, record in _table(folder / "photos.csv", _PHOTOS):
        found = record if isinstance(record, Rejected) else _photo(row, record, products)
        if isinstance(found, Photo) and not (root / found.image).resolve().is_relative_to(root):
            found = Rejected(row, f"image {found.image!r} is no path inside the folder")
        if isinstance(found, Photo) and found.image in seen:
            found = Rejected(row, f"image {found.image!r} stands in the table twice")
        if isinstance(found, Photo):
            seen.add(found.image)
        yield found


def _photo(row: int, record: Record, products: Mapping[int, Product]) -> Photo | Rejected:
    image, split, number = (record[c].strip() for c in _PHOTOS)
    if split not in SPLITS:
        return Rejected(row, f"unknown split {split!r}; {nearest(split, SPLITS)}")
    if not number.isdigit() or int(number) not in products:
        return Rejected(row, f"class_id {number!r} is not in products.csv")
    if not image:
        return Rejected(row, "no image")
    return Photo(row, image, split, products[int(number)])


def read(folder: Path, *, tasks: Collection[str], splits: Collection[str], seed: int) -> Iterator[Sample | Rejected]:
    """Yield the samples of these tasks (short names) and splits."""
    shop = open_shop(folder)
    for photo in shop.photos:
        if isinstance(photo, Rejected):
            yield photo
        elif photo.split in splits:
            yield from samples_of(shop, photo, tasks, str(seed))


def samples_of(shop: Shop, photo: Photo, tasks: Collection[str], seed: str) -> Iterator[Sample]:
    """Yield a photo's sample of each task; another seed draws another title, options and question."""
    for task in tasks:
        rng = random.Random(f"{seed}/{task}/{photo.image}")
        hidden = rng.random() < HIDDEN
        if task == "product_kind":
            options = _options(photo.product, shop, hidden, rng)
            field, target = ("title", _title(photo.product, hidden)), photo.product.kind
            subset = "hidden" if hidden else "told"
        else:
            options = ()
            question, target = _question(photo.product, shop, hidden, rng)
            field, subset = ("question", question), "pictured" if hidden else "named"
        yield Sample(
            id=sample_id(task, photo.image),
            benchmark=BENCHMARK,
            task=f"{BENCHMARK}/{task}",
            split=photo.split,
            fields=(field,),
            visuals=(Visual("product", shop.media(photo)),),
            options=options,
            target=target,
            subset=subset,
        )


def sample_id(task: str, image: str) -> str:
    """Return the id of a task's sample on a photo."""
    return f"{BENCHMARK}/{task}/{image}"


def _title(product: Product, hidden: bool) -> str:
    told = (product.brand, product.title or product.name, product.origin)
    return product.remains if hidden else ", ".join(part for part in told if part)


def _options(product: Product, shop: Shop, hidden: bool, rng: random.Random) -> tuple[str, ...]:
    """Return the product's kind and others in random order: of equal remains, of its department, any."""
    others = [p for p in shop.products.values() if p.kind != product.kind]
    groups = (
        {p.kind for p in others if hidden and p.remains == product.remains},
        {p.kind for p in others if p.department == product.department},
        {p.kind for p in others},
    )
    chosen = [product.kind]
    for most, group in zip((OPTIONS, OPTIONS // 2, OPTIONS), groups, strict=True):
        left = sorted(group.difference(chosen))
        chosen += rng.sample(left, max(0, min(most - len(chosen), len(left))))
    rng.shuffle(chosen)
    return tuple(chosen)


def _question(product: Product, shop: Shop, hidden: bool, rng: random.Random) -> tuple[str, str]:
    answers = {name: test(product) for name, (_, test) in TOPICS.items()}
    wanted = rng.random() < 0.5
    names = [n for n, known in answers.items() if known == wanted] or list(answers)
    name = rng.choices(names, [shop.weight(n, answers[n]) for n in names])[0]
    it = "this product" if hidden else f"the {product.kind.lower()}"
    return TOPICS[name][0].format(it=it), "yes" if answers[name] else "no"
