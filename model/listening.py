"""The user's turn while it is written: media in, prompt rows out as soon as they are final.

A turn is `USER:`, its items, and a newline. Sound and pictures interleave by the second: the pictures of a second come
before the sound of that second, one span of sound holds them all, and `<|audio|>` opens it before its first token.
Tokens of sound are final half a second late, so the pictures of a second wait until the sound before them is written.

`UserTurn` is a value: every method returns the turn after it and the draft of what to append, and keeping an old turn
is the way back to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivavoce.codecs.media import MediaChunk
from vivavoce.model import prompt
from vivavoce.model.aside import Aside
from vivavoce.model.messages import Usage
from vivavoce.model.omni import Omni
from vivavoce.model.prompt import Rows
from vivavoce.model.senses import Ear, EarState, Heard, Look, see_many
from vivavoce.model.tokenizer import AUDIO_PAD, IMAGE_PAD, Tokenizer
from vivavoce.model.turn_end import FRAMES, TurnEnd


@dataclass(frozen=True, eq=False)
class Draft:
    """Prompt rows to append: ids, and the features that go to their sound and picture positions, in order.

    A picture's rows, its stamp or newline among them, are an element of `ids` by themselves; its features are one of
    `vision`.
    """

    ids: tuple[Rows, ...] = ()
    sound: tuple[Tensor, ...] = ()
    vision: tuple[Tensor, ...] = ()

    def __add__(self, other: Draft) -> Draft:
        return Draft(self.ids + other.ids, self.sound + other.sound, self.vision + other.vision)

    @classmethod
    def joined(cls, drafts: Iterable[Draft]) -> Draft:
        """Many in a row."""
        parts = list(drafts)
        return cls(
            tuple(rows for part in parts for rows in part.ids),
            tuple(rows for part in parts for rows in part.sound),
            tuple(rows for part in parts for rows in part.vision),
        )

    @property
    def length(self) -> int:
        return sum(len(rows) for rows in self.ids)

    @property
    def pictures(self) -> tuple[int, ...]:
        """Positions of each picture, with its stamp or newline."""
        return tuple(len(rows) for rows in self.ids if _is_picture(rows)) if self.vision else ()

    def with_newest(self, pictures: int) -> Draft:
        """The same with only the last so many pictures."""
        first = len(self.vision) - pictures
        ids, seen = [], 0
        for rows in self.ids:
            picture = _is_picture(rows)
            if not picture or seen >= first:
                ids.append(rows)
            seen += picture
        return replace(self, ids=tuple(ids), vision=self.vision[first:])

    @torch.inference_mode()
    def embed(self, omni: Omni) -> Tensor:
        """[length, D]."""
        ids = torch.from_numpy(prompt.join(*self.ids)).to(omni.device)
        sound = torch.cat(self.sound) if self.sound else None
        vision = torch.cat(self.vision) if self.vision else None
        return omni.embed_prompt(ids, sound, vision)

    def usage(self) -> Usage:
        """The positions by kind."""
        text = prompt.join(*self.ids)[:, 0]
        audio, image = int((text == AUDIO_PAD).sum()), int((text == IMAGE_PAD).sum())
        return Usage(text_in=len(text) - audio - image, audio_in=audio, image_in=image)


@dataclass(frozen=True, eq=False)
class Waiting:
    """A picture block that goes before token `before` of the span of sound."""

    before: int
    block: Draft


@dataclass(frozen=True, eq=False)
class Span:
    """A span of sound being heard."""

    ear: EarState
    samples: int = 0
    """Sound heard, in samples."""
    written: int = 0
    """Tokens of it written."""
    opened: bool = False
    """`<|audio|>` has been written."""
    pictures: tuple[Waiting, ...] = ()
    newest: Tensor | None = None
    """[0..FRAMES, H] of the encoder, for `Scribe.weigh`."""


@dataclass(frozen=True, eq=False)
class UserTurn:
    """What has been heard and seen of the user's turn so far."""

    opened: bool = False
    """`USER:` has been written."""
    span: Span | None = None
    letters: tuple[int, ...] = ()
    """CTC ids of all its sound."""
    has_sound: bool = False
    start_ms: int | None = None
    """When its first chunk began; stamps count from here."""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, eq=False)
