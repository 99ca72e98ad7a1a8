"""Events that the API does not have, by group: each is sent only to clients that name it in `session.extensions`.

A strict client makes an error of every event that it does not know (R10), and some of keys.
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
TIMED = "response.output_audio_transcript.start_time"
"""No event, but a key of `response.output_audio_transcript.delta`: when its words are heard."""

GROUPS = (METRICS, FRAMES, GOING_AWAY, PAUSED, TIMED)
"""Each group bears the name of its event, of the first of them, or of its key."""
