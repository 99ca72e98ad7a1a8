"""One conversation under the event loop: an event goes into the session, its actions are carried out, one timer is set.

The shape of aioquic's asyncio/protocol.py: the session decides without waiting, the driver waits without deciding. The
clock, the model and the way out are handed in; nothing here knows what a WebSocket is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from vivavoce.codecs.formats import Format
from vivavoce.codecs.media import VideoFrame
from vivavoce.codecs.pcm import Float32
from vivavoce.model import messages
from vivavoce.realtime import actions, events
from vivavoce.realtime.actions import Action
from vivavoce.realtime.config import OUTPUT_RATE_HZ
from vivavoce.realtime.events import (
    AudioAppend,
    AudioClear,
    AudioCommit,
    ClientEvent,
    Event,
    FrameIn,
    Played,
    Playing,
    SessionUpdate,
)
from vivavoce.realtime.server.metrics import CostMeter, Metrics, TurnClock
from vivavoce.realtime.server.port import Lost, Model
from vivavoce.realtime.server.speech import Microphone
from vivavoce.realtime.server.tape import NO_TAPE, Tape
from vivavoce.realtime.server.tracing import Trace
from vivavoce.realtime.server.translate import beside_name, from_model, opening, requests
from vivavoce.realtime.server.transport import Outlet, Player
from vivavoce.realtime.session import Session

log = logging.getLogger(__name__)

BESIDE = (actions.OpenBeside, actions.TellBeside, actions.CloseBeside)


class Driver:
    """Carries a session's wishes to the model and the client, and their answers back.

    All methods are for the event loop's thread and return at once; none raises for what a client or a model did.
    """

    def __init__(
        self,
        session: Session,
        model: Model,
        microphone: Microphone,
        outlet: Outlet,
        metrics: Metrics,
        player: Player | None = None,
        tape: Tape = NO_TAPE,
    ) -> None:
        """`player` is for a session whose `server_plays`; else sound is sent as events, and the client plays it. `tape` records
        it, if its client consents."""
        self.session = session
        self._model = model
        self._microphone = microphone
        self._outlet = outlet
        self._player = player
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._tape = tape
        self._trace = Trace(session.id, session.config.model)
        self._clock = TurnClock(metrics, self._loop.time)
        self._costs = CostMeter(metrics)
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms: int | None = None
        self._open_beside: set[str] = set()
        self._over = False
        self._model_forgot = False

    def open(self) -> None:
        """Begin: the model opens its side, the client gets `session.created`."""
        self._metrics.sessions.inc()
        self._metrics.opened.inc()
        self._model.attach(self.session.id, self._from_model)
        self._tape.begin(self.session)
        self._open_model()
        self._guarded(self._tune)
        self._guarded(self._settle)

    def receive(self, event: ClientEvent) -> None:
        """An event of the client."""
        if isinstance(event, AudioAppend):
            self._guarded(lambda: self._into_session(self._microphone.hear(event.data)))
            return
        if isinstance(event, AudioCommit | AudioClear):  # about all sound sent, also what is still on its way
            self._guarded(lambda: self._into_session(self._microphone.finish()))
        self._guarded(lambda: self._into_session(event))
        if isinstance(event, SessionUpdate):
            self._guarded(self._tune)

    def hear(self, pcm: Float32) -> None:
        """Sound of a wire that carries it as sound: float32 [samples] at 16 kHz, right after what came before."""
        self._guarded(lambda: self._into_session(self._microphone.listen(pcm)))

    def see(self, rgb: np.ndarray, source: str) -> None:
        """A frame of such a wire, uint8 [H, W, 3]; it belongs where the sound is now."""
        self._guarded(lambda: self._into_session(FrameIn(VideoFrame(rgb, self._microphone.heard_ms, source))))

    def played(self, report: Played | Playing) -> None:
        """The transport begins to play an answer, or has played what it was given of it."""
        self._guarded(lambda: self._into_session(report))

    @property
    def input_format(self) -> Format:
        """Of the sound that the client sends from now on."""
        return self._microphone.format

    def leave(self) -> None:
        """The server is about to end: say so, and end the conversation."""
        self._guarded(lambda: self._into_session(events.Leaving()))

    def hang_up(self) -> None:
        """The connection is gone. Calling it again does nothing."""
        self._guarded(lambda: self._into_session(events.HungUp()))
        self._end()

    # --- the session -----------------------------------------------------------------------------------------------

    def _into_session(self, event: Event) -> None:
        self._tell_session(event)
        self._settle()

    def _tell_session(self, event: Event) -> None:
        now_ms = self._now_ms()
        self._tape.event(event, now_ms)
        self.session.receive(event, now_ms)
        self._tape.heed(self.session.settings.recording)

    def _tune(self) -> None:
        self._microphone.judges = self.session.settings.turn_detection is not None
        name = self.session.settings.input_format
        if name != self._microphone.format.name:
            self._into_session(self._microphone.tune(name))

    def _timer_rang(self) -> None:
        self._timer = None
        self._guarded(self._after_timer)

    def _after_timer(self) -> None:
        now_ms = self._now_ms()
        self._tape.timer(now_ms)
        self.session.handle_timer(now_ms)
        self._settle()

    def _settle(self) -> None:
        """Do what the session wants done, then set the timer it asks for."""
        while now := self.session.actions():  # carrying them out may lead to more: what was played when it was stopped
            self._tape.did(now)
            for action in now:
                self._carry_out(action)
        due_ms = self.session.next_timer()
        if self._timer is not None and due_ms == self._due_ms and not self._over:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due_ms = due_ms
        if due_ms is not None and not self._over:
            # A timer may ring a little early; the session is then asked again, a millisecond later.
            due = max(self._began + due_ms / 1000, self._loop.time() + 0.001)
            self._timer = self._loop.call_at(due, self._timer_rang)

    def _carry_out(self, action: Action) -> None:
        match action:
            case actions.Send():
                self._outlet.send(action.event)
                self._clock.sent(action.event)
            case actions.Close():
                self._outlet.close(action.code, action.reason)
                self._end()
            case actions.Play() if self._player is not None:
                self._player.play(action.turn, action.pcm)
            case actions.CompletePlayback() if self._player is not None:
                self._player.complete(action.turn)
            case actions.StopPlayback() if self._player is not None:
                for report in self._player.stop():
                    self._tell_session(report)
            case actions.PausePlayback() if self._player is not None:
                self._player.pause()
            case actions.ResumePlayback() if self._player is not None:
                self._player.resume()
            case (
                actions.Play()
                | actions.CompletePlayback()
                | actions.PausePlayback()
                | actions.ResumePlayback()
                | actions.StopPlayback()
            ):
                pass  # the client's own player has seen speech_started or response.done
            case actions.Measured(report):
                self._metrics.measured(report)
                self._trace.turn(report)
            case _:
                self._ask_model(action)

    def _ask_model(self, action: Action) -> None:
        """Something for the model, perhaps for an answer that has a session of it to itself."""
        match action:
            case actions.Answer(turn):
                self._clock.asked_model(turn)
            case actions.Rewind(turn):
                self._clock.rewound(turn)
            case actions.OpenBeside(turn):
                name = beside_name(self.session.id, turn)
                self._open_beside.add(name)
                self._model.attach(name, lambda reply: self._from_beside(turn, reply))
        if not self._model_forgot or isinstance(action, BESIDE):
            for request in requests(self.session, action):
                self._model.send(request)
        if isinstance(action, actions.CloseBeside):
            name = beside_name(self.session.id, action.turn)
            self._open_beside.discard(name)
            self._costs.over(name)
            self._model.detach(name)

    def _guarded(self, job: Callable[[], None]) -> None:
        """A mistake of ours ends this conversation, with a word to its client, and no other."""
        if self._over:
            return
        try:
            job()
        except Exception:
            log.exception("session %s broke", self.session.id)
            sorry = {"type": "server_error", "code": "internal_error", "message": "the server made a mistake"}
            event = {"type": "error", "event_id": "event_last", "error": {**sorry, "param": None, "event_id": None}}
            self._outlet.send(event)
            self._clock.sent(event)
            self._outlet.close(1011, "the server made a mistake")
            self._end()

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for name in (*self._open_beside, self.session.id):
            self._costs.over(name)
            self._model.send(messages.Close(name))
            self._model.detach(name)
        self._metrics.sessions.dec()
        self._tape.end()
        self._trace.end(self._now_ms())

    def _now_ms(self) -> int:
        return int((self._loop.time() - self._began) * 1000)

    # --- the model -------------------------------------------------------------------------------------------------

    def _open_model(self) -> None:
        for request in opening(self.session):
            self._model.send(request)

    def _from_model(self, reply: messages.Reply | Lost) -> None:
        if isinstance(reply, messages.Opened):
            self._tape.opened(reply)
            return
        if isinstance(reply, messages.Handled):
            self._tape.handled(reply)
            return
        if isinstance(reply, messages.Spoke) and len(reply.pcm):
            self._clock.model_spoke(reply.turn, len(reply.pcm) / OUTPUT_RATE_HZ)
        if isinstance(reply, messages.Ended):
            self._costs.now(reply.session, reply.cost)
        event = from_model(reply)
        if not isinstance(reply, Lost):
            self._guarded(lambda: self._into_session(event))
            return
        self._metrics.losses.inc()
        self._tape.lost(reply.restarting)
        self._model_forgot = True  # how the answer under way ends concerns no process any more
        self._guarded(lambda: self._into_session(event))
        self._model_forgot = False
        if reply.restarting and not self._over:
            self._open_model()

    def _from_beside(self, turn: int, reply: messages.Reply | Lost) -> None:
        """What the model says in the session of answer `turn`; there nothing else can fail."""
        if isinstance(reply, messages.Handled):
            self._tape.handled(reply)
        elif isinstance(reply, messages.Failed | Lost):
            self._guarded(lambda: self._into_session(events.ModelFailed(turn, reply.message)))
        elif isinstance(reply, messages.Spoke | messages.Called | messages.Ended):
            if isinstance(reply, messages.Ended):
                self._costs.now(reply.session, reply.cost)
            self._guarded(lambda: self._into_session(from_model(reply)))
