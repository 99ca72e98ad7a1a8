"""Events that the API does not have, by group: each is sent only to clients that name it in `session.extensions`.

A strict client makes an error of every event that it does not know (R10).
"""

from __future__ import annotations

METRICS = "response.metrics"
"""What became of the time and the sound of an answer, behind its `response.done`."""
FRAMES = "input_image_buffer.committed"
"""Which frames became a part of an item."""
GOING_AWAY = "session.going_away"
"""The session will end soon."""

PAUSED, RESUMED = "output_audio_buffer.paused", "output_audio_buffer.resumed"
"""The user makes a sound during the answer: whoever plays it should stand still, and go on. The first names the group."""

GROUPS = (METRICS, FRAMES, GOING_AWAY, PAUSED)
"""Each group bears the name of its event, or of the first of them."""
