"""A tiny shop in the layout of the grocery folder: plain colours, four products of three kinds."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

TASKS = ("product_kind", "field_answerability")
COLOURS = ((200, 30, 30), (40, 160, 40), (230, 220, 60), (40, 60, 200))
COUNTS = {"train": 4, "val": 2, "test": 2}
PRODUCTS = """class_id,class_name,coarse_id,coarse_name,department,title,origin,description,iconic
0,Red-Apple,0,Apple,Fruit,Apple Red Class 1,"Italy, ca 180g","Sweet taste, rich in vitamin C.",
1,Green-Apple,0,Apple,Fruit,Apple Green Class 1,,Store it cool.,
2,Lemon,1,Lemon,Fruit,Lemon Class 1,,Used in drinks.,
3,God-Dag-Milk,2,Milk,Packages,"Mild milk 1,5%",,Full of calcium.,
"""


def make_shop(folder: Path) -> Path:
    """Write the shop into `folder`/shop and return it."""
    shop = folder / "shop"
    (shop / "images").mkdir(parents=True)
    (shop / "products.csv").write_text(PRODUCTS)
    rows = ["image,split,class_id,coarse_id"]
    for split, count in COUNTS.items():
        for number, colour in enumerate(COLOURS):
            for i in range(count):
                name = f"images/{split}-{number}-{i}.png"
                Image.new("RGB", (24, 24), tuple(min(255, c + 9 * i + len(split)) for c in colour)).save(shop / name)
                rows.append(f"{name},{split},{number},{max(0, number - 1)}")
    (shop / "photos.csv").write_text("\n".join(rows) + "\n")
    return shop
