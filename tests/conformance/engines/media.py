"""What a caller says and shows: as sound and pixels for an engine that encodes, as RTP payloads for one that does not."""

from __future__ import annotations

import base64
import json
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from PIL import Image, ImageDraw

RATE = 48_000
PACKET = RATE // 50
"""Samples of 20 ms."""
SIZE = 320, 240
FRAMES = 60
"""Of a camera at 15 frames a second: one that can be decoded by itself, and four seconds of changes to it. What the camera sees
does not move, so the last of them may be repeated for as long as nobody asks for another key frame."""


def write(folder: Path, question: np.ndarray, colour: str) -> Path:
    """`question` is float32 [samples] at 48 kHz, `colour` that of a circle on white. Returns the folder."""
    picture = scene(colour)
    (folder / "scene.rgba").write_bytes(picture.convert("RGBA").tobytes())
    with wave.open(str(folder / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm16(question).tobytes())
    payloads = {"sound": opus(question), "quiet": opus(np.zeros(10 * PACKET, np.float32))[-1], "size": SIZE}
    pictures = {codec: camera(picture, codec) for codec in ("VP8", "H264")}
    (folder / "payloads.json").write_text(json.dumps({**payloads, "pictures": pictures}))
    return folder


def scene(colour: str) -> Image.Image:
    width, height = SIZE
    image = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(image).ellipse((width / 2 - 60, height / 2 - 60, width / 2 + 60, height / 2 + 60), fill=colour)
    return image


def opus(pcm: np.ndarray) -> list[str]:
    """One payload for every 20 ms."""
    encoder = get_encoder(RTCRtpCodecParameters("audio/opus", clockRate=RATE, channels=2, payloadType=96))
    payloads = []
    for number, at in enumerate(range(0, len(pcm), PACKET)):
        piece = pcm[at : at + PACKET]
        piece = np.pad(piece, (0, PACKET - len(piece)))
        frame = av.AudioFrame.from_ndarray(pcm16(np.repeat(piece, 2))[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * PACKET, Fraction(1, RATE)
        payloads += encoder.encode(frame)[0]
    return [base64.b64encode(payload).decode() for payload in payloads]


def camera(picture: Image.Image, codec: str) -> list[list[str]]:
    """The payloads of each frame: a key frame, then others that are none."""
    encoder = get_encoder(RTCRtpCodecParameters(f"video/{codec}", clockRate=90_000, payloadType=97))
    frames = []
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        frame.pts, frame.time_base = number * 6_000, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, force_keyframe=number == 0)
        frames.append([base64.b64encode(payload).decode() for payload in payloads])
    return frames


def pcm16(pcm: np.ndarray) -> np.ndarray:
    return (pcm.clip(-1, 1) * 32_767).astype("<i2")
