"""media.py on real files of every kind: what opens opens right, what cannot be used says why in one line."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import random
import struct
import threading
import zlib
from pathlib import Path

import pytest
from PIL import Image

from lookwise import media
from lookwise.errors import DataError

RED = (200, 30, 40)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def near(image: Image.Image, spot: tuple[int, int], colour: tuple[int, int, int], slack: int = 6) -> bool:
    pixel = image.getpixel(spot)
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= slack for a, b in zip(pixel, colour, strict=True))


def png_header(width: int, height: int, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def test_digest_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"abc")
    assert media.digest(file) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(DataError, match="no such file"):
        media.digest(tmp_path / "b.bin")


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff", "ppm", "ico", "jp2"])
def test_usual_formats(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.new("RGB", (16, 16), RED))
    image = media.open_image(path)
    assert (image.mode, image.size) == ("RGB", (16, 16))
    assert near(image, (8, 8), RED)


def test_cmyk(tmp_path: Path) -> None:
    image = media.open_image(save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=95))
    assert image.mode == "RGB"
    assert near(image, (8, 8), (255, 0, 0), 12)


def test_sixteen_bits_keep_their_shades(tmp_path: Path) -> None:
    deep = Image.new("I;16", (4, 1))
    for x, value in enumerate((0, 257, 32768, 65535)):
        deep.putpixel((x, 0), value)
    image = media.open_image(save(tmp_path / "a.png", deep))
    grey = [image.getpixel((x, 0))[0] for x in range(4)]  # type: ignore[index]
    assert grey[0] == 0
    assert grey[1] == pytest.approx(1, abs=1)
    assert grey[2] == pytest.approx(128, abs=1)
    assert grey[3] == pytest.approx(255, abs=1)


def test_float_and_negative_greys_are_stretched(tmp_path: Path) -> None:
    for name, mode, values in (("f.tiff", "F", (0.0, 0.5, 1.0)), ("i.tiff", "I", (-1000, 0, 1000))):
        deep = Image.new(mode, (3, 1))
        for x, value in enumerate(values):
            deep.putpixel((x, 0), value)
        image = media.open_image(save(tmp_path / name, deep))
        grey = [image.getpixel((x, 0))[0] for x in range(3)]  # type: ignore[index]
        assert grey == pytest.approx([0, 127, 255], abs=1)


def test_float_that_is_not_finite(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tiff", Image.new("F", (2, 2), float("inf")))
    assert "not finite" in (media.check_image(path) or "")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 4, 8))
    image = media.open_image(save(tmp_path / "a.png", clear.convert(mode)))
    assert near(image, (7, 7), (255, 255, 255))
    assert near(image, (0, 0), (0, 0, 0))


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    plain = Image.new("RGB", (8, 8), RED).quantize(4)
    assert near(media.open_image(save(tmp_path / "a.png", plain)), (2, 2), RED)
    clear = Image.new("P", (8, 8), 0)
    clear.putpalette([10, 20, 30, 200, 30, 40] + [0] * 762)
    clear.paste(1, (0, 0, 4, 8))
    path = save(tmp_path / "b.png", clear, transparency=bytes([0, 255]))
    image = media.open_image(path)
    assert near(image, (1, 1), RED)
    assert near(image, (7, 1), (255, 255, 255))


def test_black_and_white(tmp_path: Path) -> None:
    assert near(media.open_image(save(tmp_path / "a.png", Image.new("1", (8, 8), 1))), (3, 3), (255, 255, 255))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_animation_gives_its_first_frame(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, (0, 0, 255), (0, 255, 0))]
    path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    assert near(media.open_image(path), (8, 8), RED)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_turns_the_picture(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (32, 16), "white")
    image.paste(RED, (0, 0, 8, 16))  # red on the left; orientation 6 means: turn by 90 degrees clockwise to view
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = media.open_image(save(tmp_path / f"a.{suffix}", image, exif=exif))
    assert seen.size == (16, 32)
    assert near(seen, (8, 2), RED, 20)
    assert near(seen, (8, 29), (255, 255, 255), 20)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tiff"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    noise = Image.frombytes("RGB", (64, 64), random.Random(0).randbytes(64 * 64 * 3))
    path = save(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError) as caught:
        media.open_image(path)
    assert "\n" not in str(caught.value)


def test_reasons_of_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    reasons = {
        name: media.check_image(tmp_path / f"{name}.jpg") for name in ("empty", "text", "folder", "pipe", "none")
    }
    assert reasons == {
        "empty": "zero bytes",
        "text": "not an image of a known format, or its header is damaged",
        "folder": "not a file but a folder or device",
        "pipe": "not a file but a folder or device",
        "none": "no such file",
    }
    assert media.check_image("https://shop.example/a.jpg") == "a web address that has not been fetched"
    assert media.check_image("a\0b.jpg") is not None
    assert media.check_image("x" * 5000) is not None


def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path) -> None:
    for name, side in (("warns", 10_000), ("raises", 60_000)):  # Pillow warns at the first, raises at the second
        bomb = tmp_path / f"{name}.png"
        bomb.write_bytes(png_header(side, side))
        assert "pixels" in (media.check_image(bomb) or "")
    small = save(tmp_path / "small.png", Image.new("RGB", (20, 20)))
    assert media.check_image(small, max_pixels=399) == "20 x 20 pixels, more than the limit of 399"
    assert media.check_image(small, max_pixels=400) is None


def test_text_chunk_bomb(tmp_path: Path) -> None:
    text = b"Comment\0\0" + zlib.compress(b"a" * 50_000_000, 9)
    whole = png_header(1, 1, b"\0\0\0\0")
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    bomb = tmp_path / "a.png"
    bomb.write_bytes(whole[:33] + chunk + whole[33:])
    reason = media.check_image(bomb)
    assert reason is None or "\n" not in reason  # refused or skipped: never 50 MB of text, never another exception


def test_paths_stay_in_their_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    outside = save(tmp_path / "outside.png", Image.new("RGB", (4, 4)))
    inside = save(root / "sub" / "in.png", Image.new("RGB", (4, 4)))
    (root / "link.png").symlink_to(outside)
    (root / "fine.png").symlink_to(inside)
    assert media.open_image("sub/in.png", root).size == (4, 4)
    assert media.open_image("sub/../sub/in.png", root).size == (4, 4)
    assert media.open_image("fine.png", root).size == (4, 4)
    assert media.open_image(str(inside), root).size == (4, 4)
    for source in ("../outside.png", str(outside), "link.png", "sub/../../outside.png", "../nothing.png"):
        assert media.check_image(source, root) == "its path leads out of the folder of its table"
    assert media.check_image("", root) == "empty path" or "folder" in (media.check_image("", root) or "")


def test_reason_names_no_path_and_error_names_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("x")
    with pytest.raises(media.PictureError) as caught:
        media.open_image("a.jpg", tmp_path)
    assert str(tmp_path) not in str(caught.value)
    assert "'a.jpg'" in str(caught.value)


def test_damage_anywhere_never_escapes(tmp_path: Path) -> None:
    rng = random.Random(7)
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "a"
    noise = Image.frombytes("RGB", (24, 24), rng.randbytes(24 * 24 * 3))
    opened = refused = 0
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "ICO", "JPEG2000"):
        buffer = io.BytesIO()
        noise.save(buffer, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}))
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(min(len(data), 400))] = rng.randrange(256)
            path.write_bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data)
            if media.check_image(path, max_pixels=10_000_000) is None:
                opened += 1
            else:
                refused += 1
    assert opened > 20
    assert refused > 20


def test_threads_open_quietly(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.png", Image.new("RGB", (64, 64), (i, 0, 0))) for i in range(16)]
    seen: list[int] = []

    def work(part: list[Path]) -> None:
        for path in part:
            seen.append(media.open_image(path).getpixel((0, 0))[0])  # type: ignore[index]

    threads = [threading.Thread(target=work, args=(paths[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(16))


def test_fit_keeps_shape_and_never_enlarges() -> None:
    image = Image.new("RGB", (200, 50))
    assert media.fit(image, 100).size == (100, 25)
    assert media.fit(image, 500) is image
    assert media.fit(Image.new("RGB", (5000, 1)), 10).size == (10, 1)


def test_data_uri_is_a_small_jpeg(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGBA", (300, 100), (*RED, 255)))
    head, body = media.data_uri(path, longest=60).split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        assert image.size == (60, 20)
