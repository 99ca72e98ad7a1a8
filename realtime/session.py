"""A conversation as a value: events and the time go in, actions come out; no socket, no clock, no thread.

    session = Session(SessionConfig(), "sess_1")
    session.receive(event, now_ms)        # a client's event, a chunk, a frame, a model's event
    for action in session.actions(): ...  # to be carried out in order
    session.next_timer()                  # when handle_timer wants to be called, or None
    session.handle_timer(now_ms)

Turns are decided by the sound that has arrived, in whole windows of 32 ms, never by `now_ms`: a stalled network
neither ends a turn nor interrupts one, and it does not matter in what portions sound comes. `now_ms` paces what has
been heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vivavoce.realtime import ledger, wire
from vivavoce.realtime.actions import Action, AddImage
from vivavoce.realtime.beside import Beside
from vivavoce.realtime.checks import text
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.ear import Ear
from vivavoce.realtime.errors import ClientError, LocalError
from vivavoce.realtime.events import (
    AnswerCalled,
    AnswerEnded,
    AnswerSpoke,
    AudioClear,
    AudioCommit,
    AudioIn,
    Doubted,
    Event,
    FrameIn,
    Heard,
    HungUp,
    ImageAppend,
    ImageClear,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    Leaving,
    ModelFailed,
    OutputClear,
    Played,
    Playing,
    Refused,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    Weighed,
)
from vivavoce.realtime.floor import Floor
from vivavoce.realtime.items import checked_item, clean
from vivavoce.realtime.lifetime import Lifetime
from vivavoce.realtime.outbox import Outbox
from vivavoce.realtime.receipts import Draw, Receipt, listed, no_jpeg, pictured
from vivavoce.realtime.reply import wish
from vivavoce.realtime.sampler import SAMPLES_PER_MS
from vivavoce.realtime.settings import Settings
from vivavoce.realtime.turns import Phase

NORMAL, GOING_AWAY = 1000, 1001
"""Close codes of RFC 6455 section 7.4.1; the second one says that the end is the server's doing."""


