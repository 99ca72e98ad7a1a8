"""Between the session and the model: actions as requests, replies as events. No clock, no loop."""

from __future__ import annotations

from vivavoce.model import messages
from vivavoce.realtime import actions, events
from vivavoce.realtime.actions import Action
from vivavoce.realtime.events import Event
from vivavoce.realtime.server.port import Lost
from vivavoce.realtime.session import Session


def opening(session: Session) -> list[messages.Request]:
    """How a conversation begins for the model."""
    settings = session.settings
    functions = to_functions(settings.functions)
    opens: list[messages.Request] = [messages.Open(session.id, settings.instructions, functions)]
    if settings.truncation != actions.Truncate():
        opens.append(to_model(session.id, settings.truncation))
    return opens


def beside_name(session: str, turn: int) -> str:
    """The name of the model's session that makes answer `turn` beside the conversation."""
    return f"{session}/{turn}"


def requests(session: Session, action: Action) -> list[messages.Request]:
    """What the model is asked to do for an action; nothing for one that is none of its."""
    match action:
        case actions.OpenBeside(turn, instructions, functions):
            name = beside_name(session.id, turn)
            return [messages.Open(name, instructions, to_functions(functions))]
        case actions.TellBeside(turn, told):
            return [to_model(beside_name(session.id, turn), told)]
        case actions.CloseBeside(turn):
            return [messages.Close(beside_name(session.id, turn))]
        case (
            actions.Send()
            | actions.Play()
            | actions.CompletePlayback()
            | actions.PausePlayback()
            | actions.ResumePlayback()
            | actions.StopPlayback()
            | actions.Measured()
            | actions.Close()
        ):
            return []
    return [to_model(session.id, action)]


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
        case actions.Doubt(number, sound):
            return messages.Doubt(session, number, sound)
        case actions.Answer(turn, text_only, max_tokens, functions, must_call, parallel, voice):
            offered = to_functions(functions)
            return messages.Answer(session, turn, text_only, max_tokens, offered, must_call, parallel, voice)
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
        case messages.Spoke(_, turn, text, pcm, at_ms, effort, shared):
            stints = tuple(events.Stint(stint.stage, stint.ago_ms, stint.ms) for stint in effort)
            return events.AnswerSpoke(turn, text, pcm, at_ms, stints, shared)
        case messages.Called(_, turn, name, arguments):
            return events.AnswerCalled(turn, name, arguments)
        case messages.Ended(_, turn, reason, usage, _):
            counts = events.Usage(usage.text_in, usage.audio_in, usage.image_in, usage.text_out, usage.audio_out)
            return events.AnswerEnded(turn, reason, counts)
        case messages.Weighed(_, number, completeness):
            return events.Weighed(number, completeness)
        case messages.Doubted(_, number, interrupting):
            return events.Doubted(number, interrupting)
        case messages.Transcribed(_, turn, text):
            return events.Heard(turn, text)
        case messages.Failed(_, turn, message):
            return events.ModelFailed(turn, message)
        case Lost(message, restarting):
            rest = "; the conversation goes on without its memory" if restarting else ""
            return events.ModelFailed(None, message + rest)
    raise TypeError(f"{type(reply).__name__} is nothing for a session")
