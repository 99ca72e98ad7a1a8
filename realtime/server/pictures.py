"""The bytes of a JPEG, PNG or WebP become pixels, if they are no bigger than a camera makes them; and back, small."""

from __future__ import annotations

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 8 * 2**20
"""Of a compressed picture: a 12 megapixel JPEG of a telephone has 3 to 6 MiB."""
MAX_PIXELS = 16_000_000
"""Of a picture before it is scaled down."""
MAX_SIDE = 1_280
"""Pixels of the longer side that reach the model; larger pictures are scaled down, which no 2 frames a second need be."""


THUMBNAIL_SIDE = 320
"""Pixels of the longer side of a picture that a client asks to see again; some 10 KiB, made in a millisecond."""


class PictureError(ValueError):
    """Bytes that are no acceptable picture; the message says why, with both numbers where it is about size."""


def decode_picture(data: bytes) -> npt.NDArray[np.uint8]:
    """Compressed picture -> uint8 [H, W, 3], upright (EXIF), neither side longer than 1280.

    Raises:
        PictureError: too many bytes or pixels, another format, or broken data.
    """
    if len(data) > MAX_BYTES:
        raise PictureError(f"it has {len(data)} bytes, at most {MAX_BYTES} are taken")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; the limit below refuses them
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return pixels(image)
    except UnidentifiedImageError:
        raise PictureError(f"they are not in one of the formats {', '.join(FORMATS)}") from None
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(f"it has more than {MAX_PIXELS} pixels: {error}") from None
    except Exception as error:  # Pillow's plugins raise whatever the broken bytes lead them to
        raise PictureError(f"the data is broken: {error}") from None


def thumbnail(rgb: npt.NDArray[np.uint8]) -> bytes:
    """uint8 [H, W, 3] -> a JPEG whose longer side has at most 320 pixels."""
    image = Image.fromarray(rgb)
    factor = -(-max(image.size) // THUMBNAIL_SIDE)
    if factor > 1:
        image = image.reduce(factor)  # whole pixels into one: a quarter of the time of a resampling
    data = io.BytesIO()
    image.save(data, "JPEG", quality=75)
    return data.getvalue()


def pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    """An opened, not yet decoded picture -> uint8 [H, W, 3]."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureError(f"it has {width} x {height} = {width * height} pixels, at most {MAX_PIXELS} are taken")
    image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # a JPEG can be decoded at half size for a quarter of the work
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((MAX_SIDE, MAX_SIDE))
    if upright.mode in ("RGBA", "LA", "P", "PA"):
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(upright.convert("RGB"), dtype=np.uint8)
