"""A conversation that has been recorded: the tape, what was said on it, and every event with the sample at which it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vivavoce.realtime.server.bench.script import Said
from vivavoce.realtime.server.bench.sound import Float32
from vivavoce.realtime.server.bench.tape import Cleared, Gap, Piece

Json = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """An event of the server, without its sound."""

    at: int
    event: Json

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.event.get("type", ""))


@dataclass(eq=False)
class Take:
    """One conversation. Positions are samples of the media clock."""

    microphone: Float32
    loudspeaker: Float32
    said: Sequence[Said] = ()
    told: Sequence[Told] = ()
    pieces: Sequence[Piece] = ()
    gaps: Sequence[Gap] = ()
    cleared: Sequence[Cleared] = ()
    plays_itself: bool = False
    """The server plays its answers (WebRTC); else they came as events, and the client played them."""
    late_ms: Sequence[float] = ()
    """How late each packet of the microphone left, by this client's own fault."""
    model: str | None = None
    """As the server calls it."""
    lost: Json = field(default_factory=dict)
    """What became of the connection, if it did not last."""

    @property
    def stereo(self) -> Float32:
        """float32 [samples, 2]: left the microphone, right the loudspeaker."""
        return np.stack([self.microphone, self.loudspeaker], axis=1)