class Session:
    """One connection's conversation."""

    def __init__(
        self,
        config: SessionConfig,
        session_id: str,
        make_encoder: wire.MakeEncoder = wire.only_pcm16,
        draw: Draw = no_jpeg,
    ) -> None:
        """The first action is to send `session.created`. `make_encoder`: who turns speech into the client's format; `draw`: who
        makes small pictures of frames that it asks to see again.

        Raises:
            ClientError: `config.wanted` cannot be honoured.
        """
        self.id = session_id
        self.config = config
        self.settings = Settings(config, session_id)
        self.settings.update(config.wanted)
        self._out = Outbox()
        self._out.extensions = self.settings.extensions
        self._floor = Floor(config, session_id, self._out, make_encoder)
        self._ear = Ear(config, self.settings, self._floor)
        self._beside = Beside(self._floor, self._out)
        self._lifetime = Lifetime(config, self._out)
        self._now = 0
        self._begun = False
        """Something came besides settings."""
        self._draw = draw
        self._out.send({"type": "session.created", "session": self.settings.echo()})

    @property
    def phase(self) -> Phase:
        """Who has the floor."""
        return self._floor.phase

    @property
    def turn(self) -> int | None:
        """The answer under way, guessed or heard."""
        return self._floor.reply.turn if self._floor.reply else None

    def receive(self, event: Event, now_ms: int) -> None:
        """Something happened. After `HungUp` nothing does.

        Raises:
            LocalError: the driver's mistake, or ours; never the client's.
        """
        if self.phase is Phase.CLOSED:
            return
        self._now = self._floor.meter.now_ms = now_ms
        self._begun = self._begun or not isinstance(event, SessionUpdate | Refused)
        handler = HANDLERS.get(type(event))
        if handler is None:
            raise LocalError(f"a session takes no {type(event).__name__}")
        try:
            handler(self, event)
        except ClientError as error:
            self._on_refused(error.refused(getattr(event, "event_id", None)))

    def actions(self) -> list[Action]:
        """What is to be done now, in order; each action is given once."""
        return self._out.drain()

    def next_timer(self) -> int | None:
        """The time at which `handle_timer` wants to be called."""
        if self.phase is Phase.CLOSED:
            return None
        ending = self._out.ending
        ends = (self._lifetime.due_at(), ending.due_ms if ending else None)
        times = (
            *ends,
            self._floor.heard_at(),
            self._ear.idle_at(),
            self._ear.asking_until(),
            self._ear.overlap.due_ms,
        )
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now_ms: int) -> None:
        """Time has passed; early or needless calls do nothing."""
        if self.phase is Phase.CLOSED:
            return
        self._now = self._floor.meter.now_ms = now_ms
        ending, heard_at = self._out.ending, self._floor.heard_at()
        if ending is not None and ending.due_ms <= now_ms:
            self._out.settle()
        if heard_at is not None and heard_at <= now_ms:
            self._floor.answer_heard()
            self._ear.refresh()
        if self._lifetime.tick(now_ms):
            self._on_refused(self._lifetime.expired)
            self._hang_up(GOING_AWAY, "the session has expired")
            return
        asking_until = self._ear.asking_until()
        if asking_until is not None and asking_until <= now_ms:
            self._ear.decide_alone(now_ms)
        overlap_due_ms = self._ear.overlap.due_ms
        if overlap_due_ms is not None and overlap_due_ms <= now_ms:
            self._ear.go_on(now_ms)
        idle_at = self._ear.idle_at()
        if idle_at is not None and idle_at <= now_ms:
            self._ear.time_out(now_ms)

    # --- sound and pictures ----------------------------------------------------------------------------------------

    def _on_audio(self, event: AudioIn) -> None:
        self._ear.hear(event, self._now)

    def _on_frame(self, event: FrameIn) -> None:
        self._ear.show(event.frame)

    def _on_image(self, event: ImageAppend) -> None:
        self._ear.see(event.rgb, event.source, event.timestamp_ms)

    # --- the client's events ---------------------------------------------------------------------------------------

    def _on_refused(self, event: Refused) -> None:
        self._out.send(wire.error(event))

    def _on_update(self, event: SessionUpdate) -> None:
        self._check_room()
        before, offered = self.settings.instructions, self.settings.tools
        truncation = self.settings.truncation
        self.settings.update(event.session, self._out.has_spoken, self._begun)
        self._out.extensions = self.settings.extensions
        self._ear.refresh()
        if self.settings.truncation != truncation:
            self._out.do(self.settings.truncation)
        if self.settings.tools != offered:
            self._floor.briefing.equip(self.settings.functions)
        if self.settings.instructions != before:
            self._floor.briefing.instruct(clean(self.settings.instructions))
        self._floor.write_waiting()
        self._out.send({"type": "session.updated", "session": self.settings.echo()})

    def _on_commit(self, event: AudioCommit) -> None:
        self._ear.commit(self._now)

    def _on_clear(self, event: AudioClear) -> None:
        self._ear.clear()
        self._out.send({"type": "input_audio_buffer.cleared"})

    def _on_clear_images(self, event: ImageClear) -> None:
        self._ear.sampler.clear_frames()

    def _on_item(self, event: ItemCreate) -> None:
        self._check_room(sum(piece.nbytes for piece in (*event.pictures, *event.sounds)))
        conversation, pictures = self._floor.conversation, list(event.pictures)
        wanted = text(event.item.get("id"), "item.id")
        conversation.check_free(wanted)
        item = checked_item(event.item, wanted)
        item["id"] = wanted or conversation.new_id()
        previous = conversation.add(item, event.previous_item_id)
        if self._ear.vad is not None and pictures and len(pictures) == len(item["content"]):
            for rgb in pictures:  # a camera, as clients without `input_image_buffer` send it
                self._ear.see(rgb, "camera")
        else:
            if item is not conversation.items[-1]:
                self._floor.briefing.outdate()
            self._write_item(item, pictures, list(event.sounds))
        self._floor.announce(item, previous)
        self._floor.tell_frames(item["id"])

    def _check_room(self, more_bytes: int = 0) -> None:
        """Raises ClientError while somebody speaks and too much waits for the end of it already."""
        if self._floor.busy:
            self._floor.briefing.check_room(more_bytes, self.config.max_waiting, self.config.max_waiting_bytes)

    def _write_item(self, item: dict[str, Any], pictures: list[np.ndarray], sounds: list[np.ndarray]) -> None:
        if item.get("role") == "user" and not pictures and not self._ear.sampler.is_open:
            for frame in self._ear.sampler.newest_frames():
                self._floor.write(AddImage(frame.rgb, frame.detail, frame), item["id"])
        heard_ms = sum(map(len, sounds)) // SAMPLES_PER_MS
        for action in ledger.tell(item, pictures, sounds, self._place):
            self._floor.write(action, item["id"])
        if heard_ms:
            self._floor.said_in_writing(item["id"], heard_ms)

    @property
    def _place(self) -> ledger.Place:
        """For sound that does not come from the microphone."""
        return ledger.Place(self._ear.sampler.end_ms, self.config.sampler.chunk_ms)

    def _on_retrieve(self, event: ItemRetrieve) -> None:
        item = self._floor.conversation.retrieve(event.item_id)
        if seen := self._floor.briefing.ledger.seen(event.item_id):
            item |= self._receipts(seen, event.with_images)
        self._out.send({"type": "conversation.item.retrieved", "item": item})

    def _receipts(self, seen: list[Receipt], with_images: bool) -> dict[str, Any]:
        config = self.config
        if not with_images:
            return listed(seen, config.receipt_frames)
        most = (config.receipt_frames, config.receipt_images, config.receipt_characters)
        return pictured(seen, *most, self._draw)

    def _on_delete(self, event: ItemDelete) -> None:
        self._floor.briefing.drop(event.item_id)
        self._out.send({"type": "conversation.item.deleted", "item_id": event.item_id})

    def _on_truncate(self, event: ItemTruncate) -> None:
        item = self._floor.conversation.find(event.item_id)
        if item is None or item.get("role") != "assistant":
            message = f"no answer with id {event.item_id!r} exists"
            raise ClientError("item_truncate_invalid_item_id", message, "item_id")
        heard_ms = self._floor.truncate(item, event.audio_end_ms, self._now)
        told = {"type": "conversation.item.truncated", "item_id": event.item_id}
        self._out.send({**told, "content_index": event.content_index, "audio_end_ms": heard_ms})
        self._ear.refresh()

    def _on_create(self, event: ResponseCreate) -> None:
        wanted = wish(self.settings, event.response, self._out.has_spoken)
        if wanted.beside:
            told = self._floor.briefing.everything() if event.inputs is None else self._told_beside(event.inputs)
            instructions = wanted.instructions or clean(self.settings.instructions)
            self._beside.begin(wanted, told, instructions, self.settings.functions)
            return
        if event.inputs is not None:
            message = "response.input is for responses with response.conversation 'none'; others follow from all items"
            raise ClientError("unsupported_value", message, "response.input")
        if self._floor.busy:
            message = "Conversation already has an active response, or the user is speaking and will get one"
            raise ClientError("conversation_already_has_active_response", message)
        if self._floor.airing.waiting >= self.config.max_on_air:
            message = f"the sound of {self._floor.airing.waiting} responses waits to be played; another can be had when one is over"
            raise ClientError("too_many_active_responses", message)
        self._floor.answer_written(wanted, self._now)

    def _told_beside(self, inputs: tuple[ItemCreate, ...]) -> list[Action]:
        """What the model is to know for an answer beside the conversation: items, and references to the conversation's."""
        told: list[Action] = []
        kept = self._floor.briefing.ledger
        for at, given in enumerate(inputs):
            path = f"response.input[{at}]"
            if given.item.get("type") == "item_reference":
                told += kept.tell_again([self._floor.conversation.referred(given.item.get("id"), path)])
            else:
                item = checked_item(given.item, path, path)
                told += ledger.tell(item, given.pictures, given.sounds, self._place)
        return told

    def _on_cancel(self, event: ResponseCancel) -> None:
        if self._beside.cancel(event.response_id):
            return
        reply = self._floor.reply
        known = reply.response.id if reply and reply.response else None
        over = self.phase is Phase.ANSWERING and reply is not None and not reply.running
        if reply is None or over or event.response_id not in (None, known):
            raise ClientError("response_cancel_not_active", "Cancellation failed: no active response found")
        if self.phase is Phase.GUESSING:
            self._floor.user_ended(self._ear.stop())
            self._floor.cancel_guess()
        else:
            self._floor.cancel_answer(self._now)
        self._ear.refresh()

    def _on_output_clear(self, event: OutputClear) -> None:
        if not self.config.server_plays:
            message = "output_audio_buffer.clear is for WebRTC; here the client plays what it was sent, and may stop"
            raise ClientError("unsupported_event", message, "type")
        self._floor.clear_output(self._now)
        self._ear.refresh()

    # --- playback ----------------------------------------------------------------------------------------------------

    def _on_playing(self, event: Playing) -> None:
        self._floor.meter.playing(event.turn)

    def _on_played(self, event: Played) -> None:
        if event.stopped:
            self._floor.meter.unplayed(event.turn)
            self._floor.playback_stopped(event.turn, event.ms, self._now)
        else:
            self._floor.played(event.turn, event.ms)
        self._ear.refresh()

    # --- the model's events ----------------------------------------------------------------------------------------

    def _on_weighed(self, event: Weighed) -> None:
        self._ear.weighed(event, self._now)

    def _on_doubted(self, event: Doubted) -> None:
        self._ear.doubted(event, self._now)

    def _on_spoke(self, event: AnswerSpoke) -> None:
        if self._beside.makes(event.turn):
            self._beside.spoke(event)
        elif self._is_running(event.turn):
            self._floor.answer_spoke(event, self._now)

    def _on_called(self, event: AnswerCalled) -> None:
        if self._beside.makes(event.turn):
            self._beside.called(event)
        elif self._is_running(event.turn):
            self._floor.answer_called(event)

    def _on_ended(self, event: AnswerEnded) -> None:
        if self._beside.makes(event.turn):
            self._beside.ended(event)
            return
        if not self._is_running(event.turn):
            return
        if event.reason == "error":
            self._on_failed(ModelFailed(event.turn, "the model stopped in the middle of its answer"))
            return
        self._floor.answer_ended(event, self._now)
        self._ear.refresh()

    def _is_running(self, turn: int) -> bool:
        """It is the answer under way; what comes of others, or after its end, is dropped."""
        reply = self._floor.reply
        return reply is not None and reply.turn == turn and reply.running

    def _on_heard(self, event: Heard) -> None:
        self._floor.transcribed(event.turn, event.text, self.settings.transcribes)

    def _on_failed(self, event: ModelFailed) -> None:
        if event.turn is not None and self._beside.makes(event.turn):
            self._beside.failed(event.turn, event.message)
            return
        if event.turn is not None and event.turn != self.turn:
            return
        end_ms = self._ear.stop() if self._floor.speaking_item is not None else 0
        self._floor.failed(event.message, end_ms)
        self._ear.refresh()

    # --- the end ---------------------------------------------------------------------------------------------------

    def _on_leaving(self, event: Leaving) -> None:
        self._lifetime.announce(0)
        self._hang_up(GOING_AWAY, "the server is shutting down")

    def _on_hung_up(self, event: HungUp) -> None:
        self._hang_up(NORMAL, "hung up")

    def _hang_up(self, code: int, reason: str) -> None:
        self._beside.hang_up()
        self._floor.hang_up(code, reason)


HANDLERS: dict[type[Any], Callable[[Session, Any], None]] = {
    Refused: Session._on_refused,
    SessionUpdate: Session._on_update,
    ImageAppend: Session._on_image,
    AudioCommit: Session._on_commit,
    AudioClear: Session._on_clear,
    ImageClear: Session._on_clear_images,
    ItemCreate: Session._on_item,
    ItemRetrieve: Session._on_retrieve,
    ItemDelete: Session._on_delete,
    ItemTruncate: Session._on_truncate,
    ResponseCreate: Session._on_create,
    ResponseCancel: Session._on_cancel,
    OutputClear: Session._on_output_clear,
    Played: Session._on_played,
    Playing: Session._on_playing,
    AudioIn: Session._on_audio,
    FrameIn: Session._on_frame,
    Weighed: Session._on_weighed,
    Doubted: Session._on_doubted,
    AnswerSpoke: Session._on_spoke,
    AnswerCalled: Session._on_called,
    AnswerEnded: Session._on_ended,
    Heard: Session._on_heard,
    ModelFailed: Session._on_failed,
    HungUp: Session._on_hung_up,
    Leaving: Session._on_leaving,
}
"""Who takes care of what. `AudioAppend` is missing: the driver makes `AudioIn` of it."""
