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
    SessionUpdate,
)
from vivavoce.realtime.server.metrics import Metrics, TurnClock
from vivavoce.realtime.server.port import Lost, Model
from vivavoce.realtime.server.speech import Microphone
from vivavoce.realtime.server.transport import Outlet, Player
from vivavoce.realtime.session import Session

log = logging.getLogger(__name__)


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
    ) -> None:
        """`player` is for a session whose `server_plays`; else sound is sent as events, and the client plays it."""
        self.session = session
        self._model = model
        self._microphone = microphone
        self._outlet = outlet
        self._player = player
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._clock = TurnClock(metrics, self._loop.time)
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

    def played(self, report: Played) -> None:
        """The transport has played what it was given of an answer."""
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
        self.session.receive(event, self._now_ms())
        self._settle()

    def _tune(self) -> None:
        self._microphone.judges = self.session.settings.turn_detection is not None
        name = self.session.settings.input_format
        if name != self._microphone.format.name:
            self._into_session(self._microphone.tune(name))

    def _timer_rang(self) -> None:
        self._timer = None
        self._guarded(self._after_timer)

    def _after_timer(self) -> None:
        self.session.handle_timer(self._now_ms())
        self._settle()

    def _settle(self) -> None:
        """Do what the session wants done, then set the timer it asks for."""
        while now := self.session.actions():  # carrying them out may lead to more: what was played when it was stopped
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
            case actions.StopPlayback() if self._player is not None:
                for report in self._player.stop():
                    self.session.receive(report, self._now_ms())
            case actions.PausePlayback() if self._player is not None:
                self._player.pause()
            case actions.ResumePlayback() if self._player is not None:
                self._player.resume()
            case actions.Play() | actions.PausePlayback() | actions.ResumePlayback() | actions.StopPlayback():
                pass  # the client's own player has seen speech_started or response.done
            case actions.OpenBeside() | actions.TellBeside() | actions.CloseBeside():
                self._beside(action)
            case _:
                if isinstance(action, actions.Answer):
                    self._clock.asked_model(action.turn)
                elif isinstance(action, actions.Rewind):
                    self._clock.rewound(action.turn)
                if not self._model_forgot:
                    self._model.send(to_model(self.session.id, action))

    def _beside(self, action: actions.OpenBeside | actions.TellBeside | actions.CloseBeside) -> None:
        """Something for an answer that has a session of the model to itself."""
        turn, name = action.turn, f"{self.session.id}/{action.turn}"
        match action:
            case actions.OpenBeside():
                self._open_beside.add(name)
                self._model.attach(name, lambda reply: self._from_beside(turn, reply))
                self._model.send(
                    messages.Open(name, action.instructions, self.session.config.voice, to_functions(action.functions))
                )
            case actions.TellBeside():
                self._model.send(to_model(name, action.action))
            case actions.CloseBeside():
                self._open_beside.discard(name)
                self._close_model(name)

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
            self._close_model(name)
        self._metrics.sessions.dec()

    def _now_ms(self) -> int:
        return int((self._loop.time() - self._began) * 1000)

    # --- the model -------------------------------------------------------------------------------------------------

    def _open_model(self) -> None:
        settings = self.session.settings
        functions = to_functions(settings.functions)
        self._model.send(messages.Open(self.session.id, settings.instructions, self.session.config.voice, functions))
        if settings.truncation != actions.Truncate():
            self._model.send(to_model(self.session.id, settings.truncation))

    def _close_model(self, name: str) -> None:
        self._model.send(messages.Close(name))
        self._model.detach(name)

    def _from_model(self, reply: messages.Reply | Lost) -> None:
        if isinstance(reply, messages.Opened):
            return
        if isinstance(reply, messages.Spoke) and len(reply.pcm):
            self._clock.model_spoke(reply.turn, len(reply.pcm) / OUTPUT_RATE_HZ)
        event = from_model(reply)
        if not isinstance(reply, Lost):
            self._guarded(lambda: self._into_session(event))
            return
        self._metrics.losses.inc()
        self._model_forgot = True  # how the answer under way ends concerns no process any more
        self._guarded(lambda: self._into_session(event))
        self._model_forgot = False
        if reply.restarting and not self._over:
            self._open_model()

    def _from_beside(self, turn: int, reply: messages.Reply | Lost) -> None:
        """What the model says in the session of answer `turn`; there nothing else can fail."""
        if isinstance(reply, messages.Failed | Lost):
            self._guarded(lambda: self._into_session(events.ModelFailed(turn, reply.message)))
        elif isinstance(reply, messages.Spoke | messages.Called | messages.Ended):
            self._guarded(lambda: self._into_session(from_model(reply)))


def to_model(session: str, action: Action) -> messages.Request:
    """An action for the model as its message.

    Raises:
        TypeError: the action is not for the model.
    """
    match action:
        case actions.Prefill(chunk):
            return messages.Listen(session, chunk)
        case actions.AddText(role, text):
            return messages.AddText(session, role, text)  # type: ignore[arg-type]  # the session has checked the role
        case actions.Equip(functions):
            return messages.Equip(session, to_functions(functions))
        case actions.AddCall(name, arguments):
            return messages.AddCall(session, name, arguments)
        case actions.AddImage(rgb, detail):
            return messages.AddImage(session, rgb, detail)
        case actions.Weigh(number):
            return messages.Weigh(session, number)
        case actions.Answer(turn, text_only, max_tokens, functions, must_call, parallel):
            offered = to_functions(functions)
            return messages.Answer(session, turn, text_only, max_tokens, offered, must_call, parallel)
        case actions.Rewind(turn):
            return messages.Rewind(session, turn)
        case actions.Cut(turn, heard_ms):
            return messages.Cut(session, turn, heard_ms)
        case actions.Cancel(turn):
            return messages.Cancel(session, turn)
        case actions.Forget():
            return messages.Forget(session)
        case actions.Truncate(retain, most, forgets):
            return messages.Truncate(session, retain, most, forgets)
    raise TypeError(f"{type(action).__name__} is nothing for the model")


def to_functions(functions: tuple[actions.Function, ...]) -> tuple[messages.Function, ...]:
    """The client's functions, as the model knows them."""
    return tuple(messages.Function(f.name, f.description, f.parameters) for f in functions)


def from_model(reply: messages.Reply | Lost) -> Event:
    """A reply of the model, or its loss, as the session's event.

    Raises:
        TypeError: the session has no use for it.
    """
    match reply:
        case messages.Spoke(_, turn, text, pcm, at_ms):
            return events.AnswerSpoke(turn, text, pcm, at_ms)
        case messages.Called(_, turn, name, arguments):
            return events.AnswerCalled(turn, name, arguments)
        case messages.Ended(_, turn, reason, usage):
            counts = events.Usage(usage.text_in, usage.audio_in, usage.image_in, usage.text_out, usage.audio_out)
            return events.AnswerEnded(turn, reason, counts)
        case messages.Weighed(_, number, completeness):
            return events.Weighed(number, completeness)
        case messages.Transcribed(_, turn, text):
            return events.Heard(turn, text)
        case messages.Failed(_, turn, message):
            return events.ModelFailed(turn, message)
        case Lost(message, restarting):
            rest = "; the conversation goes on without its memory" if restarting else ""
            return events.ModelFailed(None, message + rest)
    raise TypeError(f"{type(reply).__name__} is nothing for a session")