class Sensed:
    """What the encoders make of a piece of the user's turn."""

    heard: tuple[Heard, EarState] | None = None
    seen: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Scribe:
    """Writes user turns for one model."""

    omni: Omni
    tokenizer: Tokenizer
    ear: Ear
    turn_end: TurnEnd | None = None
    """Who says whether a turn sounds complete."""
    aside: Aside | None = None
    """Who says what a short sound is."""

    def sense(self, due: Sequence[tuple[UserTurn, MediaChunk | Look]]) -> list[Sensed]:
        """What the encoders have to do for chunks and stills, each the next of its own turn: all of it in one batch.

        Raises ValueError for a picture that is none.
        """
        streams: dict[int, tuple[NDArray[np.float32], EarState]] = {}
        looks: dict[int, Look] = {}
        for index, (turn, media) in enumerate(due):
            if isinstance(media, MediaChunk) and media.audio is not None and (turn.span or len(media.audio.pcm)):
                streams[index] = media.audio.pcm, self._stream(turn)
            if (look := _look(media)) is not None:
                looks[index] = look
        heard = dict(zip(streams, self.ear.hear_many([*streams.values()]), strict=True))
        seen = dict(zip(looks, see_many(self.omni, [*looks.values()]), strict=True))
        return [Sensed(heard.get(index), seen.get(index)) for index in range(len(due))]

    def _stream(self, turn: UserTurn) -> EarState:
        return self.ear.start() if turn.span is None else turn.span.ear

    def listen(self, turn: UserTurn, chunk: MediaChunk, sensed: Sensed | None = None) -> tuple[UserTurn, Draft]:
        """A chunk of sound, pictures or both; `sensed` is what `sense` made of it, if it was asked."""
        sensed = sensed or self.sense([(turn, chunk)])[0]
        turn, draft = self._open(turn)
        if turn.start_ms is None:
            turn = replace(turn, start_ms=chunk.start_ms)
        block = self._pictures(turn, chunk, sensed.seen)
        span = turn.span
        if span is None and (chunk.audio is None or not len(chunk.audio.pcm)):
            return self._wrote(turn, draft + block)
        span = span or Span(self.ear.start())
        if block.length:
            # The sound before this chunk, in whole tokens: 12, 25, 37 ... after whole seconds.
            before = max(span.written, span.samples // self.ear.samples_per_token)
            span = replace(span, pictures=(*span.pictures, Waiting(before, block)))
        heard = None
        if chunk.audio is not None and sensed.heard is not None:
            heard, ear = sensed.heard
            newest = _newest(span, heard)
            span = replace(span, ear=ear, samples=span.samples + len(chunk.audio.pcm), newest=newest)
            turn = replace(turn, letters=turn.letters + heard.letters, has_sound=True)
        span, spoken = _write(span, heard)
        return self._wrote(replace(turn, span=span), draft + spoken)

    def write(self, turn: UserTurn, text: str) -> tuple[UserTurn, Draft]:
        """An item of text."""
        turn, draft = self._open(turn)
        turn, sound = self._close_span(turn)
        return self._wrote(turn, draft + sound + Draft((prompt.text(self.tokenizer, text),)))

    def show(self, turn: UserTurn, still: Look, sensed: Sensed | None = None) -> tuple[UserTurn, Draft]:
        """A still picture; `sensed` as for `listen`."""
        seen = (sensed or self.sense([(turn, still)])[0]).seen
        assert seen is not None, "a still is always looked at"
        turn, draft = self._open(turn)
        turn, sound = self._close_span(turn)
        item = Draft((prompt.image(self.tokenizer, len(seen)),), vision=(seen,))
        return self._wrote(turn, draft + sound + item)

    def weigh(self, turn: UserTurn) -> float | None:
        """How likely it is that the user has said all of the turn, 0..1; None if nothing was said, or nobody here can tell."""
        if self.turn_end is None or turn.span is None:
            return None
        frames = _newest(turn.span, self.ear.finish(turn.span.ear))
        return self.turn_end.completeness(frames, self.omni.audio_encoder) if len(frames) else None

    def doubt(self, pcm: NDArray[np.float32]) -> float | None:
        """How likely it is that a sound during a reply, float32 [samples] at 16 kHz, takes the floor; None as for `weigh`."""
        if self.aside is None:
            return None
        heard, ear = self.ear.hear(pcm, self.ear.start())
        frames = torch.cat([heard.hidden, self.ear.finish(ear).hidden])
        return self.aside.interrupting(frames, self.omni.audio_encoder) if len(frames) else None

    def close(self, turn: UserTurn) -> tuple[UserTurn, Draft]:
        """The turn is over: its last sound, and the newline. Nothing for a turn that never began."""
        if not turn.opened:
            return turn, Draft()
        turn, sound = self._close_span(turn)
        return self._wrote(turn, sound + Draft((prompt.user_end(self.tokenizer),)))

    def _open(self, turn: UserTurn) -> tuple[UserTurn, Draft]:
        if turn.opened:
            return turn, Draft()
        return replace(turn, opened=True), Draft((prompt.user_start(self.tokenizer),))

    def _close_span(self, turn: UserTurn) -> tuple[UserTurn, Draft]:
        span = turn.span
        if span is None:
            return turn, Draft()
        rest = self.ear.finish(span.ear)
        span, draft = _write(span, rest, last=True)
        if span.opened:
            draft += Draft((prompt.audio_pads(0, opens=False, closes=True),))
        return replace(turn, span=None, letters=turn.letters + rest.letters), draft

    def _pictures(self, turn: UserTurn, chunk: MediaChunk, seen: Tensor | None) -> Draft:
        """The chunk's frames as one temporal pair behind its stamp."""
        if not chunk.frames or seen is None:
            return Draft()
        seconds = max(0, chunk.frames[0].at_ms - (turn.start_ms or 0)) / 1000
        rows = prompt.join(prompt.stamp(self.tokenizer, seconds), prompt.visual(len(seen)))
        return Draft((rows,), vision=(seen,))

    def _wrote(self, turn: UserTurn, draft: Draft) -> tuple[UserTurn, Draft]:
        if not draft.length:
            return turn, draft
        more, so_far = draft.usage(), turn.usage
        total = Usage(so_far.text_in + more.text_in, so_far.audio_in + more.audio_in, so_far.image_in + more.image_in)
        return replace(turn, usage=total), draft


def _look(media: MediaChunk | Look) -> Look | None:
    """What of it is to be seen: the frames of a chunk are one temporal pair."""
    if isinstance(media, Look) or not media.frames:
        return media if isinstance(media, Look) else None
    first, second = media.frames[0], media.frames[1] if len(media.frames) == 2 else None
    return Look(first.rgb, None if second is None else second.rgb, first.detail)


def _newest(span: Span, heard: Heard) -> Tensor:
    """The encoder's newest frames when `heard` follows what the span has."""
    return heard.hidden[-FRAMES:] if span.newest is None else torch.cat([span.newest, heard.hidden])[-FRAMES:]


def _is_picture(rows: Rows) -> bool:
    return bool((rows[:, 0] == IMAGE_PAD).any())


def _write(span: Span, heard: Heard | None, *, last: bool = False) -> tuple[Span, Draft]:
    """Append final sound with each waiting picture in its place; with `last`, every picture and every token."""
    draft, used = Draft(), 0
    ready = 0 if heard is None else len(heard.rows)
    while used < ready or span.pictures:
        if span.pictures and (span.pictures[0].before <= span.written or (last and used == ready)):
            draft += span.pictures[0].block
            span = replace(span, pictures=span.pictures[1:])
            continue
        count = ready - used
        if span.pictures:
            count = min(count, span.pictures[0].before - span.written)
        if count == 0 or heard is None:
            break
        pads = prompt.audio_pads(count, opens=not span.opened, closes=False)
        draft += Draft((pads,), sound=(heard.rows[used : used + count],))
        span = replace(span, written=span.written + count, opened=True)
        used += count
    return span, draft
