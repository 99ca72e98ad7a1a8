"""Who has the floor, and what a change of it entails: the effects of the phase table.

Methods are named for what happened. Each moves the phase by the table in `turns.py`, tells the model, and lets the
client know, in the order of protocol section 1.6.
"""

from __future__ import annotations

from typing import Any

from vivavoce.codecs.media import MediaChunk
from vivavoce.realtime import wire
from vivavoce.realtime.actions import (
    Action,
    AddText,
    Cancel,
    Close,
    Cut,
    Equip,
    PausePlayback,
    Prefill,
    ResumePlayback,
    Rewind,
    StopPlayback,
)
from vivavoce.realtime.airing import Airing
from vivavoce.realtime.briefing import Briefing
from vivavoce.realtime.config import SessionConfig
from vivavoce.realtime.delivery import Delivery
from vivavoce.realtime.events import AnswerCalled, AnswerEnded, AnswerSpoke, Refused
from vivavoce.realtime.extensions import FRAMES, PAUSED, RESUMED
from vivavoce.realtime.items import Conversation
from vivavoce.realtime.meter import Meter
from vivavoce.realtime.outbox import Ending, Outbox
from vivavoce.realtime.reply import STATUS, Reply, Wish, asked
from vivavoce.realtime.response import Response
from vivavoce.realtime.turns import Phase, Signal, move

Json = dict[str, Any]


NOTE = "The user interrupted, and has not heard: {}"
"""What the model is told after an interruption, where `SessionConfig.notes` says so; no item of the conversation."""


