"""What a camera sends, and what it should not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vivavoce.realtime.server.pictures import MAX_BYTES, MAX_SIDE, PictureError, decode_picture, thumbnail


def encoded(image: Image.Image, kind: str, **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_keep_their_colour(kind: str) -> None:
    rgb = decode_picture(encoded(Image.new("RGB", (64, 48), (200, 30, 30)), kind))
    assert rgb.shape == (48, 64, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - (200, 30, 30)).max() < 12


def test_a_transparent_drawing_lies_on_white() -> None:
    rgb = decode_picture(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "PNG"))
    assert (rgb == 255).all()


def test_a_telephone_held_upright_gives_an_upright_picture() -> None:
    image = Image.new("RGB", (60, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # "rotate by 90 degrees to show"
    assert decode_picture(encoded(image, "JPEG", exif=exif)).shape == (60, 40, 3)


def test_a_large_photo_is_scaled_down() -> None:
    rgb = decode_picture(encoded(Image.new("RGB", (4000, 3000)), "JPEG"))
    assert rgb.shape == (MAX_SIDE * 3 // 4, MAX_SIDE, 3)


def test_too_many_pixels_are_refused_with_both_numbers() -> None:
    with pytest.raises(PictureError, match="5000 x 5000 = 25000000 pixels, at most 16000000"):
        decode_picture(encoded(Image.new("1", (5000, 5000)), "PNG"))


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A few bytes that claim to be 60000 x 60000 pixels."""
    small = encoded(Image.new("1", (8, 8)), "PNG")
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + small[24:29]
    bomb = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    with pytest.raises(PictureError, match="16000000"):
        decode_picture(bomb)


def test_too_many_bytes_are_refused_with_both_numbers() -> None:
    with pytest.raises(PictureError, match=f"{MAX_BYTES + 1} bytes, at most {MAX_BYTES}"):
        decode_picture(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize("data", [b"", b"hello", b"GIF89a\x01\x00\x01\x00"], ids=["nothing", "text", "gif"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="JPEG, PNG, WEBP"):
        decode_picture(data)


def test_half_a_picture_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "PNG")
    with pytest.raises(PictureError, match="broken"):
        decode_picture(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("size", "small"), [((1_280, 720), (320, 180)), ((720, 1_280), (180, 320)), ((64, 48), (64, 48))]
)
def test_a_thumbnail_is_a_small_jpeg(size: tuple[int, int], small: tuple[int, int]) -> None:
    pixels = np.full((size[1], size[0], 3), (200, 30, 30), np.uint8)
    again = Image.open(io.BytesIO(thumbnail(pixels)))
    assert (again.format, again.size) == ("JPEG", small)
    assert abs(np.asarray(again).astype(int).mean(axis=(0, 1)) - (200, 30, 30)).max() < 5
