"""Which frames the model saw for an item, as a client is told: when, of what, how large, and on request the pictures themselves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vivavoce.codecs.media import VideoFrame
from vivavoce.realtime.errors import LocalError

Json = dict[str, Any]

IMAGES = "item.frames.image"
"""What a client asks for in `include` of `conversation.item.retrieve`."""

Draw = Callable[[np.ndarray], bytes]
"""A picture uint8 [H, W, 3] in, the bytes of a small JPEG out."""


def no_jpeg(rgb: np.ndarray) -> bytes:
    """What a session without a server around it can draw.

    Raises:
        LocalError: always.
    """
    raise LocalError("this session was given nothing to make a JPEG with")


@dataclass(frozen=True, eq=False)
class Receipt:
    """One frame that the model was given."""

    at_ms: int
    """On the time line of the sound."""
    timestamp_ms: int
    """By the client's own clock; the same as `at_ms` if it did not say."""
    source: str
    width: int
    height: int
    rgb: np.ndarray | None
    """None once the budget is spent on newer ones."""

    @classmethod
    def of(cls, frame: VideoFrame) -> Receipt:
        """For a frame that has just been given away."""
        height, width, _ = frame.rgb.shape
        stamp = frame.at_ms if frame.stamp_ms is None else frame.stamp_ms
        return cls(frame.at_ms, stamp, frame.source, width, height, frame.rgb)

    def brief(self) -> Json:
        """When and of what."""
        return {"timestamp_ms": self.timestamp_ms, "audio_ms": self.at_ms, "source": self.source}

    def whole(self) -> Json:
        """The same with the size that the model was given."""
        return {**self.brief(), "width": self.width, "height": self.height}


def listed(receipts: Sequence[Receipt], most: int) -> Json:
    """The newest `most` of an item's frames, in order, and how many more there were."""
    shown = receipts[max(0, len(receipts) - most) :]
    return {"frames": [receipt.whole() for receipt in shown], "frames_left_out": len(receipts) - len(shown)}


def pictured(receipts: Sequence[Receipt], most: int, pictures: int, characters: int, draw: Draw) -> Json:
    """The same with the newest `pictures` of them, as data URLs of at most so many characters together, if they are still kept."""
    told = listed(receipts, most)
    done = 0
    for entry, receipt in list(zip(reversed(told["frames"]), reversed(receipts), strict=False))[:pictures]:
        image = None if receipt.rgb is None else data_url(draw(receipt.rgb))
        if image is None or len(image) > characters:
            break
        characters -= len(image)
        done += 1
        entry["image"] = image
    return {**told, "images_left_out": len(told["frames"]) - done}


def data_url(jpeg: bytes) -> str:
    """A picture as pages show it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