class Floor:
    """One conversation's turns. `phase` says who speaks, `reply` is the answer under way."""

    def __init__(self, config: SessionConfig, session_id: str, out: Outbox, make_encoder: wire.MakeEncoder) -> None:
        self.config = config
        self.out = out
        self.phase = Phase.LISTENING
        self.conversation = Conversation(f"conv_{session_id}")
        self.briefing = Briefing(out, self.conversation, config.kept_bytes)
        self.airing = Airing(out)
        self.meter = Meter(out, config.server_plays)
        self.delivery = Delivery(config, self.conversation, out, self.airing, self.meter, make_encoder)
        self.reply: Reply | None = None
        self.speaking_item: str | None = None
        """The user's words that are being spoken now and are not committed yet."""
        self._answers = 0
        self._spoken: dict[int, str] = {}
        self._unanswered: str | None = None
        self.idle_since: int | None = None
        """When the last answer had been heard; None before the first one, and from the user's next word on."""
        self._began_ms = 0
        self._stands = False

    def move(self, signal: Signal) -> None:
        """Along the table; an empty cell raises `UnexpectedSignal`."""
        self.phase = move(self.phase, signal)

    # --- the user speaks -----------------------------------------------------------------------------------------

    def user_started(self, audio_start_ms: int, now_ms: int) -> None:
        """t1, also as an interruption: the user takes the floor with a new item."""
        self.speaking_item = self.conversation.new_id()
        self.idle_since = None
        self.meter.begin()
        self._began_ms = audio_start_ms
        started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": audio_start_ms}
        self.out.send({**started, "item_id": self.speaking_item})
        if self.is_heard and self.reply is not None:
            self._stop(self.reply, "turn_detected", now_ms)
        else:
            self.airing.stop()  # the rest of an answer that something written has followed already
        self.briefing.catch_up()
        if self.phase is not Phase.HEARING:
            self.move(Signal.SPEECH_STARTED)

    def user_resumed(self) -> None:
        """The guess was wrong: the user goes on with the same item."""
        if self.reply is not None:
            self.out.tell(Rewind(self.reply.turn))
            self.meter.rewound(self.reply.turn)
        self.reply = None
        self.move(Signal.SPEECH_STARTED)

    def feed(self, chunks: list[MediaChunk]) -> None:
        """What the user says and shows, for the model."""
        for chunk in chunks:
            action = Prefill(chunk)
            if self.speaking_item is not None:
                self.briefing.ledger.note(self.speaking_item, action)
            self.out.tell(action)

    def guess(self, wish: Wish, speech_end_ms: int | None = None) -> None:
        """t3: the model begins to answer; nobody is told. `speech_end_ms`: when the last of the user's voice came."""
        self.move(Signal.SPEECH_PAUSED)
        self.idle_since = None
        self.reply = Reply(self.next_turn(), wish, self.speaking_item or self._unanswered)
        self.out.tell(asked(self.reply.turn, wish, self.config))
        self.meter.asked(self.reply.turn, speech_end_ms)

    def user_ended(self, audio_end_ms: int) -> None:
        """t4, for the client: the user's item is complete."""
        stopped = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": audio_end_ms}
        item_id = self.speaking_item or self.conversation.new_id()
        self.out.send({**stopped, "item_id": item_id})
        self.commit(item_id, audio_end_ms - self._began_ms)

    def user_idle(self, audio_start_ms: int, audio_end_ms: int, chunks: list[MediaChunk]) -> None:
        """Nobody has said anything for too long: the silence becomes an item, which is to be answered next."""
        self.briefing.catch_up()
        self.speaking_item = self.conversation.new_id()
        told = {"type": "input_audio_buffer.timeout_triggered", "audio_start_ms": audio_start_ms}
        self.out.send({**told, "audio_end_ms": audio_end_ms, "item_id": self.speaking_item})
        self.feed(chunks)
        self.commit(self.speaking_item, audio_end_ms - audio_start_ms)

    def commit(self, item_id: str, ms: int) -> None:
        """`ms` of the user's voice become an item of the conversation."""
        self.speaking_item, self._unanswered = None, item_id
        item, previous = self.conversation.add_spoken(item_id, ms)
        self.out.send({"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": item_id})
        self.announce(item, previous)
        self.tell_frames(item_id)

    def tell_frames(self, item_id: str) -> None:
        """Which frames the model saw for an item that is complete, if any."""
        if seen := self.briefing.ledger.seen(item_id):
            newest = seen[max(0, len(seen) - self.config.receipt_frames) :]
            told = {"frames": [receipt.brief() for receipt in newest], "frames_left_out": len(seen) - len(newest)}
            self.out.offer({"type": FRAMES, "item_id": item_id, **told})

    def announce(self, item: Json, previous: str | None) -> None:
        """An item that is complete from the start."""
        for kind in ("added", "done"):
            self.out.send({"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": dict(item)})

    def transcribed(self, turn: int | None, text: str, tell_client: bool) -> None:
        """The user's words, as the model's recogniser heard them."""
        reply = self.reply
        if reply is not None and turn == reply.turn and self.phase is Phase.GUESSING:
            reply.heard_user = text
            return
        item_id = self._unanswered if turn is None else self._spoken.get(turn)
        if item_id is not None and self.conversation.find(item_id) is not None:
            event = self.conversation.transcribe(item_id, text)
            if tell_client:
                self.out.send(event)

    def said_in_writing(self, item_id: str, ms: int) -> None:
        """An item of the client's own making holds the user's voice."""
        self._unanswered = item_id
        self.conversation.count_spoken(item_id, ms)

    # --- the model speaks ----------------------------------------------------------------------------------------

    def release(self, now_ms: int, tell_transcript: bool) -> None:
        """t4, for the answer: whatever is there of it goes out at once, the rest as it comes."""
        self.move(Signal.SPEECH_ENDED)
        reply = self._current()
        if reply.spoken_item is not None:
            self._spoken[reply.turn] = reply.spoken_item
            self._unanswered = None
        if reply.heard_user is not None:
            self.transcribed(reply.turn, reply.heard_user, tell_transcript)
        self.delivery.respond(reply)
        self._let_go(reply, now_ms)

    def answer_spoke(self, piece: AnswerSpoke, now_ms: int) -> None:
        """More of the current answer."""
        reply = self._current()
        self.meter.came(piece)
        for ready in reply.playout.push(piece, now_ms):
            if reply.response is not None:
                self.delivery.say(reply, reply.response, ready)

    def answer_called(self, call: AnswerCalled) -> None:
        """The current answer calls a function; the client learns of it when the answer has ended."""
        self._current().calls.append(call)

    def answer_ended(self, ended: AnswerEnded, now_ms: int) -> None:
        """The model has said all of the current answer; it may take a while yet until it is heard."""
        reply = self._current()
        reply.ended, reply.ended_ms = ended, now_ms
        if reply.response is not None and self.phase is not Phase.YIELDING:
            self._finish(reply, reply.response, ended, now_ms)

    def heard_at(self) -> int | None:
        """When the answer under way will have been heard to its end; None while that is open."""
        if self.phase is not Phase.ANSWERING or self.reply is None or self.reply.running:
            return None
        if self.airing.holds(self.reply):
            return None  # the transport will say
        return self.reply.playout.over_at()

    def answer_heard(self) -> None:
        """The floor is free."""
        reply, self.reply = self._current(), None
        self.idle_since = max(reply.ended_ms, reply.playout.over_at() or 0)
        self.move(Signal.ANSWER_HEARD)

    # --- the user makes a sound meanwhile ------------------------------------------------------------------------

    @property
    def is_heard(self) -> bool:
        """An answer is under way, and the client knows of it."""
        return self.phase in (Phase.ANSWERING, Phase.YIELDING)

    @property
    def pauses(self) -> bool:
        """Who plays the answer can stand still."""
        return self.config.server_plays or PAUSED in self.out.extensions

    def overlap_began(self, now_ms: int) -> None:
        """Until it is known what the sound is, the answer waits: what is sent where it can, the rest in any case."""
        reply = self._current()
        self.move(Signal.OVERLAP_BEGAN)
        reply.playout.hold()
        self._stands = self.pauses
        if self._stands:
            reply.playout.pause(now_ms)
            self.out.do(PausePlayback())
            self._tell_pause(PAUSED, reply)

    def overlap_passed(self, now_ms: int) -> None:
        """It was nothing: the answer goes on where it was."""
        reply = self._current()
        self.move(Signal.OVERLAP_PASSED)
        if self._stands:
            reply.playout.resume(now_ms)
            self.out.do(ResumePlayback())
            self._tell_pause(RESUMED, reply)
        self._let_go(reply, now_ms)

    def _let_go(self, reply: Reply, now_ms: int) -> None:
        """What was held of an answer that the client knows of."""
        response = reply.response
        if response is None:
            return
        for piece in reply.playout.release(now_ms):
            self.delivery.say(reply, response, piece)
        if reply.ended is not None and not response.is_done:
            self._finish(reply, response, reply.ended, now_ms)

    def _tell_pause(self, kind: str, reply: Reply) -> None:
        response_id = reply.response.id if reply.response else ""
        self.out.offer({"type": kind, "response_id": response_id}, PAUSED)

    # --- it goes otherwise ---------------------------------------------------------------------------------------

    def cancel_guess(self) -> None:
        """`response.cancel` before anything was said: the client sees an answer that ended before it began."""
        reply = self._current()
        self.out.tell(Rewind(reply.turn))
        self.delivery.close(reply, self.delivery.respond(reply), "cancelled", "client_cancelled", None)
        self.reply = None
        self.move(Signal.ANSWER_CANCELLED)
        self.write_waiting()

    def cancel_answer(self, now_ms: int) -> None:
        """`response.cancel`: what was sent stands, unless the client says how much of it was heard."""
        self._stop(self._current(), "client_cancelled", now_ms)
        self.move(Signal.ANSWER_CANCELLED)

    def played(self, turn: int, ms: int) -> None:
        """The server has played all that it was given of an answer, which may be all there is."""
        reply = self.airing.ran_dry(turn, ms)
        if reply is not None and reply is self.reply:
            self._take_floor()

    def playback_stopped(self, turn: int, heard_ms: int, now_ms: int) -> None:
        """`StopPlayback` has been carried out: what was heard of an answer is what stays of it, for client and model."""
        reply = self.airing.was_cut(turn)
        item = self.conversation.find(reply.response.item_id) if reply and reply.response else None
        if item is None:  # deleted since
            self.out.settle()
            return
        told = {"type": "conversation.item.truncated", "item_id": item["id"], "content_index": 0}
        self.out.send({**told, "audio_end_ms": self.truncate(item, heard_ms, now_ms)})

    def clear_output(self, now_ms: int) -> None:
        """`output_audio_buffer.clear`: silence, now. An answer that is still being made ends with it."""
        if self.is_heard and self.reply is not None:
            self.cancel_answer(now_ms)
        else:
            self.airing.stop()

    def truncate(self, item: Json, audio_end_ms: int, now_ms: int) -> int:
        """The client played `audio_end_ms` of an answer, or all there was. Returns how much that is."""
        reply = self.delivery.said.get(item["id"])
        if reply is None:
            return 0
        heard_ms = min(audio_end_ms, reply.playout.sent_ms)
        if reply is self.reply:
            self._stop(reply, "client_cancelled", now_ms)
            self.move(Signal.ANSWER_CANCELLED)
        ending = self.out.ending
        if ending is not None and ending.item_id == item["id"]:
            self.out.settle(Cut(reply.turn, heard_ms))
        elif not reply.stopped and heard_ms < reply.playout.sent_ms:  # by our clock it had been heard to its end
            reply.stopped = True
            self.out.tell(Cut(reply.turn, heard_ms))
        self.conversation.shorten(item["id"], reply.playout.text_until(heard_ms, not reply.running))
        return heard_ms

    def failed(self, message: str, audio_end_ms: int) -> None:
        """The model could not go on. The conversation can."""
        reply, self.reply = self.reply, None
        if self.speaking_item is not None:
            self.user_ended(audio_end_ms)
        report = Refused("model_error", message, type="server_error")
        if reply is not None and reply.response is None:
            self.out.tell(Rewind(reply.turn))
            self.meter.rewound(reply.turn)
        elif reply is not None:
            reply.stopped = True
            if not self.airing.stop():
                self.out.do(StopPlayback())
            self.out.tell(Cancel(reply.turn))
        if reply is not None and reply.response is not None and not reply.response.is_done:
            fault = {"type": "server_error", "code": "model_error", "message": message}
            self.delivery.close(reply, reply.response, "failed", None, None, fault)
        else:
            self.out.send(wire.error(report))
        self.move(Signal.MODEL_FAILED)
        self.write_waiting()

    def hang_up(self, code: int, reason: str) -> None:
        """The conversation is over; the model is told how its answer ended."""
        self.out.settle()
        if self.reply is not None:
            guessing = self.phase is Phase.GUESSING
            self.out.tell(Rewind(self.reply.turn) if guessing else Cancel(self.reply.turn))
        self.reply = None
        self.meter.close()
        self.move(Signal.HUNG_UP)
        self.out.do(Close(code, reason))

    # --- what is written rather than said --------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """The user is in the middle of a sentence, or the model of an answer."""
        return self.speaking_item is not None or (self.reply is not None and self.reply.running)

    def write(self, action: Action, item_id: str | None = None) -> None:
        """Something for the model that belongs between turns, a part of `item_id`; waits until there is such a moment."""
        self.briefing.put(action, item_id)
        self.write_waiting()

    def write_waiting(self) -> None:
        """There may be such a moment now."""
        if not self.busy and self.briefing.waits:
            self._take_floor()
            self.briefing.tell_waiting()

    def answer_written(self, wish: Wish, now_ms: int) -> None:
        """`response.create`: a turn whose three moments are one."""
        self._take_floor()
        self.meter.begin()
        self.briefing.catch_up()
        if wish.told:
            self.out.tell(Equip(wish.told))
        if wish.instructions:
            self.out.tell(AddText("system", wish.instructions))
        if self.phase is Phase.LISTENING:
            self.move(Signal.SPEECH_STARTED)
        self.guess(wish)
        self.release(now_ms, tell_transcript=False)

    # --- answers, in the conversation and beside it ----------------------------------------------------------------

    def next_turn(self) -> int:
        """The number of one more answer, in the conversation or beside it."""
        self._answers += 1
        return self._answers

    # --- helpers -------------------------------------------------------------------------------------------------

    def _take_floor(self) -> None:
        if self.phase is Phase.YIELDING:
            self.overlap_passed(self.meter.now_ms)
        if self.phase is Phase.ANSWERING:
            self.answer_heard()

    def _current(self) -> Reply:
        if self.reply is None:
            raise ValueError(f"there is no answer while {self.phase.value}")
        return self.reply

    def _finish(self, reply: Reply, response: Response, ended: AnswerEnded, now_ms: int) -> None:
        status, reason = STATUS[ended.reason]
        self.delivery.call(reply, response)
        self.delivery.close(reply, response, status, reason, ended.usage)
        self.write_waiting()
        if reply is self.reply and self._is_over(reply, now_ms):
            self.answer_heard()

    def _is_over(self, reply: Reply, now_ms: int) -> bool:
        """It has been heard to its end, or was never to be heard."""
        if self.airing.holds(reply):
            return self.airing.finish(reply) is not None
        over_at = reply.playout.over_at()
        return over_at is None or over_at <= now_ms

    def _stop(self, reply: Reply, reason: str, now_ms: int) -> None:
        """An answer ends before its end, on the wire at once, for the model as soon as it is known where."""
        response = reply.response
        item_id = response.item_id if response else ""
        is_stopped = self.airing.stop()
        if response is not None and not response.is_done:
            self.delivery.close(reply, response, "cancelled", reason, None)
        reply.stopped = True
        if not is_stopped:
            self.out.do(StopPlayback())
        otherwise: Cut | Cancel = Cancel(reply.turn)
        unheard = ""
        if reason == "turn_detected" and item_id in self.delivery.said:
            heard_ms = reply.playout.heard_ms(now_ms)
            otherwise = Cut(reply.turn, heard_ms)
            unheard = reply.playout.unheard(heard_ms).strip()
            self.conversation.shorten(item_id, reply.playout.text_until(heard_ms, not reply.running))
        self.out.end_answer(Ending(item_id, otherwise, now_ms + self.config.cut_wait_ms))
        if unheard and self.config.notes:
            self.out.tell(AddText("system", NOTE.format(unheard)))
        self.reply = None
        self.briefing.tell_waiting()
